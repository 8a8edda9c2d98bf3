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

"""Write a rosbag2 recording without ROS."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from zlib import crc32

from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter

from flashocc_ros.bags.types import RELIABLE, typestore
from flashocc_ros.errors import BagError

_VERSION: Literal[8] = 8  # the newest metadata layout that Humble's `ros2 bag` reads too
_CRC_OFFSET = 9 + 24  # in a chunk record: behind its head, two times and a size


class _CheckedMcapWriter(McapWriter):
    """Gives each chunk the checksum that rosbags leaves zero, so that damage is found when it is read."""

    def close_chunk(self) -> None:
        start, crc = self.bio.tell(), crc32(self.chunk.bio.getbuffer())
        super().close_chunk()
        end = self.bio.tell()
        self.bio.seek(start + _CRC_OFFSET)
        self.bio.write(crc.to_bytes(4, "little"))
        self.bio.seek(end)


class _CheckedWriter(Writer):
    STORAGE_PLUGINS = {**Writer.STORAGE_PLUGINS, StoragePlugin.MCAP: _CheckedMcapWriter}  # noqa: RUF012


class BagWriter:
    """A new rosbag2 folder. Use as a context manager; leaving it with an error leaves no index.

    Args:
        path: folder to create; must not exist and must not end in ``.bag``.
        storage: ``mcap`` (chunks compressed with zstd when ``compress``) or ``sqlite3``.
        compress: worth it for occupancy, useless for JPEG.

    Raises:
        BagError: the folder exists or its name means ROS 1.
    """

    def __init__(self, path: str | Path, storage: Literal["mcap", "sqlite3"] = "mcap", compress: bool = False) -> None:
        self.path = Path(path)
        if self.path.suffix == ".bag":
            raise BagError(
                f"{self.path}: a rosbag2 folder must not end in .bag, readers take that for ROS 1; rename it"
            )
        if self.path.exists():
            raise BagError(f"{self.path} exists already; remove it or choose another name")
        self.types = typestore()
        self._writer = _CheckedWriter(self.path, version=_VERSION, storage_plugin=StoragePlugin[storage.upper()])
        if compress and storage == "mcap":
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        self._connections: dict[str, Connection] = {}

    def add_topic(self, name: str, message_type: str, qos: Qos = RELIABLE) -> None:
        """Announce a topic before the first ``write`` to it.

        Args:
            message_type: ``package/msg/Name`` of ROS 2 or of this package.

        Raises:
            BagError: the type is unknown or the topic was announced before.
        """
        if name in self._connections:
            raise BagError(f"topic {name} is announced twice")
        if message_type not in self.types.fielddefs:
            raise BagError(f"topic {name}: message type {message_type} is unknown")
        self._connections[name] = self._writer.add_connection(
            name, message_type, typestore=self.types, offered_qos_profiles=[qos]
        )

    def write(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Append a message: serialised CDR ``bytes`` or an object of ``self.types``.

        Raises:
            BagError: the topic was not announced.
        """
        connection = self._connections.get(topic)
        if connection is None:
            raise BagError(f"topic {topic} was not announced; call add_topic first")
        is_cdr = isinstance(message, bytes | bytearray | memoryview)
        cdr = message if is_cdr else self.types.serialize_cdr(message, connection.msgtype)
        self._writer.write(connection, stamp_ns, cdr)

    def __contains__(self, topic: str) -> bool:
        return topic in self._connections

    def message(self, message_type: str, **fields: Any) -> Any:
        """A message of ``message_type`` with all ``fields`` given, for ``write``."""
        return self.types.types[message_type](**fields)

    def header(self, stamp_ns: int, frame: str) -> Any:
        """A ``std_msgs/Header``."""
        seconds, rest = divmod(stamp_ns, 1_000_000_000)
        stamp = self.message("builtin_interfaces/msg/Time", sec=seconds, nanosec=rest)
        return self.message("std_msgs/msg/Header", stamp=stamp, frame_id=frame)

    def close(self) -> None:
        """Write the index and ``metadata.yaml``."""
        self._writer.close()

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)
