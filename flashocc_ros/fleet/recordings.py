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

"""Which recordings are meant, and what their results are called."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flashocc_ros import remote
from flashocc_ros.bags.files import SUFFIXES, is_recording
from flashocc_ros.errors import ConfigError
from flashocc_ros.remote import Location, RemotePath, is_url

MAX_NAME = 200


@dataclass(frozen=True)
class Recording:
    """One to work on.

    Attributes:
        name: its path below the first folder with a wildcard, ``/`` as ``__``, without suffix: what results are
            called, wherever the recordings lie.
        location: whole path of the file or folder, or its URL.
        bytes: its size.
    """

    name: str
    location: str
    bytes: int


def find_recordings(patterns: Sequence[str], out: Path | None = None) -> list[Recording]:
    """The recordings that paths and patterns (``*``, ``?``, ``[...]``, ``**``) name, by name; each is listed once.

    Args:
        out: folder of results, which are recordings too but not meant.

    Raises:
        ConfigError: none matches, a path does not exist, two have the same name, or a name is too long for a folder.
    """
    roots: dict[str, str] = {}
    for pattern in patterns:
        for location in _matches(pattern):
            roots.setdefault(location, _root(pattern))
    named: dict[str, str] = {}
    for location, root in roots.items():
        is_result = out is not None and not is_url(location) and Path(location).absolute().is_relative_to(out)
        if os.path.dirname(location) in roots or is_result:
            continue  # a file of a recording that is there as a folder, or a result
        name = _name(location, root)
        other = named.setdefault(name, location)
        if other != location:
            raise ConfigError(
                f"{other} and {location} would both give results called {name}; name them by one pattern that begins "
                "above both, such as 'drives/**/*.mcap'"
            )
    if not named:
        raise ConfigError(
            f"no recording matches {' '.join(patterns)[:500]}; give rosbag2 folders, .mcap or .db3 files, or a pattern "
            "of them in quotes"
        )
    return [
        Recording(name, location if is_url(location) else os.path.abspath(location), _size(remote.location(location)))
        for name, location in sorted(named.items())
    ]


def shard(recordings: Sequence[Recording], text: str) -> list[Recording]:
    """Those of part I of N, given as ``I/N`` with I from 1; N such parts are all of them, each once.

    Parts get every N-th recording, largest first, so that they take about as long.

    Raises:
        ConfigError: it is none such.
    """
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise ConfigError(f"--shard {text:.40} must be I/N with I from 1 to N, e.g. 1/8")
    ordered = sorted(recordings, key=lambda recording: (-recording.bytes, recording.name))
    return sorted(ordered[int(first) - 1 :: int(second)], key=lambda recording: recording.name)


def _matches(pattern: str) -> Iterable[str]:
    if is_url(pattern):
        return _on_servers(pattern)
    if not glob.has_magic(pattern):
        if not os.path.exists(pattern):
            raise ConfigError(f"{pattern:.500} does not exist; give recordings that are there, or a pattern in quotes")
        return [os.path.normpath(pattern)]  # whether it can be read is told with all others
    root = _root(pattern)
    paths = (os.path.normpath(path) for path in glob.iglob(pattern, recursive=True))
    return (path for path in paths if path != root and is_recording(Path(path)))


def _on_servers(pattern: str) -> list[str]:
    places = [place for place in remote.expand([pattern]) if is_recording(place)]
    for place in places:
        if isinstance(place, RemotePath) and place.url != str(place):
            raise ConfigError(
                f"{place} is given with a password or a signature, which the manifest would tell everybody; leave "
                "them to fsspec's settings"
            )
    return [str(place) for place in places]


def _root(pattern: str) -> str:
    """The folder of a pattern that no wildcard touches; of a path, the folder it lies in."""
    parts = (pattern if is_url(pattern) else os.path.normpath(pattern)).split(os.sep)
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return os.sep.join(parts[:fixed]) or (os.sep if pattern.startswith(os.sep) else ".")


def _name(location: str, root: str) -> str:
    relative = os.path.relpath(location, root)
    if relative in (".", ".."):
        relative = os.path.basename(os.path.abspath(location))
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if relative.endswith(suffix) and relative != suffix:
            relative = relative.removesuffix(suffix)
            break
    name = relative.replace(os.sep, "__").lstrip(".")
    if not name or len(name.encode()) > MAX_NAME:
        raise ConfigError(f"{location:.300} gives no name of 1 to {MAX_NAME} bytes for its results; rename it")
    return name


def _size(path: Location) -> int:
    try:
        if path.is_dir():
            return sum(entry.stat().st_size for entry in path.iterdir() if entry.is_file())
        return path.stat().st_size
    except OSError:
        return 0  # told when it is its turn
