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

"""One ``.db3`` file of a recording."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flashocc_ros.bags.storage import Connection, DamagedError, Message, definition


class SqliteFile:
    """See ``Storage``; every layout since ROS 2 Crystal.

    Raises:
        DamagedError: the database is damaged or not one of rosbag2.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # A recorder that was killed leaves its last messages in a log, which only an ordinary connection reads.
        log = Path(f"{path}-wal")
        self._uri = f"file:{quote(str(path.absolute()))}?mode=ro"
        if not log.exists() or log.stat().st_size == 0:
            self._uri += "&immutable=1"
        rows = self._query("SELECT topic_id, COUNT(*), MIN(timestamp), MAX(timestamp) FROM messages GROUP BY topic_id")
        # A column of SQLite may hold anything, whatever type it was declared with.
        if not all(isinstance(value, int) for row in rows for value in row):
            raise DamagedError("its table of messages is damaged")
        counts = {row[0]: row[1] for row in rows}
        self.start_ns = min((row[2] for row in rows), default=0)
        self.end_ns = max((row[3] for row in rows), default=0)
        columns = {row[1] for row in self._query("PRAGMA table_info(topics)")}
        qos = "offered_qos_profiles" if "offered_qos_profiles" in columns else "''"
        topics = self._query(f"SELECT id, name, type, serialization_format, {qos} FROM topics ORDER BY id")
        texts = [value for row in topics for value in (*row[1:4], row[4] or "")]
        if not all(isinstance(value, str) for value in texts) or not all(isinstance(row[0], int) for row in topics):
            raise DamagedError("its table of topics is damaged")
        definitions = self._definitions()
        self.connections = [
            Connection(
                key, name, kind, encoding, definition(*definitions.get(kind, ("", ""))), qos or "", counts.get(key, 0)
            )
            for key, name, kind, encoding, qos in topics
        ]

    def messages(self, connections: Collection[int], start_ns: int | None) -> Iterator[Message]:
        """See ``Storage``.

        Raises:
            DamagedError: the database is damaged; unlike in an MCAP, what else is damaged cannot be told.
        """
        wanted = ",".join(str(int(c)) for c in connections)
        first = "" if start_ns is None else f"AND timestamp >= {int(start_ns)}"
        query = (
            f"SELECT timestamp, topic_id, data FROM messages WHERE topic_id IN ({wanted}) {first} ORDER BY timestamp"
        )
        try:
            with closing(sqlite3.connect(self._uri, uri=True)) as database:
                for stamp_ns, connection, data in database.execute(query):
                    if not isinstance(stamp_ns, int) or not isinstance(data, bytes):
                        raise DamagedError("its table of messages is damaged")
                    yield Message(stamp_ns, connection, data)
        except sqlite3.Error as error:
            raise DamagedError(str(error)) from error

    def _definitions(self) -> dict[str, tuple[str, str]]:
        if not self._query("PRAGMA table_info(message_definitions)"):
            return {}
        rows = self._query("SELECT topic_type, encoding, encoded_message_definition FROM message_definitions")
        return {
            kind: (encoding, text)
            for kind, encoding, text in rows
            if isinstance(encoding, str) and isinstance(text, str)
        }

    def _query(self, query: str) -> list[Any]:
        try:
            with closing(sqlite3.connect(self._uri, uri=True)) as database:
                return database.execute(query).fetchall()
        except (sqlite3.Error, OverflowError) as error:
            raise DamagedError(str(error)) from error
