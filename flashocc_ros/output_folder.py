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

"""A folder that a command writes into, and the marker in it that tells which of its files are ours."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flashocc_ros import plain_json
from flashocc_ros.errors import ConfigError

MARKER = ".made_by_flashocc"
"""One JSON object per line: a ``name`` in the folder and its ``files``, or None from before it is written until after.

``files`` holds size in bytes and time of the last change in ns by path relative to ``name``; without any the name is
free again. The last line about a name counts.
"""

Stamps = dict[str, list[int]]


class OutputFolder:
    """Where a command writes. Removes and replaces only what its marker says we made and nobody changed since.

    The marker claims a name before anything is written there, so what a killed run left half written, which is newer
    than the marker, is ours too.
    Folders from before there was a marker, and symbolic links, are never ours.

    Args:
        path: the folder; made on the first ``writing``.

    Raises:
        ConfigError: it is a file.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise ConfigError(f"--out {path} is a file; give a folder")
        self.path = path
        self._made, self._left_over = _read(path / MARKER)

    @contextmanager
    def writing(
        self, names: Collection[str], *, stale: Collection[str] = (), inputs: Collection[Path] = ()
    ) -> Iterator[None]:
        """Make way for ``names`` in the folder; what stands there when the block is left, however, is marked as ours.

        Args:
            names: files and folders that the block may write; an earlier run's are removed.
            stale: further ones that are removed where an earlier run of ours made them, else left alone.
            inputs: files and folders the block reads; never removed.

        Raises:
            ConfigError: something that is not ours or an input is in the way, the folder lies inside an input, or it
                cannot be written. Nothing was removed.
        """
        self._refuse(names, inputs)
        removable = [n for n in stale if n in self._made and self._foreign(n) is None and not self._holds(n, inputs)]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for name in (*names, *removable):
                _remove(self.path / name)
            self._mark({name: {} for name in removable} | dict.fromkeys(names))
        except OSError as error:
            raise ConfigError(
                f"--out {self.path} cannot be written ({error.strerror or error}); choose another --out"
            ) from error
        try:
            yield
        finally:
            self._mark({name: _stamps(self.path / name) for name in names})

    def _refuse(self, names: Collection[str], inputs: Collection[Path]) -> None:
        here = self.path.resolve()
        for path in inputs:
            if path.resolve() in (here, *here.parents):
                raise ConfigError(f"--out {self.path} lies inside the input {path}; choose another --out")
        for name in names:
            for path in inputs:
                if self._holds(name, (path,)):
                    raise ConfigError(
                        f"the input {path} lies where {self.path / name} is to be written; choose another --out"
                    )
            foreign = self._foreign(name)
            if foreign is not None:
                raise ConfigError(
                    f"{foreign} is in the way, and no marker says that it was made here and left unchanged; "
                    "move it or choose another --out"
                )

    def _holds(self, name: str, inputs: Collection[Path]) -> bool:
        target = (self.path / name).resolve()
        return any(target in (path.resolve(), *path.resolve().parents) for path in inputs)

    def _foreign(self, name: str) -> Path | None:
        """The first thing at or below ``name`` that is not ours, None when there is none."""
        top = self.path / name
        made = self._made.get(name)
        if not made:
            return top if top.exists() or top.is_symlink() else None
        return next((f for f in _files(top) if f.is_symlink() or made.get(_relative(f, top)) != _stamp(f)), None)

    def _mark(self, made: Mapping[str, Stamps | None]) -> None:
        made, self._left_over = {**self._left_over, **made}, {}
        self._made |= {name: files or {} for name, files in made.items()}
        with (self.path / MARKER).open("a") as file:
            file.writelines(json.dumps({"name": name, "files": files}) + "\n" for name, files in made.items())


def _read(marker: Path) -> tuple[dict[str, Stamps], dict[str, Stamps]]:
    """What is ours in the marker's folder, and those of them that a killed run left half written."""
    if not marker.is_file():
        return {}, {}
    made: dict[str, Stamps] = {}
    claimed: dict[str, Stamps] = {}
    written_ns = marker.stat().st_mtime_ns
    for line in marker.read_text(errors="replace").splitlines():
        try:
            entry: dict[str, Any] = plain_json.parse(line)
            name, files = entry["name"], entry["files"]
        except (ValueError, LookupError, TypeError):
            continue  # a line cut off by a full disk proves nothing
        if files is None:
            claimed[name] = {}
        else:
            made[name] = files
            claimed.pop(name, None)
    for name in claimed:
        stamps = _stamps(marker.parent / name)
        claimed[name] = {file: stamp for file, stamp in stamps.items() if stamp[1] >= written_ns}
    return made | claimed, claimed


def _files(top: Path) -> list[Path]:
    """Everything at or below ``top`` but real folders; links are not followed."""
    if top.is_dir() and not top.is_symlink():
        return [file for path in sorted(top.iterdir()) for file in _files(path)]
    return [top] if top.exists() or top.is_symlink() else []


def _stamps(top: Path) -> Stamps:
    """Of the files at or below ``top``, and of a folder itself: an empty one of ours is not a free name."""
    return {_relative(path, top): _stamp(path) for path in (*([top] if top.is_dir() else ()), *_files(top))}


def _stamp(file: Path) -> list[int]:
    status = file.lstat()
    return [status.st_size, status.st_mtime_ns]


def _relative(file: Path, top: Path) -> str:
    return file.relative_to(top).as_posix()


def _remove(top: Path) -> None:
    if top.is_dir():
        for path in top.iterdir():
            _remove(path)
        top.rmdir()
    else:
        top.unlink(missing_ok=True)
