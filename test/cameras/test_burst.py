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

"""A lone burst at the start of a stream is a set only where it cannot be of two triggers."""

from __future__ import annotations

import random

import pytest

from flashocc_ros.cameras.burst import isolated_burst
from flashocc_ros.cameras.sync import AnchorSynchronizer, ImageSet

MS = 1_000_000
S = 1_000_000_000
NOW_NS = 1_795_871_000 * S
"""Stamps of our days, where a float is only good to 256 ns."""


def after_silence(stamps_ns: dict[str, int], missing: str = "drop", cameras: str = "abc") -> list[ImageSet[str]]:
    """What comes out when these images have arrived at once and then nothing for a second."""
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(tuple(cameras), missing=missing)  # type: ignore[arg-type]
    for index, (name, stamp_ns) in enumerate(stamps_ns.items()):
        sync.add(name, stamp_ns, name, index + 1)
    return sync.poll(S)


def test_the_last_bits_of_the_stamps_decide_nothing() -> None:
    rng = random.Random(0)
    starts = [NOW_NS + rng.randrange(S) for _ in range(100)]
    assert all(len(after_silence({"a": at, "b": at + 40 * MS, "c": at + 80 * MS})) == 1 for at in starts)


@pytest.mark.parametrize("apart_ns", [200 * MS, 333 * MS, 500 * MS, 37 * S])
@pytest.mark.parametrize("missing", ["drop", "mask"])
def test_the_anchor_of_one_trigger_and_the_others_of_the_next_are_no_set(apart_ns: int, missing: str) -> None:
    stamps_ns = {"a": NOW_NS, "b": NOW_NS + apart_ns, "c": NOW_NS + apart_ns + 10 * MS}
    assert after_silence(stamps_ns, missing) == []


def test_a_burst_may_be_a_sweep_of_125_ms_and_no_longer() -> None:
    assert isolated_burst({"a": [NOW_NS], "b": [NOW_NS + 125 * MS]}, "a", {}) == {"a": NOW_NS, "b": NOW_NS + 125 * MS}
    assert isolated_burst({"a": [NOW_NS], "b": [NOW_NS + 125 * MS + 1]}, "a", {}) == {"a": NOW_NS}


def test_known_delays_do_not_count_as_length() -> None:
    stamps_ns = {"a": [NOW_NS], "b": [NOW_NS + 400 * MS]}
    assert isolated_burst(stamps_ns, "a", {"b": 400.0 * MS}) == {"a": NOW_NS, "b": NOW_NS + 400 * MS}


def test_an_old_image_of_a_dead_camera_is_masked_and_not_mixed_in() -> None:
    (only,) = after_silence({"c": NOW_NS - 5 * S, "a": NOW_NS, "b": NOW_NS + 10 * MS}, "mask")
    assert only.items == ("a", "b", None)
    assert only.missing == ("c",)
