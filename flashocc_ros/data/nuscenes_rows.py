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

"""Rows of the JSON tables of nuScenes, checked as they are read: whatever is wrong is named by table, token and column.

The real tables have up to 2.6 million rows, so a row is checked by plain comparisons of the columns that are used.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flashocc_ros import plain_json
from flashocc_ros.errors import InputError

Row = dict[str, Any]

_REMEDY = "unpack the tables again"
_MAX_STAMP_US = 1 << 53

_COLUMNS: dict[str, dict[str, type]] = {
    "scene": {"token": str, "name": str},
    "sample": {"token": str, "scene_token": str, "timestamp": int},
    "sample_data": {
        "token": str,
        "sample_token": str,
        "ego_pose_token": str,
        "calibrated_sensor_token": str,
        "timestamp": int,
        "is_key_frame": bool,
        "filename": str,
    },
    "ego_pose": {"token": str, "translation": list, "rotation": list},
    "sensor": {"token": str, "channel": str},
    "calibrated_sensor": {
        "token": str,
        "sensor_token": str,
        "translation": list,
        "rotation": list,
        "camera_intrinsic": list,
    },
    "category": {"token": str, "name": str},
    "lidarseg": {"token": str, "sample_data_token": str, "filename": str},
    "instance": {"token": str, "category_token": str},
    "sample_annotation": {
        "token": str,
        "sample_token": str,
        "instance_token": str,
        "translation": list,
        "rotation": list,
        "size": list,
        "prev": str,
        "next": str,
        "num_lidar_pts": int,
        "num_radar_pts": int,
    },
}
"""The columns that are used, by table."""

_NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list"}


class Tables:
    """The tables of one version.

    Args:
        folder: e.g. ``nuscenes/v1.0-trainval``.

    Every method raises InputError for a table that is missing or damaged and for a row that cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, list[Row]] = {}

    def path(self, table: str) -> Path:
        """File of a table."""
        return self.folder / f"{table}.json"

    def rows(self, table: str) -> list[Row]:
        """All rows, with the columns of ``_COLUMNS`` there and of their types."""
        if table not in self._rows:
            path = self.path(table)
            try:
                rows = plain_json.parse(path.read_bytes())
            except OSError as error:
                raise InputError(
                    f"cannot read {path}: {error.strerror}; give the folder above {path.parent.name}/"
                ) from error
            except ValueError as error:
                raise InputError(f"{path} is damaged: {error}; {_REMEDY}") from error
            if not isinstance(rows, list):
                raise InputError(f"{path} holds {_short(rows)}, needs a list of rows; {_REMEDY}")
            for index, row in enumerate(rows):
                if (why := _why_no_row(row, _COLUMNS[table])) is not None:
                    raise InputError(f"{path}: {_name_of(row, index)} {why}; {_REMEDY}")
            self._rows[table] = rows
        return self._rows[table]

    def by_token(self, table: str, only: set[str] | None = None) -> dict[str, Row]:
        """Rows by their token, which no two may share."""
        rows = [row for row in self.rows(table) if only is None or row["token"] in only]
        found = {row["token"]: row for row in rows}
        if len(found) != len(rows):
            tokens = Counter(row["token"] for row in rows)
            twice = tokens.most_common(1)[0][0]
            raise InputError(f"{self.path(table)} has two rows with token {twice}; {_REMEDY}")
        return found

    def follow(self, table: str, row: Row, column: str, target: str, rows: dict[str, Any]) -> Any:
        """What ``row`` of ``table`` refers to by its ``column``: an entry of ``rows``, which come from ``target``."""
        token = row[column]
        if token not in rows:
            raise InputError(
                f"{self.path(table)}: row {row['token']} has {column} {token!r}, which {target}.json does not hold; "
                f"{_REMEDY}"
            )
        return rows[token]


def numbers(row: Row, column: str, length: int) -> list[float]:
    """The ``length`` finite numbers of a column.

    Raises:
        InputError: it holds something else.
    """
    values: Sequence[Any] = row[column]
    if len(values) != length or not all(_is_number(value) for value in values):
        raise InputError(f"row {row['token']} has {column} {_short(values)}, needs {length} finite numbers; {_REMEDY}")
    return [float(value) for value in values]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _why_no_row(row: Any, columns: dict[str, type]) -> str | None:
    if not isinstance(row, dict):
        return f"is {_short(row)}, needs columns and values"
    for column, kind in columns.items():
        # a bool is an int for isinstance; as a number it is a mistake
        if type(row.get(column)) is not kind:
            held = f"has {column} {_short(row[column])}" if column in row else f"has no {column}"
            return f"{held}, needs {_NAMES[kind]}"
    if not 0 <= row.get("timestamp", 0) <= _MAX_STAMP_US:
        return f"has timestamp {_short(row['timestamp'])}, needs microseconds from 0 to {_MAX_STAMP_US}"
    for column in ("num_lidar_pts", "num_radar_pts"):
        if row.get(column, 0) < 0:
            return f"has {column} {_short(row[column])}, needs at least 0"
    return None


def _name_of(row: Any, index: int) -> str:
    token = row.get("token") if isinstance(row, dict) else None
    return f"row {token}" if isinstance(token, str) else f"row number {index}"


def _short(value: Any) -> str:
    """The value in a few characters, however long or deeply nested it is."""
    if isinstance(value, list | dict) and len(value) > 16:
        return f"a {type(value).__name__} of {len(value)} entries"
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # ValueError: a whole number of thousands of digits
        return f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}..."
