"""ROS time stamps as integer nanoseconds, and headers."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

NS_PER_S = 1_000_000_000


def ns_from_stamp(stamp: Time) -> int:
    """Nanoseconds of a ``builtin_interfaces/Time``."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def stamp_from_ns(stamp_ns: int) -> Time:
    """``builtin_interfaces/Time`` of nanoseconds."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def make_header(frame_id: str, stamp_ns: int) -> Header:
    """Header with a frame and a stamp."""
    return Header(frame_id=frame_id, stamp=stamp_from_ns(stamp_ns))
