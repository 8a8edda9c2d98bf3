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

"""A place on a server under the names that ``pathlib`` has for one on disk."""

from __future__ import annotations

import errno
import functools
import glob
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast
from urllib.parse import quote, unquote

from flashocc_ros.errors import ConfigError, InputError, OutputError, RemoteError
from flashocc_ros.remote.access import attempt, filesystem
from flashocc_ros.remote.cache import LocalCopy, limit_bytes, local_copy, present_copy
from flashocc_ros.remote.ranges import RangeFile, RangeReader
from flashocc_ros.remote.urls import WEB, is_url, scheme_of, shown, split_query

MOST_OF_CACHE = 0.25
"""A larger share of the room for copies is not given to a file that can be read without one."""
_MAGIC = "*?["
_UNKNOWN: Any = object()
_CHANGING = (
    *("etag", "contentmd5", "digest", "md5hash", "crc32c", "generation", "versionid"),
    *("lastmodified", "mtime", "modified", "updated", "created"),
)
"""What servers call that which changes with a file, without dashes and underscores."""


@functools.total_ordering
class RemotePath:
    """A file or folder behind a URL, with those of ``pathlib.Path``'s names that readers of recordings use.

    What the server says of it is asked once: a new object asks anew. As text it shows no credentials; ``url`` has them.

    Args:
        url: as fsspec takes it. At the end of one of the web a slash means a folder, which its links list.
        info: what is known of it already.
    """

    def __init__(self, url: str, info: Any = _UNKNOWN) -> None:
        base, query = split_query(url)
        scheme, _, rest = base.partition("://")
        self._is_web_folder = scheme.lower() in WEB and rest.endswith("/")
        self._base, self._query = f"{scheme.lower()}://{rest.rstrip('/') or rest}", query
        self._info: Any = {"type": "directory"} if self._is_web_folder else info
        self._reader: RangeReader | None = None
        self._copy: LocalCopy | None = None

    # ---------------------------------------------------------------- names
    @property
    def url(self) -> str:
        """With all that is secret in it."""
        return f"{self._base}{'/' * self._is_web_folder}{self._query}"

    @property
    def name(self) -> str:
        name = self._base.rpartition("/")[2]
        return unquote(name) if scheme_of(self._base) in WEB else name

    @property
    def suffixes(self) -> list[str]:
        return Path(self.name).suffixes

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        return Path(self.name).stem

    def with_name(self, name: str) -> RemotePath:
        """A file beside this one."""
        return self._named(self._base.rpartition("/")[0], name)

    def with_suffix(self, suffix: str) -> RemotePath:
        return self.with_name(Path(self.name).with_suffix(suffix).name)

    def resolve(self) -> RemotePath:
        """Itself: a URL is not relative to anything."""
        return self

    def __truediv__(self, name: str) -> RemotePath:
        return self._named(self._base, name)

    def _named(self, folder: str, name: str) -> RemotePath:
        if name in ("", ".", "..") or "/" in name:
            raise InputError(f"{name!r:.80} is no name of a file in {shown(folder)}; rename it")
        return RemotePath(f"{folder}/{quote(name) if scheme_of(folder) in WEB else name}{self._query}")

    def __str__(self) -> str:
        return shown(self.url)

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return self.url == other.url if isinstance(other, RemotePath) else NotImplemented

    def __lt__(self, other: RemotePath) -> bool:
        return self.url < other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __getstate__(self) -> str:
        return self.url

    def __setstate__(self, url: str) -> None:
        self.__init__(url)  # type: ignore[misc]  # another process asks and opens for itself

    # ---------------------------------------------------------------- what is there
    def exists(self) -> bool:
        """
        Raises:
            RemoteError: the server does not tell.
        """
        return self._look() is not None

    def is_file(self) -> bool:
        info = self._look()
        return info is not None and info["type"] == "file"

    def is_dir(self) -> bool:
        info = self._look()
        return info is not None and info["type"] == "directory"

    @property
    def size(self) -> int | None:
        """In bytes; None of a folder, and where the server does not tell."""
        info = self._look() or {}
        size = info.get("size")
        return int(size) if size is not None and info["type"] == "file" else None

    @property
    def has_ranges(self) -> bool:
        """False where the server is known to give whole files only."""
        info = self._look() or {}
        return self.size is not None and info.get("partial", True) is not False

    @property
    def version(self) -> str:
        """Text that changes when the file does, as far as its server tells: size, checksum, time of change."""
        info = self._look() or {}
        told = {str(key).lower().replace("-", "").replace("_", ""): value for key, value in info.items()}
        parts = [f"{key}={told[key]}" for key in _CHANGING if told.get(key)]
        return " ".join([f"size={info.get('size')}", *parts])

    def stat(self) -> os.stat_result:
        """Kind and size (0 where the server does not tell); nothing else of it means anything.

        Raises:
            FileNotFoundError: nothing is there.
            RemoteError: the server does not tell.
        """
        if not self.exists():
            raise FileNotFoundError(errno.ENOENT, "it does not exist", str(self))
        mode = stat.S_IFDIR if self.is_dir() else stat.S_IFREG if self.is_file() else stat.S_IFCHR
        return os.stat_result((mode, 0, 0, 0, 0, 0, self.size or 0, 0, 0, 0))

    def _look(self) -> dict[str, Any] | None:
        if self._info is _UNKNOWN:
            files, place = filesystem(self.url)

            def ask() -> dict[str, Any]:
                files.invalidate_cache(place)
                return dict(files.info(place))

            try:
                self._info = attempt(self.url, ask)
            except FileNotFoundError:
                self._info = None
        return self._info

    def iterdir(self) -> Iterator[RemotePath]:
        """What is in the folder.

        Raises:
            FileNotFoundError, RemoteError: it cannot be listed.
        """
        files, place = filesystem(self.url)

        def ask() -> list[dict[str, Any]]:
            files.invalidate_cache(place)
            return list(files.ls(place, detail=True))

        inside = place.rstrip("/") + "/"
        for info in attempt(self.url, ask):
            name = str(info["name"]).rstrip("/").removeprefix(inside)
            if name and "/" not in name:
                found = self / (unquote(name) if scheme_of(self._base) in WEB else name)
                if info.get("size") is not None or info["type"] == "directory":
                    found._info = info
                yield found

    # ---------------------------------------------------------------- content
    def open(self, mode: str = "rb") -> BinaryIO:
        """The file, read by ranges; where that cannot be, from a local copy.

        Raises:
            FileNotFoundError, RemoteError: it cannot be read.
        """
        if mode != "rb":
            raise ValueError(f"mode {mode!r} is none of a file that is only read")
        if self._copy is None and self._reader is None:
            self._copy = present_copy(self.url, self.name, self.version)
        if self._copy is None and self.has_ranges:
            if self._reader is None:
                self._reader = RangeReader(self.url, self.size or 0, self.local)
            return cast(BinaryIO, RangeFile(self._reader))  # one reader for all who have it open
        return self.local().open("rb")

    def read_bytes(self) -> bytes:
        with self.open() as file:
            return file.read()

    def expect(self, places: Iterable[tuple[int, int]]) -> None:
        """Begin and size in bytes of what will be read: neighbours are fetched together."""
        if self._reader is not None:
            self._reader.expect(places)

    @property
    def fetched(self) -> tuple[int, int]:
        """Bytes that were read by ranges so far, and requests for them."""
        return (0, 0) if self._reader is None else (self._reader.fetched, self._reader.requests)

    def local(self) -> Path:
        """A copy on disk, which stays there until ``release`` or as long as this object does.

        Raises:
            FileNotFoundError, RemoteError: the file cannot be read.
            OutputError: there is no room for it.
        """
        if self._copy is None:
            self._copy = local_copy(self.url, self.name, self.size, self.version)
        return self._copy.path

    def check_unchanged(self) -> None:
        """After parts of it were read at different times.

        Raises:
            RemoteError: it is another file by now.
        """
        if self._copy is None and RemotePath(self.url).version != self.version:
            raise RemoteError(f"{self} was replaced while it was read; run again")

    def copy_if_room(self) -> None:
        """Read from a copy from now on, as long as copies of several such files fit; else go on reading by ranges.

        Raises:
            FileNotFoundError, RemoteError: the file cannot be read.
        """
        if self._copy is None and (self.size or 0) <= limit_bytes() * MOST_OF_CACHE:
            with suppress(OutputError):  # others use it up, or the disk is full
                self.local()

    def release(self) -> None:
        """Let a copy make room for others."""
        if self._copy is not None:
            self._copy.close()
            self._copy = None


Location: TypeAlias = Path | RemotePath


def location(place: str | Path | RemotePath) -> Location:
    """A path or URL as what it is; ``file://`` is a path, and what the server said before is asked anew."""
    if isinstance(place, RemotePath):
        return RemotePath(place.url)
    text = str(place)
    if not is_url(text):
        return Path(place)
    if scheme_of(text) in ("file", "local"):
        return Path(text.partition("://")[2])
    return RemotePath(text)


def only_local(place: Location, what: str) -> Path:
    """The path of what is read from local disks only.

    Raises:
        ConfigError: it is on a server.
    """
    if isinstance(place, RemotePath):
        raise ConfigError(f"{place}: {what} is read from local disks only, of servers recordings; copy it here first")
    return place


def version_of(place: Location) -> str:
    """Text that changes when a file does, as far as can be told without reading it.

    Raises:
        OSError: nothing is there.
    """
    if isinstance(place, RemotePath):
        return RemotePath(place.url).version
    status = place.stat()
    return f"size={status.st_size} mtime={status.st_mtime_ns}"


def expand(patterns: Iterable[str | Path | RemotePath]) -> list[Location]:
    """What paths, URLs and patterns of them (``*``, ``?``, ``[]``, ``**``) name, each once, those of a pattern sorted.

    Raises:
        ConfigError: a pattern fits nothing, or there is none.
        RemoteError: a server does not tell.
    """
    found: dict[Location, None] = {}
    for pattern in patterns:
        place = location(pattern)
        text = place.url if isinstance(place, RemotePath) else str(place)
        has_magic = any(letter in split_query(text)[0] for letter in _MAGIC)
        if not has_magic or (isinstance(place, Path) and place.exists()):
            found[place] = None
            continue
        matches = _remote_matches(text) if isinstance(place, RemotePath) else glob.glob(text, recursive=True)
        if not matches:
            raise ConfigError(f"{shown(text) if is_url(text) else text} fits nothing; check the pattern")
        found.update(dict.fromkeys(location(match) for match in sorted(matches)))
    if not found:
        raise ConfigError("no recording is named; give paths, URLs or patterns")
    return list(found)


def _remote_matches(pattern: str) -> list[str]:
    files, place = filesystem(pattern)

    def ask() -> list[str]:
        files.invalidate_cache()
        return [str(match) for match in files.glob(place)]

    # what stands before the place in the pattern, the scheme and for some the host, stands before each match
    before = pattern.removesuffix(place) if pattern.endswith(place) else f"{scheme_of(pattern)}://"
    return [f"{before}{match}" for match in attempt(pattern, ask)]
