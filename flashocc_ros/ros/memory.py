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

"""Memory that is no longer needed, given back."""

from __future__ import annotations

import ctypes
import gc
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # rclpy takes half a second
    from rclpy.node import Node

M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3
"""Of glibc's ``malloc.h``."""
LARGE_BLOCK = 256 << 10
"""Bytes from which on a block is mapped by itself."""
SMALL_BLOCK, SMALL_BLOCKS = 1024, 7
"""Bytes from which on NumPy frees what it frees, and how many smaller blocks of a size it keeps (its ``alloc.c``)."""


def use_one_small_heap() -> None:
    """Let all threads allocate from one heap, and map what is large by itself; call it before there is a second thread.

    glibc gives threads up to eight heaps per core, and `give_back` returns the end of the first alone: each of the
    others keeps up to 64 MB for good, and every network that is loaded anew, with new threads, finds another one. What
    it once mapped it later takes from the heap, up to 32 MB a block: the heap of a node at work has 230 MB, not 70,
    and small blocks that stay lie all over it, each on a page that cannot be returned. Who has set
    ``MALLOC_ARENA_MAX`` or ``MALLOC_MMAP_THRESHOLD_`` keeps that; other C libraries have no such call and are left
    alone.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return
    for name, option, value in (
        ("MALLOC_ARENA_MAX", M_ARENA_MAX, 1),
        ("MALLOC_MMAP_THRESHOLD_", M_MMAP_THRESHOLD, LARGE_BLOCK),
    ):
        if name not in os.environ:
            set_option(option, value)


def fill_small_blocks() -> None:
    """Let NumPy have at once what it will keep anyway: seven freed blocks of each size below 1 kB, 3.6 MB.

    It keeps them for good. Taken one by one over the hours, between what a working network allocates and frees, each
    holds a page of 4 kB that `give_back` cannot return.
    """
    import numpy as np  # not above: `use_one_small_heap` comes before the threads that NumPy starts

    for size in range(1, SMALL_BLOCK):
        blocks = [np.empty(size, np.uint8) for _ in range(SMALL_BLOCKS)]
        del blocks


def give_back() -> None:
    """Free what is unreachable, and return what the C library keeps of it for itself.

    glibc keeps a freed network, some 90 MB of the smallest, whenever something small lies behind it. Other C libraries
    have no such call and are left alone.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def forget_destroyed(node: Node) -> None:
    """Free what rclpy notes for ever of each subscription, timer and service that a node once had.

    Its groups of callbacks keep a weak reference to each. For the thread that makes them alone.
    """
    known = node.default_callback_group.entities
    known.difference_update([entity for entity in tuple(known) if entity() is None])
