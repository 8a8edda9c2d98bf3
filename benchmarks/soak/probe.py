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

"""The node with a window into its memory: ``python -m benchmarks.soak.probe FILE --ros-args ...``.

Each line on standard input is answered by a line of JSON in FILE: what the C library and Python hold. Only ``--rounds``
runs the node so; a soak runs it as users do.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import threading
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path


class _Mallinfo2(ctypes.Structure):
    """``struct mallinfo2`` of glibc 2.33 and later, bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    ]


@dataclass
class Inside:
    """What a process holds.

    Attributes:
        heap_mb: in use of the C library's heaps; mapped_mb: of its single mappings.
        blocks: of Python's allocator.
        objects: that Python's garbage collector knows, by type.
    """

    heap_mb: float
    mapped_mb: float
    blocks: int
    objects: dict[str, int]


def look_inside() -> Inside:
    """At this process."""
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    held = mallinfo2()
    objects = Counter(f"{type(o).__module__}.{type(o).__qualname__}" for o in gc.get_objects())
    return Inside(held.uordblks / 2**20, held.hblkhd / 2**20, sys.getallocatedblocks(), dict(objects))


def _answer(file: Path) -> None:
    with file.open("a", buffering=1) as stream:
        for _ in sys.stdin:
            stream.write(json.dumps(asdict(look_inside())) + "\n")


def main() -> None:
    from flashocc_ros.ros.main import main as run_node

    threading.Thread(target=_answer, args=(Path(sys.argv.pop(1)),), daemon=True).start()
    run_node()


if __name__ == "__main__":
    main()
