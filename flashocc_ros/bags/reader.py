"""Read a rosbag2 recording: topics with their QoS, messages in time order, deserialised on demand."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinitionFormat, Qos
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_types_from_msg

from flashocc_ros.bags.types import LATCHED, RELIABLE, typestore
from flashocc_ros.errors import BagError


@dataclass(frozen=True)
class Topic:
    """A recorded topic.

    Attributes:
        name: full topic name.
        type: message type as ``package/msg/Name``.
        count: number of messages.
        qos: the profile it was offered with when it was recorded; reliable (latched for ``/tf_static``) if unknown.
    """

    name: str
    type: str
    count: int
    qos: Qos


class BagReader:
    """A rosbag2 recording, opened read-only: a folder with ``metadata.yaml``, or one ``.mcap`` or ``.db3`` file.

    Use as a context manager.

    Attributes:
        topics: recorded topics by name.
        start_ns, end_ns: time of the first and of the last message in nanoseconds.
        message_count: number of messages.

    Raises:
        BagError: nothing there, not a recording, ROS 1, damaged, cut off, or without a single message.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._check_path()
        try:
            self._reader = Reader(self.path)
            self._reader.open()
        except Exception as error:
            raise BagError(self._explain(error)) from error
        if self._reader.message_count == 0:
            self._reader.close()
            raise BagError(f"{self.path} is an empty recording: it holds 0 messages; record again")
        self.start_ns: int = self._reader.start_time
        self.end_ns: int = self._reader.end_time - 1
        self.message_count: int = self._reader.message_count
        self.types = typestore()
        self._register_recorded_types()
        self.topics = {c.topic: Topic(c.topic, c.msgtype, c.msgcount, _qos(c)) for c in self._reader.connections}

    def _check_path(self) -> None:
        path = self.path
        if not path.exists():
            raise BagError(f"{path} does not exist; give the folder of a rosbag2 recording")
        if path.suffix == ".bag":
            raise BagError(
                f"{path}: names that end in .bag mean ROS 1; convert it with `rosbags-convert`, or rename the folder"
            )
        if path.is_dir() and not (path / "metadata.yaml").exists():
            raise BagError(
                f"{path} is no rosbag2 recording: it has no metadata.yaml; give the recording's folder or its file, "
                "or run `ros2 bag reindex`"
            )
        if path.is_file() and path.suffix not in (".mcap", ".db3"):
            raise BagError(f"{path} is no recording: expected a rosbag2 folder, an .mcap or a .db3 file")

    def _explain(self, error: Exception) -> str:
        return (
            f"{self.path} is damaged, cut off or not a recording ({error or type(error).__name__}); "
            "try `mcap recover` or `ros2 bag reindex`, or record again"
        )

    def _register_recorded_types(self) -> None:
        for connection in self._reader.connections:
            if connection.msgtype in self.types.fielddefs or connection.msgdef.format != MessageDefinitionFormat.MSG:
                continue
            recorded = get_types_from_msg(connection.msgdef.data, connection.msgtype)
            self.types.register({k: v for k, v in recorded.items() if k not in self.types.fielddefs})

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the files."""
        if self._reader.is_open:
            self._reader.close()

    def require(self, topics: Collection[str]) -> None:
        """Raise BagError unless every one of ``topics`` was recorded with at least one message."""
        missing = [t for t in topics if t not in self.topics or self.topics[t].count == 0]
        if missing:
            raise BagError(
                f"{self.path} has no messages on {', '.join(missing)}; it holds {', '.join(sorted(self.topics))}"
            )

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int | None = None
    ) -> Iterator[tuple[Topic, int, bytes]]:
        """Topic, time in nanoseconds and serialised CDR of each message in time order.

        Args:
            topics: only these topics; None means all.
            start_ns: only messages at or after this time.

        Raises:
            BagError: a topic is not in the recording, or the file turns out to be damaged on the way.
        """
        if topics is not None:
            self.require(topics)
        connections = [c for c in self._reader.connections if topics is None or c.topic in topics]
        read = 0
        try:
            for connection, stamp_ns, cdr in self._reader.messages(connections, start=start_ns):
                read += 1
                yield self.topics[connection.topic], stamp_ns, cdr
        except Exception as error:
            raise BagError(self._explain(error)) from error
        expected = sum(c.msgcount for c in connections)
        if start_ns is None and read != expected:
            raise BagError(self._explain(BagError(f"{read} of {expected} messages found")))

    def deserialize(self, cdr: bytes, message_type: str) -> Any:
        """The message held by ``cdr``; arrays come as numpy.

        Raises:
            BagError: the type is unknown or the bytes do not fit it.
        """
        try:
            return self.types.deserialize_cdr(cdr, message_type)
        except Exception as error:
            raise BagError(f"{self.path}: cannot read a {message_type} ({error or type(error).__name__})") from error


def read_messages(path: str | Path, *topics: str) -> Iterator[tuple[str, int, Any]]:
    """Topic name, time in nanoseconds and deserialised message, in time order, of ``topics`` (all when none is given).

    Raises:
        BagError: see ``BagReader``.
    """
    with BagReader(path) as bag:
        for topic, stamp_ns, cdr in bag.messages(topics or None):
            yield topic.name, stamp_ns, bag.deserialize(cdr, topic.type)


def _qos(connection: Connection) -> Qos:
    extension = connection.ext
    if isinstance(extension, ConnectionExtRosbag2) and extension.offered_qos_profiles:
        return extension.offered_qos_profiles[0]
    return LATCHED if connection.topic == "/tf_static" else RELIABLE
