"""All faults that come as messages, by name."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.soak.content_faults import CONTENT_FAULTS, info_size_wrong
from benchmarks.soak.messages import Shot
from benchmarks.soak.timing_faults import TIMING_FAULTS, camera_stalls, two_broken_triggers

Fault = Callable[[Shot], None]


def camera_stalls_with_huge_info(shot: Shot) -> None:
    """one camera sends nothing but a CameraInfo of up to 2^32 pixels"""
    camera_stalls(shot)
    info_size_wrong(shot)


MESSAGE_FAULTS: tuple[Fault, ...] = (*TIMING_FAULTS, *CONTENT_FAULTS)
"""What any running node bears."""
OTHER_MESSAGE_FAULTS: tuple[Fault, ...] = (camera_stalls_with_huge_info, two_broken_triggers)
"""Of lives with other parameters or at their beginning."""
