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

"""What the two kinds of recording files have in common: channels, messages in time order, decompression."""

from __future__ import annotations

import heapq
import operator
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import lz4.frame
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
Warn = Callable[[str], None]
"""Takes a sentence on what is wrong with a file and is made up for."""


class DamagedError(Exception):
    """Bytes that are not what their format says; the message names what and where."""


class Connection(NamedTuple):
    """What was recorded of one topic in one file.

    Attributes:
        id: number within its file.
        topic, msgtype: its name, and its type as ``package/msg/Name``.
        encoding: of the messages; ``cdr`` in ROS 2.
        msgdef: the recorded definition of the type, of format NONE where there is none.
        qos: the profiles it was offered with, YAML as rosbag2 writes it; empty if unknown.
        msgcount: number of messages.
    """

    id: int
    topic: str
    msgtype: str
    encoding: str
    msgdef: MessageDefinition
    qos: str
    msgcount: int


class Message(NamedTuple):
    """A recorded message: time in nanoseconds, ``Connection.id``, content."""

    stamp_ns: int
    connection: int
    data: bytes


class Storage(Protocol):
    """One file of a recording.

    Attributes:
        connections: what it holds.
        start_ns, end_ns: time of the first and of the last message; both 0 without messages.
    """

    connections: list[Connection]
    start_ns: int
    end_ns: int

    def messages(self, connections: Collection[int], start_ns: int | None) -> Iterator[Message]:
        """Messages in time order, from ``start_ns`` on; damage costs what it has hit and is said."""


def definition(encoding: str, text: str) -> MessageDefinition:
    """A recorded definition; of format NONE if its language is not one of ROS 2."""
    formats = {
        "ros2msg": MessageDefinitionFormat.MSG,
        "ros2idl": MessageDefinitionFormat.IDL,
        "omgidl": MessageDefinitionFormat.IDL,
    }
    return MessageDefinition(formats.get(encoding, MessageDefinitionFormat.NONE), text)


@dataclass(frozen=True)
class Part:
    """A stretch of messages in time order, ``start_ns`` or later, that is opened when their time has come."""

    start_ns: int
    open: Callable[[], Iterable[Any]]


def in_time_order(parts: Iterable[Part]) -> Iterator[Any]:
    """Merge the messages (tuples that begin with their time) of many parts, holding open only those that overlap."""

    def waiting(part: Part) -> Iterator[Any]:
        yield (part.start_ns, None)
        yield from part.open()

    for message in heapq.merge(*(waiting(part) for part in parts), key=operator.itemgetter(0)):
        if message[1] is not None:
            yield message


def decompress(data: bytes, compression: str, size: int) -> bytes:
    """At most ``size`` bytes of ``data``; fewer where it is cut off.

    Raises:
        DamagedError: the compression is unknown or the data is not of it.
    """
    if compression == "":
        return data[:size]
    if compression not in ("zstd", "lz4"):
        raise DamagedError(f"compression {compression!r} is unknown (known are zstd and lz4)")
    decompressor = zstd.ZstdDecompressor() if compression == "zstd" else lz4.frame.LZ4FrameDecompressor()
    try:
        return bytes(decompressor.decompress(data, size))
    except (zstd.ZstdError, RuntimeError, EOFError) as error:
        raise DamagedError(f"{compression} data is damaged ({error})") from error


def decompress_message(data: bytes) -> bytes:
    """Content of a message that may have been compressed on its own: CDR never begins as zstd does.

    Raises:
        DamagedError: it cannot be decompressed.
    """
    if data[:4] != ZSTD_MAGIC:
        return data
    try:
        return zstd.decompress(data)
    except zstd.ZstdError as error:
        raise DamagedError(f"a compressed message is damaged ({error})") from error


def decompress_file(source: Path, target: Path, limit: int) -> bool:
    """Write what the zstd file ``source`` holds to ``target``; False if it is cut off or damaged on the way.

    Raises:
        DamagedError: it holds more than ``limit`` bytes.
    """
    written = 0
    try:
        with zstd.open(source, "rb") as compressed, target.open("wb") as file:
            while block := compressed.read(1 << 20):
                written += file.write(block)
                if written > limit:
                    raise DamagedError(f"decompressed it takes more than {limit / 1e9:.1f} GB; decompress it yourself")
    except (zstd.ZstdError, EOFError):
        return False
    return True
