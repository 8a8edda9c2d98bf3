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

"""One ``.mcap`` file of a recording, finished or not; see https://mcap.dev/spec for the format."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO
from zlib import crc32

from flashocc_ros.bags.storage import (
    Connection,
    DamagedError,
    Message,
    Part,
    Warn,
    decompress,
    definition,
    in_time_order,
)
from flashocc_ros.remote import Location, RemotePath

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, CHUNK_INDEX, STATISTICS, DATA_END = 2, 3, 4, 5, 6, 8, 11, 15
FIRST_PRIVATE = 0x80
MAX_RECORD_BYTES = 1 << 30
MAX_SUMMARY_BYTES = 256 << 20
REMOTE_SAMPLE = 8
"""Chunks of a remote file that are looked at before its index is believed; each is looked at again when it is read."""
RUN_BYTES = 4 << 20
"""Messages outside chunks are read in runs of about this size."""
_HEAD = struct.Struct("<BQ")
_MESSAGE_HEAD = struct.Struct("<HIQQ")


@dataclass(frozen=True)
class _Block:
    """A chunk, or a run of messages outside chunks: where it lies and between which times its messages do.

    ``channels`` are those it has messages of, None where the index does not tell: a chunk without any that is asked for
    need not be read.
    """

    offset: int
    size: int
    start_ns: int
    end_ns: int
    is_chunk: bool = True
    channels: frozenset[int] | None = None


class _Fields:
    """Reads the fields of a record one after another; ``struct.error`` where it is too short."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def octets(self) -> bytes:
        (size,) = self.take("<I")
        self.at += size
        if self.at > len(self.data):
            raise struct.error("a field is cut off")
        return self.data[self.at - size : self.at]

    def text(self) -> str:
        return self.octets().decode(errors="replace")


class McapFile:
    """See ``Storage``. Uses the file's index where it is sound and reads the whole file otherwise.

    A damaged chunk, and what lies behind the end of a recording that was never finished, is left out with a warning.
    Of a remote file with a sound index only the chunks with wanted messages are fetched. Without one, and where these
    are most of the file, a copy is read.

    Raises:
        DamagedError: not even its first record can be read.
    """

    def __init__(self, path: Location, warn: Warn) -> None:
        self.path, self._warn = path, warn
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._channels: dict[int, tuple[int, str, str, str]] = {}
        self._counts: Counter[int] = Counter()
        self._blocks: list[_Block] = []
        with path.open("rb") as file:
            self._size = file.seek(0, os.SEEK_END)
            try:
                indexed = self._read_summary(file)
            except (struct.error, ValueError, OSError):
                indexed = False
        if not indexed:
            self._schemas, self._channels, self._counts, self._blocks = {}, {}, Counter(), []
            with (path.local() if isinstance(path, RemotePath) else path).open("rb") as file:
                self._scan(file)
        self.start_ns = min((block.start_ns for block in self._blocks), default=0)
        self.end_ns = max((block.end_ns for block in self._blocks), default=0)
        self.connections = []
        for key, (schema, topic, encoding, qos) in self._channels.items():
            name, language, text = self._schemas.get(schema, ("", "", ""))
            self.connections.append(
                Connection(key, topic, name, encoding, definition(language, text), qos, self._counts[key])
            )

    def messages(self, connections: Collection[int], start_ns: int | None) -> Iterator[Message]:
        """See ``Storage``."""
        wanted = frozenset(connections)
        first_ns = start_ns or 0
        blocks = [
            block
            for block in self._blocks
            if block.end_ns >= first_ns and (block.channels is None or not wanted.isdisjoint(block.channels))
        ]

        if isinstance(self.path, RemotePath):
            if start_ns is None and sum(block.size for block in blocks) > self._size / 2:
                self.path.copy_if_room()  # chunks mix topics: all is needed, by each who reads some of them
            self.path.expect((block.offset, block.size) for block in blocks)

        def part(block: _Block) -> Part:
            return Part(block.start_ns, lambda: self._messages_of(block, wanted, first_ns))

        yield from in_time_order(part(block) for block in blocks)
        if isinstance(self.path, RemotePath):
            self.path.check_unchanged()

    # --- the index -----------------------------------------------------------------------------------------------

    def _read_summary(self, file: BinaryIO) -> bool:
        """Take over channels, counts and chunks from the end of the file; False unless all of it is sound."""
        if self._size < len(MAGIC) * 2 + 29:
            return False
        file.seek(-37, os.SEEK_END)
        tail = file.read(37)
        opcode, size, start, _, crc = struct.unpack_from("<BQQQI", tail)
        if tail[-8:] != MAGIC or (opcode, size) != (FOOTER, 20) or not len(MAGIC) <= start < self._size - 37:
            return False
        if self._size - 37 - start > MAX_SUMMARY_BYTES:
            return False
        file.seek(start)
        summary = file.read(self._size - 37 - start)
        if crc and crc32(summary + tail[:-12]) != crc:
            return False
        counted = False
        for opcode, body in _records(summary):
            fields = _Fields(body)
            if opcode in (SCHEMA, CHANNEL):
                self._declare(opcode, body)
            elif opcode == CHUNK_INDEX:
                first_ns, last_ns, offset, length = fields.take("<QQQQ")
                places = frozenset(channel for channel, _ in struct.iter_unpack("<HQ", fields.octets()))
                self._blocks.append(_Block(offset, length, first_ns, last_ns, channels=places or None))
            elif opcode == STATISTICS:
                messages, *_ = fields.take("<QHIIIIQQ")
                self._counts.update(dict(struct.iter_unpack("<HQ", fields.octets())))
                counted = self._counts.total() == messages
        known = set(self._counts) <= set(self._channels)
        known &= all(schema == 0 or schema in self._schemas for schema, *_ in self._channels.values())
        found = bool(self._blocks) or not self._counts.total()
        looked_at = self._blocks
        if isinstance(self.path, RemotePath):  # each look is a request
            looked_at = self._blocks[:: max(1, len(self._blocks) // REMOTE_SAMPLE)] + self._blocks[-1:]
        return counted and known and found and all(self._stands(file, block) for block in looked_at)

    def _stands(self, file: BinaryIO, block: _Block) -> bool:
        """Whether there is a chunk where the index says so."""
        file.seek(block.offset)
        opcode, size, first_ns, last_ns = struct.unpack("<BQQQ", file.read(25))
        return (opcode, size + 9, first_ns, last_ns) == (CHUNK, block.size, block.start_ns, block.end_ns)

    # --- the whole file ------------------------------------------------------------------------------------------

    def _scan(self, file: BinaryIO) -> None:
        """Find channels, counts and chunks record by record, as far as the file goes."""
        file.seek(0)
        if file.read(len(MAGIC)) != MAGIC:
            raise DamagedError("it does not begin as an MCAP")
        try:
            finished = self._walk(file)
        except (DamagedError, struct.error) as error:
            self._warn(f"{self.path} is damaged before byte {file.tell()} ({error}); what lies behind is left out")
            return
        if not finished:
            self._warn(
                f"{self.path} was never finished or is cut off: it is read as far as it goes; "
                "`mcap recover` makes a whole file of it"
            )

    def _walk(self, file: BinaryIO) -> bool:
        """Whether the end of the data was reached; False where the file ends before."""
        offset = file.tell()
        run: _Block | None = None
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            opcode, size = _HEAD.unpack(head)
            if not _is_opcode(opcode) or size > MAX_RECORD_BYTES:
                raise DamagedError("no record begins there")
            if opcode in (DATA_END, FOOTER):
                return True
            end = offset + _HEAD.size + size
            if opcode == CHUNK:
                self._scan_chunk(_Block(offset, min(end, self._size) - offset, 0, 0), file.read(size))
            if end > self._size:
                break
            if opcode == MESSAGE:
                channel, _, stamp_ns, _ = _MESSAGE_HEAD.unpack(file.read(_MESSAGE_HEAD.size))
                self._counts[channel] += 1
                run = self._lengthen(run, offset, end, stamp_ns)
            elif opcode in (SCHEMA, CHANNEL):
                self._declare(opcode, file.read(size))
            offset = end
            file.seek(offset)
        return False

    def _lengthen(self, run: _Block | None, offset: int, end: int, stamp_ns: int) -> _Block:
        if run is None or run is not self._blocks[-1] or run.size > RUN_BYTES:
            run = _Block(offset, end - offset, stamp_ns, stamp_ns, is_chunk=False)
            self._blocks.append(run)
        else:
            first_ns, last_ns = min(run.start_ns, stamp_ns), max(run.end_ns, stamp_ns)
            run = self._blocks[-1] = _Block(run.offset, end - run.offset, first_ns, last_ns, is_chunk=False)
        return run

    def _scan_chunk(self, block: _Block, body: bytes) -> None:
        stamps = []
        try:
            for opcode, record in _records(_chunk_content(body)):
                if opcode in (SCHEMA, CHANNEL):
                    self._declare(opcode, record)
                elif opcode == MESSAGE:
                    channel, _, stamp_ns, _ = _MESSAGE_HEAD.unpack_from(record)
                    self._counts[channel] += 1
                    stamps.append(stamp_ns)
        except (DamagedError, struct.error) as error:
            if block.offset + block.size < self._size:
                self._say_damaged(block, error)
        if stamps:
            self._blocks.append(_Block(block.offset, block.size, min(stamps), max(stamps)))

    def _declare(self, opcode: int, body: bytes) -> None:
        fields = _Fields(body)
        (key,) = fields.take("<H")
        if opcode == SCHEMA:
            self._schemas.setdefault(key, (fields.text(), fields.text(), fields.text()))
            return
        (schema,) = fields.take("<H")
        topic, encoding = fields.text(), fields.text()
        metadata = _Fields(fields.octets())
        notes = {}
        while metadata.at < len(metadata.data):
            name = metadata.text()
            notes[name] = metadata.text()
        self._channels.setdefault(key, (schema, topic, encoding, notes.get("offered_qos_profiles", "")))

    # --- messages ------------------------------------------------------------------------------------------------

    def _messages_of(self, block: _Block, wanted: frozenset[int], start_ns: int) -> list[Message]:
        with self.path.open("rb") as file:
            file.seek(block.offset)
            data = file.read(block.size)
        found = []
        try:
            if block.is_chunk and _HEAD.unpack_from(data)[0] != CHUNK:
                raise DamagedError("no chunk begins there")
            for opcode, record in _records(_chunk_content(data[_HEAD.size :]) if block.is_chunk else data):
                if opcode == MESSAGE:
                    channel, _, stamp_ns, _ = _MESSAGE_HEAD.unpack_from(record)
                    if channel in wanted and stamp_ns >= start_ns:
                        found.append(Message(stamp_ns, channel, record[_MESSAGE_HEAD.size :]))
        except (DamagedError, struct.error) as error:
            if block.offset + block.size < self._size:  # a last chunk that is cut off was said when it was scanned
                self._say_damaged(block, error)
        found.sort(key=lambda message: message.stamp_ns)
        return found

    def _say_damaged(self, block: _Block, error: Exception) -> None:
        self._warn(f"{self.path} is damaged in its chunk at byte {block.offset} ({error}); what is damaged is left out")


def _is_opcode(number: int) -> bool:
    return 0 < number <= DATA_END or number >= FIRST_PRIVATE


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Opcode and content of each record; ``DamagedError`` where one is cut off or none begins."""
    at = 0
    while at < len(data):
        if at + _HEAD.size > len(data):
            raise DamagedError("a record is cut off")
        opcode, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size + size
        if not _is_opcode(opcode) or at > len(data):
            raise DamagedError("a record is cut off or damaged")
        yield opcode, data[at - size : at]


def _chunk_content(body: bytes) -> bytes:
    """The records of a chunk, decompressed; of one that is cut off, what there is.

    Raises:
        DamagedError: its checksum, where it has one, or its length does not fit.
    """
    fields = _Fields(body)
    _, _, size, crc = fields.take("<QQQI")
    compression = fields.text()
    (compressed,) = fields.take("<Q")
    if size > MAX_RECORD_BYTES:
        raise DamagedError(f"it announces {size / 1e9:.1f} GB, the limit is {MAX_RECORD_BYTES / 1e9:.1f} GB")
    data = body[fields.at : fields.at + compressed]
    content = decompress(data, compression, size)
    if len(data) == compressed:
        if len(content) != size:
            raise DamagedError(f"it holds {len(content)} of {size} bytes")
        if crc and crc32(content) != crc:
            raise DamagedError("its checksum is wrong")
    return content
