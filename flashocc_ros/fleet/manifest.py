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

"""``manifest.parquet``: a row for each recording, made of the ledger; any tool that reads Parquet can ask it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.fleet.ledger import Ledger, State
from flashocc_ros.whole_file import unwritable

NAME = "manifest.parquet"
ROWS = 4096
"""In memory at a time."""
LEFT_S = 3600.0
EVERY_S, LEAST_PAUSES = 30.0, 20
"""It is written again after so long, or after so many times as long as writing took."""


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(f"a manifest needs pyarrow ({error}): pip install 'flashocc_ros[fleet]'") from error
    return pyarrow


def check_installed() -> None:
    """Before anything is worked on.

    Raises:
        ConfigError: pyarrow is missing.
    """
    _pyarrow()


def _schema(pa: Any) -> Any:
    kinds: dict[Any, Any] = {int: pa.int64(), float: pa.float64(), list[str]: pa.list_(pa.string())}
    return pa.schema([(name, kinds.get(info.annotation, pa.string())) for name, info in State.model_fields.items()])


def write_manifest(ledger: Ledger, out: Path) -> Path:
    """Write all that is known now, whole.

    Raises:
        OutputError: it cannot be written; the old one stays.
    """
    pa = _pyarrow()
    path = out / NAME
    temporary = out / f".writing.{uuid4().hex[:12]}.{NAME}"  # several drivers may write at a time; each one whole
    schema = _schema(pa)
    try:
        with pa.parquet.ParquetWriter(temporary, schema) as writer:
            for rows in _batches(ledger.states()):
                writer.write_table(pa.Table.from_pylist([_row(state) for state in rows], schema))
        temporary.replace(path)
        _remove_left(out)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _remove_left(out: Path) -> None:
    """What drivers that were killed while they wrote have left."""
    for left in out.glob(f".writing.*.{NAME}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_S:
                left.unlink()


def read_manifest(path: Path) -> Iterator[State]:
    """The rows of a manifest, or of the one in a folder.

    Raises:
        InputError: there is none, or it is another table.
    """
    pa = _pyarrow()
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the manifest.parquet that `flashocc fleet predict` wrote")
    try:
        for batch in pa.parquet.ParquetFile(path).iter_batches(ROWS):
            for row in batch.to_pylist():
                yield State.model_validate(row | {"metrics": json.loads(row["metrics"])})
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no manifest of a fleet ({str(error)[:200]}); give another") from error


def _row(state: State) -> dict[str, Any]:
    return state.model_dump() | {"metrics": json.dumps(state.metrics)}


def _batches(states: Iterable[State]) -> Iterator[list[State]]:
    batch: list[State] = []
    for state in states:
        batch.append(state)
        if len(batch) == ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


class ManifestClock:
    """Writes the manifest at intervals that its own cost decides."""

    def __init__(self, ledger: Ledger, out: Path) -> None:
        self._ledger, self._out = ledger, out
        self._due_s = time.monotonic() + EVERY_S

    def tick(self) -> None:
        """Write it where it is time.

        Raises:
            OutputError: it cannot be written.
        """
        begin_s = time.monotonic()
        if begin_s >= self._due_s:
            write_manifest(self._ledger, self._out)
            end_s = time.monotonic()
            self._due_s = end_s + max(EVERY_S, LEAST_PAUSES * (end_s - begin_s))
