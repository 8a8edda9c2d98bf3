"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Free what is unreachable, and return what the C library keeps of it for itself.

    glibc keeps a freed network, some 90 MB of the smallest, whenever something small lies behind it. Other C libraries
    have no such call and are left alone.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
