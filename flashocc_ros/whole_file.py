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

"""Files and folders that are whole or not there: no reader, Ctrl-C or full disk ever leaves half of one."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flashocc_ros.errors import OutputError

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Where writing fails whoever writes: libraries raise them too."""
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/[^/]")  # a path has one slash where a URL has two


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; when the block is left the file there replaces ``path``.

    An error or Ctrl-C leaves ``path`` as it was and nothing beside it; what a killed run leaves is replaced by the next
    one. The name keeps the suffix of ``path``. Missing folders are made. What is no file, such as /dev/stdout, is
    written to directly, and a link stays one.

    Raises:
        OutputError: the block or the replacement ended in an OSError, as on a full disk.
    """
    _refuse_url(path)
    # Standard output that the shell redirected counts as a file, but the shell would go on writing to the old one.
    direct = (path.exists() and not path.is_file()) or str(path).startswith(("/dev/", "/proc/"))
    target = path if direct else Path(os.path.realpath(path))
    temporary = path if direct else target.with_name(f".writing.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if not direct:
            _to_disk(temporary)
            temporary.replace(target)
    except BaseException as error:
        if not direct:
            with suppress(OSError):  # the folder may not even exist
                temporary.unlink()
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A name of the same last part to make a folder at; when the block is left the folder becomes ``path``.

    It lies in a folder beside ``path``. An error or Ctrl-C leaves nothing, and what a killed run leaves is replaced by
    the next one. ``path`` must not exist; missing folders above it are made.

    Raises:
        OutputError: the block or the renaming ended in an OSError, as on a full disk.
    """
    _refuse_url(path)
    target = Path(os.path.realpath(path))
    around = target.with_name(f".writing.{target.name}")
    try:
        shutil.rmtree(around, ignore_errors=True)
        around.mkdir(parents=True)
        yield around / target.name
        (around / target.name).rename(target)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        shutil.rmtree(around, ignore_errors=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """``whole_file`` for what is in memory.

    Raises:
        OutputError: it cannot be written; what was there stays.
    """
    with whole_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def check_writable(path: Path) -> None:
    """Before long work whose result goes to ``path``: make its folder.

    Raises:
        OutputError: ``path`` is a folder, or its own cannot be made or written to.
    """
    _refuse_url(path)
    if path.is_dir():
        raise OutputError(f"cannot write {path} (it is a folder); give the name of a file")
    if not path.exists():
        make_folder(path.parent)
        if not os.access(path.parent, os.W_OK):
            raise OutputError(f"cannot write {path} (no permission for {path.parent}); choose another place")


def make_folder(path: Path) -> None:
    """A folder for results, with its parents.

    Raises:
        OutputError: it is a file, or cannot be made.
    """
    _refuse_url(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> OutputError:
    """One sentence for a file or folder that the system refuses to write."""
    return OutputError(f"cannot write {path} ({error.strerror or error}); free some space or choose another place")


def _refuse_url(path: Path) -> None:
    """Instead of a folder called ``s3:`` in the working directory."""
    if _URL.match(str(path)):
        raise OutputError(f"cannot write {path}: results of this command go to local disks; give a path, then copy it")


def _to_disk(path: Path) -> None:
    """Before the name points to it: some file systems tell only now that they are full."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
