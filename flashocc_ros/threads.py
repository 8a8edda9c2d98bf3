"""How many threads CPU engines and poolers use."""

from __future__ import annotations

import os


def worker_count() -> int:
    """``OMP_NUM_THREADS`` when set, never more than the cores this process may use."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(int(limit), available)) if limit.isdigit() else available
