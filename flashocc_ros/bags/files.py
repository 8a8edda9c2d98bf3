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

"""Which files make up a recording. Their content says what they are; ``metadata.yaml`` only helps where it exists."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from flashocc_ros import bounded_yaml
from flashocc_ros.errors import BagError, FlashOccError
from flashocc_ros.remote import Location

METADATA = "metadata.yaml"
MAX_FILES = 4096
SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd", ".mcap.zst", ".db3.zst")

_MAGIC = {
    b"\x89MCAP0\r\n": "mcap",
    b"SQLite format 3\0": "sqlite3",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"#ROSBAG V": "ros1",
}


@dataclass(frozen=True)
class RecordingFiles:
    """The files of a recording.

    Attributes:
        paths: the files, regular ones all of them.
        counts: messages per topic that ``metadata.yaml`` announces, empty without.
        remarks: what was wrong and is made up for, a sentence each.
    """

    paths: tuple[Location, ...]
    counts: dict[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def is_recording(path: Location) -> bool:
    """Whether ``path`` should be opened as a recording: a folder with its index or files, or such a file itself."""
    if path.is_dir():
        return (path / METADATA).exists() or bool(_inside(path))
    return path.name.endswith((*SUFFIXES, ".bag")) or (path.is_file() and content_kind(path) is not None)


def content_kind(path: Location) -> str | None:
    """``mcap``, ``sqlite3``, ``zstd`` (a compressed file) or ``ros1`` by a file's first bytes; None for all others."""
    with path.open("rb") as file:
        head = file.read(16)
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def find_files(path: Location) -> RecordingFiles:
    """The files of the recording at ``path``, a folder or one file.

    Raises:
        BagError: nothing is there, it is no recording, or its index is out of bounds.
    """
    try:
        mode = path.stat().st_mode
    except FlashOccError:
        raise
    except (OSError, ValueError) as error:
        raise BagError(f"{path} does not exist; give the folder of a rosbag2 recording or its file") from error
    if stat.S_ISREG(mode):
        return _single(path)
    if not stat.S_ISDIR(mode):
        raise BagError(f"{path} is neither a folder nor a regular file; write the recording to a file first")
    found = _inside(path)
    if len(found) > MAX_FILES:
        raise BagError(f"{path} holds {len(found)} files, the limit is {MAX_FILES}; merge them or give single files")
    index = path / METADATA
    if not index.exists():
        if not found:
            raise BagError(
                f"{path} is no rosbag2 recording: it has no {METADATA} and no .mcap or .db3 file; "
                "give the recording's folder or its file"
            )
        return RecordingFiles(tuple(found), remarks=(f"{path} has no {METADATA}; its files are read without it",))
    try:
        information = _information(index)
    except ValueError as error:
        if not found:
            raise BagError(f"{index} cannot be used ({error}), and no recording lies beside it") from error
        return RecordingFiles(tuple(found), remarks=(f"{index} is ignored: {error}",))
    return _listed(path, found, information)


def _single(path: Location) -> RecordingFiles:
    kind = content_kind(path)
    if kind == "ros1" or (kind is None and path.suffix == ".bag"):
        raise BagError(
            f"{path} is a ROS 1 recording; convert it with `rosbags-convert --src {path} --dst {path.with_suffix('')}`"
        )
    if kind is None and not path.name.endswith(SUFFIXES):
        raise BagError(f"{path} is no recording: expected a rosbag2 folder, an .mcap or a .db3 file")
    return RecordingFiles((path,))


def _inside(folder: Location) -> list[Location]:
    """Recordings in a folder, regular files only: a pipe would be waited for in vain."""
    return sorted(p for p in folder.iterdir() if p.name.endswith(SUFFIXES) and p.is_file())


def _information(index: Location) -> dict[str, Any]:
    """The content of ``metadata.yaml``.

    Raises:
        BagError: it is no regular file or too large.
        ValueError: it is not what rosbag2 writes.
    """
    remedy = "delete it, the recording's files are read without it"
    if not index.is_file():
        raise BagError(f"{index} is not a regular file; {remedy}")
    size = index.stat().st_size
    if size > bounded_yaml.MAX_BYTES:
        raise BagError(
            f"{index} is {size / 1e6:.1f} MB long, the limit is {bounded_yaml.MAX_BYTES / 1e6:.1f} MB; {remedy}"
        )
    document = bounded_yaml.load(index.read_bytes())
    information = document.get("rosbag2_bagfile_information") if isinstance(document, dict) else None
    if not isinstance(information, dict):
        raise ValueError("it has no rosbag2_bagfile_information")
    return information


def _listed(path: Location, found: list[Location], information: dict[str, Any]) -> RecordingFiles:
    names = information.get("relative_file_paths")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        names = []
    if len(names) > MAX_FILES:
        raise BagError(f"{path / METADATA} lists {len(names)} files, the limit is {MAX_FILES}; list each file once")
    compression = information.get("compression_format") or "zstd"
    if compression not in ("zstd", "none"):
        raise BagError(f"{path} is compressed with {compression!r}, only zstd can be read; decompress its files first")
    # like rosbag2 after a move: the names count, not the folders
    listed = [path / PurePath(name).name for name in dict.fromkeys(names)]
    missing = [file.name for file in listed if not file.exists()]
    remarks = []
    for file in listed:
        if file.exists() and not file.is_file():
            raise BagError(f"{file} is not a regular file, as a recording must be; remove it from {METADATA}")
    usable = [file for file in listed if file.name not in missing]
    if missing and (usable or found):
        remarks.append(
            f"{path} lacks {len(missing)} of the {len(listed)} files that its {METADATA} lists ({some(missing)}); "
            "what is there is used"
        )
    if not usable and not found:
        lacking = f"lacks the files that its {METADATA} lists ({some(missing)})" if missing else "holds no files"
        raise BagError(f"{path} {lacking}; copy the .mcap or .db3 files into it")
    return RecordingFiles(tuple(usable or found), _counts(information), tuple(remarks))


def _counts(information: dict[str, Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    entries = information.get("topics_with_message_count")
    for entry in entries if isinstance(entries, list) else ():
        topic = entry.get("topic_metadata") if isinstance(entry, dict) else None
        name = topic.get("name") if isinstance(topic, dict) else None
        count = entry.get("message_count") if isinstance(entry, dict) else None
        if isinstance(name, str) and isinstance(count, int):
            counts[name] = counts.get(name, 0) + count
    return counts


def some(names: Sequence[str]) -> str:
    """The first few of ``names`` for a sentence, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
