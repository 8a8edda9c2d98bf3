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

"""Is it the same recording? Sizes, heads and tails of its files; in MCAP the tail is the summary of the whole."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from flashocc_ros import remote
from flashocc_ros.errors import BagError
from flashocc_ros.remote import Location, RemotePath

END_BYTES = 65536


@dataclass(frozen=True)
class Fingerprint:
    """Of a recording.

    Attributes:
        bytes: size of all its files.
        sha256: of their names, sizes, first and last ``END_BYTES``; not of where they lie or when they were written.
        written_ns: latest change of a file, to notice one that is being written; of servers a number that changes with
            what they tell of it.
    """

    bytes: int
    sha256: str
    written_ns: int


def fingerprint(location: str) -> Fingerprint:
    """Of the recording at ``location``, a file or a folder.

    Raises:
        BagError: nothing is there.
        OSError: it cannot be read.
    """
    top = remote.location(location)
    if not top.exists():
        raise BagError(f"{location} does not exist any more; name recordings that are there")
    digest = hashlib.sha256()
    size, written_ns = 0, 0
    for path in sorted(file for file in top.iterdir() if file.is_file()) if top.is_dir() else [top]:
        status = path.stat()
        size, written_ns = size + status.st_size, max(written_ns, _change(path, status))
        digest.update(f"{path.name if path != top else path.suffix}\0{status.st_size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(END_BYTES))
            file.seek(max(0, status.st_size - END_BYTES))
            digest.update(file.read(END_BYTES))
    return Fingerprint(size, digest.hexdigest(), written_ns)


def _change(path: Location, status: os.stat_result) -> int:
    if isinstance(path, RemotePath):
        return int.from_bytes(hashlib.sha256(path.version.encode()).digest()[:7], "big")
    return status.st_mtime_ns
