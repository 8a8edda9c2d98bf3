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

"""What a node has freed is the system's again."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flashocc_ros.ros.memory import give_back

CHECKOUT = Path(__file__).parents[2]
BLOCK = 64 << 10
"""Below what the C library maps one by one."""
BLOCKS = 2000
THREADS = 6
WORK_OF_THREADS = f"""
import threading
from pathlib import Path

from flashocc_ros.ros.memory import give_back, use_one_small_heap

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

def work(blocks):
    blocks += [bytearray(b"x") * {BLOCK} for _ in range({BLOCKS // THREADS})]
    blocks.clear()
    done.wait()

use_one_small_heap()
bytearray(30 << 20)  # after which glibc keeps 60 MB at the end of each heap
before_mb, done = resident_mb(), threading.Barrier({THREADS + 1})
for _ in range({THREADS}):
    threading.Thread(target=work, args=([],), daemon=True).start()
while done.n_waiting < {THREADS}:
    pass
give_back()
print(resident_mb() - before_mb)
"""

LARGE_BLOCKS = """
from benchmarks.soak.probe import look_inside
from flashocc_ros.ros.memory import use_one_small_heap

use_one_small_heap()
for _ in range(3):
    bytearray(20 << 20)  # glibc maps it and takes the next one from the heap
before = look_inside()
block = bytearray(20 << 20)
print(look_inside().mapped_mb - before.mapped_mb)
"""
SMALL_ARRAYS = """
import numpy as np

from benchmarks.soak.probe import look_inside
from flashocc_ros.ros.memory import fill_small_blocks

fill_small_blocks()
np.random.default_rng(0).integers(9)
before_mb = look_inside().heap_mb
for size in np.random.default_rng(0).integers(1, 1200, 5000).tolist():
    arrays = [np.empty(size, np.uint8) for _ in range(5)]
    del arrays
print(look_inside().heap_mb - before_mb)
"""


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="a C library without malloc_trim")
def test_freed_memory_below_something_in_use_is_given_back() -> None:
    blocks = [bytearray(b"x") * BLOCK for _ in range(BLOCKS)]
    del blocks[:-1]
    before_mb = resident_mb()
    give_back()
    assert before_mb - resident_mb() > 0.8 * BLOCK * BLOCKS / 2**20


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="a C library without mallopt")
def test_what_threads_have_freed_is_given_back() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    program = [sys.executable, "-c", WORK_OF_THREADS]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) < 0.2 * BLOCK * BLOCKS / 2**20


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="a C library without mallinfo2")
def test_small_arrays_leave_nothing_behind_once_their_blocks_are_there() -> None:
    program = [sys.executable, "-c", SMALL_ARRAYS]
    done = subprocess.run(program, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) < 0.1


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="a C library without mallinfo2")
def test_large_blocks_stay_out_of_the_heap() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MALLOC_MMAP_THRESHOLD_"}
    program = [sys.executable, "-c", LARGE_BLOCKS]
    done = subprocess.run(
        program, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert float(done.stdout) > 19
