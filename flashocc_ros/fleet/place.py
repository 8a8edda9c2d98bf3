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

"""Results in the folder they belong: each is made elsewhere and put there whole."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from flashocc_ros.engine.store.cache import file_sha256
from flashocc_ros.whole_file import make_folder, unwritable


def place(made: Path, out: Path, name: str) -> None:
    """A finished folder becomes ``out/name``; one that is there is replaced.

    Raises:
        OutputError: it cannot be moved there.
    """
    target, old = out / name, made.with_name(".replaced")
    make_folder(out)
    try:
        _to_disk(made)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        made.rename(target)
    except OSError as error:
        raise unwritable(target, error) from error
    shutil.rmtree(old, ignore_errors=True)


def remove(out: Path, name: str) -> None:
    """Take away a result that is of something else by now.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        if is_placed(out, name):
            shutil.rmtree(out / name)
    except OSError as error:
        raise unwritable(out / name, error) from error


def is_placed(out: Path, name: str) -> bool:
    """Whether there is a result of that name."""
    return (out / name).is_dir()


def digest(folder: Path) -> tuple[int, str]:
    """Size and SHA-256 of the files of a result, their names included."""
    size, sha256 = 0, hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        size += path.stat().st_size
        sha256.update(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\0".encode())
    return size, sha256.hexdigest()


def _to_disk(folder: Path) -> None:
    """Before its name points to it: some file systems tell only now that they are full."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
