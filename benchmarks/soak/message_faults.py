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
