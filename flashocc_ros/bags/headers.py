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

"""The header of a serialised message without reading the rest of it."""

from __future__ import annotations

import struct

from flashocc_ros.errors import BagError


def header_stamp_ns(cdr: bytes | memoryview) -> int:
    """Stamp in nanoseconds of a serialised message that begins with a std_msgs/Header.

    Raises:
        BagError: it is too short to hold a stamp.
    """
    if len(cdr) < 12:
        raise BagError(f"a message of {len(cdr)} bytes is too short for its header (12 or more); record it again")
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def header_frame(cdr: bytes | memoryview) -> str:
    """``frame_id`` of a serialised message that begins with a std_msgs/Header; empty where the message is cut off."""
    if len(cdr) < 16:
        return ""
    (length,) = struct.unpack_from("<I" if cdr[1] & 1 else ">I", cdr, 12)  # in bytes, the null at the end included
    return bytes(cdr[16 : 16 + length]).partition(b"\0")[0].decode(errors="replace") if 16 + length <= len(cdr) else ""
