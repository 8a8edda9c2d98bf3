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

"""Which other files an ONNX file takes its weights from, without the onnx package, which a vehicle need not have.

Walks the protobuf fields of onnx.proto that lead to tensors; everything else is skipped by its length.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
"""Message -> number of a field -> message in it; ``external`` is a key and a value."""


def external_files(path: Path) -> list[str]:
    """Locations, as they are written there, of the external data of all tensors; none in what is no ONNX file."""
    found: dict[str, None] = {}
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for location in _locations(data, "model", 0, len(data)):
                found[location] = None
    except ValueError:
        pass  # empty, or cut off: whoever loads it will say so
    return list(found)


def _locations(data: mmap.mmap, message: str, start: int, end: int) -> Iterator[str]:
    inner = _FIELDS[message]
    for number, first, stop in _fields(data, start, end):
        kind = inner.get(number)
        if kind == "external":
            entry = {n: data[a:b] for n, a, b in _fields(data, first, stop)}
            if entry.get(1) == b"location":
                yield entry.get(2, b"").decode(errors="replace")
        elif kind is not None:
            yield from _locations(data, kind, first, stop)


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of the fields with a length."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        kind = tag & 7
        if kind == 0:
            _, at = _varint(data, at, end)
        elif kind == 2:
            length, at = _varint(data, at, end)
            if at + length > end:
                raise ValueError("a field ends behind the message it is in")
            yield tag >> 3, at, at + length
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"unknown wire type {kind}")


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number ends behind the message it is in")
