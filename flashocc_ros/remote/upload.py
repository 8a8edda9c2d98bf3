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

"""Results that go to a server: made on this machine, then sent, so that no half of one is ever taken for a whole.

A store of objects shows an object when all of it has come. Where a file grows under its name instead, it gets another
name first and is renamed. Of a folder the file that marks it as whole goes last.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flashocc_ros.remote.access import attempt, filesystem
from flashocc_ros.remote.path import Location, RemotePath
from flashocc_ros.whole_file import whole_file, whole_folder

MARKER = "metadata.yaml"
"""What a recording has once it is whole."""


@contextmanager
def output_file(target: Location) -> Iterator[Path]:
    """A local name to write a file to, which is at ``target`` when the block is left; see ``whole_file``.

    Raises:
        OutputError, RemoteError: it cannot be written there; what was there stays.
    """
    if isinstance(target, Path):
        with whole_file(target) as path:
            yield path
        return
    with tempfile.TemporaryDirectory(prefix="flashocc_") as folder:
        yield Path(folder, target.name)
        upload(Path(folder, target.name), target)


@contextmanager
def output_folder(target: Location, marker: str = MARKER) -> Iterator[Path]:
    """A local name to make a folder at, which is at ``target`` when the block is left; see ``whole_folder``.

    Args:
        target: where it goes; a folder that is there on a server is replaced.
        marker: the file in it that is sent last.

    Raises:
        OutputError, RemoteError: it cannot be written there.
    """
    if isinstance(target, Path):
        with whole_folder(target) as path:
            yield path
        return
    with tempfile.TemporaryDirectory(prefix="flashocc_") as folder:
        yield Path(folder, target.name)
        upload(Path(folder, target.name), target, marker)


def upload(source: Path, target: RemotePath, marker: str = MARKER) -> None:
    """Send a file or a folder; an older one under this name is replaced, its marker first.

    Raises:
        RemoteError: the server fails.
    """
    files, place = filesystem(target.url)
    if source.is_file():
        _send(files, source, place, target.url)
        return
    place = place.rstrip("/")
    inside = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
    names = sorted(inside, key=lambda name: (name == marker, name))
    _remove_all_but(files, place, marker, names, target.url)
    for name in names:
        _send(files, source / name, f"{place}/{name}", target.url)


def _remove_all_but(files: Any, place: str, marker: str, names: list[str], url: str) -> None:
    """Of an older result: the marker, without which it is none, and then what the new one does not replace."""

    def there() -> list[str]:
        files.invalidate_cache()
        return [str(path) for path in files.find(place)]

    with suppress(FileNotFoundError):
        old = attempt(url, there)
        for path in sorted(old, key=lambda path: not path.endswith(f"/{marker}")):
            name = path.rpartition(f"{place.lstrip('/')}/")[2]
            if name == marker or name not in names:
                attempt(url, functools.partial(files.rm_file, path))


def _send(files: Any, source: Path, place: str, url: str) -> None:
    """One file, whole or not at all; its size there is compared."""
    from fsspec import AbstractFileSystem

    renames = type(files).mv is not AbstractFileSystem.mv  # else a move is a copy, and the store shows no half object
    folder, _, name = place.rpartition("/")
    temporary = f"{folder}/.writing.{name}" if renames else place
    size = source.stat().st_size

    def put() -> None:
        if folder:
            files.makedirs(folder, exist_ok=True)
        files.put_file(str(source), temporary)
        files.invalidate_cache()
        there = files.info(temporary)["size"]
        if there != size:
            raise OSError(f"{there} of {size} bytes arrived")
        if renames:
            files.mv(temporary, place)

    try:
        attempt(url, put)
    except BaseException:
        if renames:
            with suppress(Exception):
                files.rm_file(temporary)
        raise
