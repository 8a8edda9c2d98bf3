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

"""MCAP files of any kind, record by record, also of kinds that our writer never makes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from zlib import crc32

import lz4.frame

from flashocc_ros.bags import BagReader

MAGIC = b"\x89MCAP0\r\n"


def record(opcode: int, body: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(body)) + body


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def schema(number: int, name: str, encoding: str, definition: str | bytes) -> bytes:
    return record(3, struct.pack("<H", number) + text(name) + text(encoding) + text(definition))


def channel(number: int, schema_number: int, topic: str, encoding: str = "cdr") -> bytes:
    return record(4, struct.pack("<HH", number, schema_number) + text(topic) + text(encoding) + text(b""))


def message(channel_number: int, stamp_ns: int, data: bytes) -> bytes:
    return record(5, struct.pack("<HIQQ", channel_number, 0, stamp_ns, stamp_ns) + data)


def chunk(content: bytes, stamps_ns: Sequence[int], compression: str = "", crc: int | None = None) -> bytes:
    data = lz4.frame.compress(content) if compression == "lz4" else content
    checksum = crc32(content) if crc is None else crc
    head = struct.pack("<QQQI", min(stamps_ns), max(stamps_ns), len(content), checksum)
    return record(6, head + text(compression) + struct.pack("<Q", len(data)) + data)


def file(parts: Iterable[bytes], finished: bool = True) -> bytes:
    data = MAGIC + record(1, text("ros2") + text("test")) + b"".join(parts)
    if finished:
        data += record(15, bytes(4)) + record(2, bytes(20)) + MAGIC
    return data


def drive_parts(source: Path, per_chunk: int = 8) -> tuple[list[bytes], list[tuple[list[bytes], list[int]]]]:
    """Declarations (schemas and channels) of the recording ``source``, and its messages in groups with their stamps."""
    declarations, groups = [], []
    with BagReader(source) as bag:
        numbers = {name: number for number, name in enumerate(bag.topics, 1)}
        for name, number in numbers.items():
            kind = bag.topics[name].type
            definition, _ = bag.types.generate_msgdef(kind, ros_version=2)
            declarations += [schema(number, kind, "ros2msg", definition), channel(number, number, name)]
        for count, (topic, stamp_ns, cdr) in enumerate(bag.messages()):
            if count % per_chunk == 0:
                groups.append(([], []))
            groups[-1][0].append(message(numbers[topic.name], stamp_ns, cdr))
            groups[-1][1].append(stamp_ns)
    return declarations, groups
