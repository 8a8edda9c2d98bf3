# Copyright 2026 flashocc_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Hostile input by the hundred: whatever comes, either it is taken or one of our errors says why, and soon."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from flashocc_ros.errors import FlashOccError

VALUES = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, -(2**70), 0.5, 1e308, -1e-320, float("nan"), float("inf")),
    *("", "x", "../x", "/", "a\0b", "\ud800", "é" * 3000, [], {}, [[]], {"": None}, [None] * 50),
)
"""What a field may hold instead of what belongs there; JSON knows them all."""


def damaged(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Copies that are cut, have bits turned, ranges overwritten, lengths exaggerated, parts doubled or swapped."""
    rng = random.Random(seed)
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 3, 20))):
            at, length = rng.randrange(len(copy)), rng.choice((1, 4, 8, 64))
            kind = rng.randrange(6)
            if kind == 0 and at:
                del copy[at:]
            elif kind == 1:
                copy[at] ^= 1 << rng.randrange(8)
            elif kind == 2:
                copy[at : at + length] = rng.randbytes(length)
            elif kind == 3:
                copy[at : at + 4] = rng.choice((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", bytes(4)))
            elif kind == 4:
                copy[at:at] = copy[at : at + length * 16]
            else:
                other = rng.randrange(len(copy))
                copy[at : at + length], copy[other : other + length] = (
                    copy[other : other + length],
                    copy[at : at + length],
                )
        yield bytes(copy)


def spoiled(content: Any, rng: random.Random) -> Any:
    """A copy of nested dictionaries and lists with one value, key or element replaced, added or taken away."""
    if isinstance(content, dict) and content and rng.random() < 0.9:
        copy, key = dict(content), rng.choice(sorted(content))
        kind = rng.randrange(8)
        if kind == 0:
            del copy[key]
        elif kind == 1:
            copy[f"{key}{rng.randrange(9)}"] = rng.choice(VALUES)
        else:
            copy[key] = spoiled(copy[key], rng)
        return copy
    if isinstance(content, list) and content and rng.random() < 0.8:
        index, kind = rng.randrange(len(content)), rng.randrange(5)
        if kind == 0:
            return content[:index] + content[index + 1 :]
        if kind == 1:
            return content + content[index:]
        return [*content[:index], spoiled(content[index], rng), *content[index + 1 :]]
    return rng.choice(VALUES)


class TookTooLong(BaseException):
    """Not an ``Exception``, so that nobody takes it for one of a library."""


def takes(action: Callable[[], object], error: type[FlashOccError] = FlashOccError, limit_s: float = 3.0) -> bool:
    """Whether it is taken; fails the test when anything but ``error`` comes out, or after too much CPU time."""

    def end(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"more than {limit_s:g} s of CPU time")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, limit_s)  # counts CPU time: a busy machine is no fault
    refusal: FlashOccError | None = None
    try:
        action()
    except error as refused:
        refusal = refused
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert refusal is None or str(refusal).strip(), "a refusal without a word"
    return refusal is None
