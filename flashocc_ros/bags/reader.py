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

"""Read a rosbag2 recording: topics with their QoS, messages in time order, deserialised on demand."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Qos
from rosbags.typesys import get_types_from_idl, get_types_from_msg

from flashocc_ros.bags.files import find_files, some
from flashocc_ros.bags.joined import JoinedFiles
from flashocc_ros.bags.storage import Connection, DamagedError
from flashocc_ros.bags.types import LATCHED, add_own_types, is_static_tf, offered, own_types, standard_types, strongest
from flashocc_ros.errors import BagError, did_you_mean
from flashocc_ros.remote import Location, location

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Topic:
    """A recorded topic.

    Attributes:
        name: full topic name.
        type: message type as ``package/msg/Name``.
        count: number of messages.
        qos: the profile it was offered with when it was recorded; reliable if unknown. Static
            transforms are latched whatever a recorder wrote: late listeners need them all the same.
    """

    name: str
    type: str
    count: int
    qos: Qos


class BagReader:
    """A rosbag2 recording, opened read-only: its folder, or one ``.mcap`` or ``.db3`` file, compressed or not.
    Of files on servers (URLs as fsspec takes them) what is needed is read.

    Use as a context manager. What is wrong but can be made up for (no index, a recorder that was killed, a damaged
    chunk, topics that are not of ROS 2) is logged as a warning, once per process.

    Args:
        path: the folder or file, or its URL.
        raw: list topics of unknown types too, whose messages can be passed on but not deserialised.

    Attributes:
        topics: recorded topics by name, those with messages that can be read.
        start_ns, end_ns: time of the first and of the last message in nanoseconds.
        message_count: number of messages.

    Raises:
        BagError: nothing there, not a recording, ROS 1, damaged from its start, or without a single message.
    """

    def __init__(self, path: str | Location, raw: bool = False) -> None:
        self.path = location(path)
        files = find_files(self.path)
        self._is_sqlite = ".db3" in files.paths[0].suffixes
        for remark in files.remarks:
            _warn_once(remark)
        try:
            self._reader = JoinedFiles(files, _warn_once)
        except (DamagedError, OSError) as error:
            raise BagError(self._explain(error)) from error
        self.types = standard_types()
        self._problems: dict[str, str] = {}
        connections = self._reader.connections
        # Messages of an earlier version of this package are read as they were then.
        for connection in connections:
            if connection.msgtype in own_types() and connection.encoding == "cdr" and connection.msgdef.data:
                self._problems[connection.msgtype] = self._learn(connection.msgtype, connection.msgdef)
        add_own_types(self.types)
        if not any(c.msgcount for c in connections):
            self.close()
            raise BagError(f"{self.path} is an empty recording: it holds 0 messages; record again")
        reasons = [self._unreadable(connection, raw) for connection in connections]
        self._connections = [c for c, reason in zip(connections, reasons, strict=True) if not reason]
        ignored = {c.topic: r for c, r in zip(connections, reasons, strict=True) if r and c.msgcount}
        self.topics = _topics(self._connections)
        for name, topic in self.topics.items():
            others = {c.msgtype for c in self._connections if c.topic == name and c.msgcount} - {topic.type}
            if others:
                ignored[name] = f"its {' and '.join(sorted(others))} beside {topic.type}"
        if ignored:
            sentence = _grouped(ignored)
            if not any(topic.count for topic in self.topics.values()):
                self.close()
                raise BagError(f"{self.path} holds no topic that can be read: {sentence}; {self._remedy()}")
            _warn_once(f"{self.path}: topics are left out: {sentence}")
        self.start_ns: int = self._reader.start_ns
        self.end_ns: int = self._reader.end_ns
        self.message_count: int = sum(topic.count for topic in self.topics.values())
        self._compare(files.counts)

    def _explain(self, error: Exception) -> str:
        remedy = "`sqlite3 FILE .recover | sqlite3 NEW.db3`" if self._is_sqlite else "`mcap recover`"
        return (
            f"{self.path} is damaged, cut off or not a recording ({error or type(error).__name__}); "
            f"try {remedy} or `ros2 bag reindex`, or record again"
        )

    def _unreadable(self, connection: Connection, raw: bool) -> str:
        """Why messages of this connection cannot be read; empty if they can."""
        if connection.encoding != "cdr":
            return f"{connection.encoding or 'unnamed'} messages instead of cdr"
        if raw:
            return ""
        kind = connection.msgtype
        if kind not in self._problems:
            self._problems[kind] = "" if kind in self.types.fielddefs else self._learn(kind, connection.msgdef)
        return self._problems[kind]

    def _learn(self, kind: str, recorded: MessageDefinition) -> str:
        """Take over a recorded definition; returns why that cannot be done, empty when it is."""
        parsers = {MessageDefinitionFormat.MSG: get_types_from_msg, MessageDefinitionFormat.IDL: _types_from_idl}
        if recorded.format not in parsers or not recorded.data:
            return f"the definition of {kind} is unknown"
        try:
            types = parsers[recorded.format](recorded.data, kind)
            self.types.register({k: v for k, v in types.items() if k not in self.types.fielddefs})
            self.types.generate_msgdef(kind, ros_version=2)  # fails where a type that it holds is unknown
        except Exception as error:  # a grammar has many ways to say no
            return f"the definition of {kind} cannot be used: {' '.join(str(error).split())[:80]}"
        return ""

    def _remedy(self) -> str:
        if any(c.encoding == "ros1" for c in self._reader.connections):
            return "these are messages of ROS 1: convert the original .bag with `rosbags-convert`"
        return "record with ROS 2"

    def _compare(self, announced: dict[str, int]) -> None:
        wrong = [
            f"{name} {announced[name]} instead of {topic.count}"
            for name, topic in sorted(self.topics.items())
            if announced.get(name, topic.count) != topic.count
        ]
        if wrong:
            _warn_once(f"{self.path}: metadata.yaml counts wrongly: {some(wrong)}; the files count")

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the files."""
        self._reader.close()

    def require(self, topics: Collection[str]) -> None:
        """Raise BagError unless every one of ``topics`` was recorded with at least one message."""
        missing = [t for t in topics if t not in self.topics or self.topics[t].count == 0]
        if missing:
            known = sorted(name for name, topic in self.topics.items() if topic.count)
            raise BagError(
                f"{self.path} has no messages on {', '.join(missing)}; it holds {', '.join(known)}"
                f"{did_you_mean(missing, known)}"
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
        wanted = {c for c in self._connections if (topics is None or c.topic in topics) and self._is_main(c)}
        expected = sum(c.msgcount for c in wanted)
        read = 0
        try:
            for stamp_ns, topic, cdr in self._reader.messages(wanted.__contains__, start_ns):
                read += 1
                yield self.topics[topic], stamp_ns, cdr
        except (DamagedError, OSError) as error:
            raise BagError(self._explain(error)) from error
        if start_ns is None and read == 0 < expected:
            raise BagError(self._explain(DamagedError(f"none of {expected} messages can be read")))

    def _is_main(self, connection: Connection) -> bool:
        return connection.msgtype == self.topics[connection.topic].type

    def deserialize(self, cdr: bytes, message_type: str) -> Any:
        """The message held by ``cdr``; arrays come as numpy.

        Raises:
            BagError: the type is unknown or the bytes do not fit it.
        """
        try:
            return self.types.deserialize_cdr(cdr, message_type)
        except Exception as error:
            raise BagError(
                f"{self.path}: cannot read a {message_type} ({error or type(error).__name__}); it is damaged, or was "
                "written by another definition of its type"
            ) from error


def read_messages(path: str | Location, *topics: str) -> Iterator[tuple[str, int, Any]]:
    """Topic name, time in nanoseconds and deserialised message, in time order, of ``topics`` (all when none is given).

    Raises:
        BagError: see ``BagReader``.
    """
    with BagReader(path) as bag:
        for topic, stamp_ns, cdr in bag.messages(topics or None):
            yield topic.name, stamp_ns, bag.deserialize(cdr, topic.type)


def _topics(connections: Iterable[Connection]) -> dict[str, Topic]:
    """By name; of several types under one name that with the most messages."""
    found: dict[str, list[Connection]] = {}
    for connection in connections:
        found.setdefault(connection.topic, []).append(connection)
    topics = {}
    for name, group in found.items():
        counts: Counter[str] = Counter()
        for connection in group:
            counts[connection.msgtype] += connection.msgcount
        kind, count = counts.most_common(1)[0]
        profiles = [profile for connection in group for profile in offered(connection.qos)]
        qos = LATCHED if is_static_tf(name) else strongest(profiles)
        topics[name] = Topic(name, kind, count, qos)
    return topics


def _grouped(ignored: dict[str, str]) -> str:
    """Topics by the reason why they are left out, a few of each named."""
    reasons: dict[str, list[str]] = {}
    for topic, reason in sorted(ignored.items()):
        reasons.setdefault(reason, []).append(topic)
    return ", ".join(f"{some(topics)} ({reason})" for reason, topics in reasons.items())


def _types_from_idl(text: str, _: str) -> Any:
    return get_types_from_idl(text)


@functools.lru_cache(maxsize=4096)
def _warn_once(sentence: str) -> None:
    """A recording is opened several times for one result; what is wrong with it is said once."""
    _LOG.warning("%s", sentence)


def forget_warnings() -> None:
    """Say again what is wrong with recordings that were opened before."""
    _warn_once.cache_clear()
