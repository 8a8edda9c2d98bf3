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

"""Tells from the latency of results that stamps and the clock of the node do not belong together."""

from __future__ import annotations

AHEAD_S = 0.1
"""Stamps this far in the future are of another clock, or of one that runs apart."""
BEHIND_S = 10.0
"""Beyond what a camera driver, a network and the inference itself take."""
OTHER_TIME_S = 3600.0
"""Stamps further away are of another time: their distance is no latency."""
TAI_S = (35.0, 38.0)
"""TAI is 37 s ahead of UTC; less the time until the result."""


def clock_fault(latency_s: float, now_ns: int, use_sim_time: bool) -> str:
    """One sentence with the value and the likely cause; empty for a latency that can be one.

    Args:
        latency_s: from the stamp of a set to its result.
        now_ns: the node's clock.
        use_sim_time: that clock comes from ``/clock``.
    """
    if -AHEAD_S <= latency_s <= BEHIND_S:
        return ""
    where = f"{latency_s:.1f} s behind" if latency_s > 0 else f"{-latency_s:.1f} s ahead of"
    sentence = f"image stamps are {where} the clock"
    if use_sim_time and now_ns == 0:
        return f"{sentence}, for use_sim_time is set but nobody has published /clock"
    if abs(latency_s) >= OTHER_TIME_S:
        if use_sim_time:
            return f"{sentence}, so no latency is reported; /clock is of another recording"
        return f"{sentence}, so no latency is reported; for a recording set use_sim_time and publish /clock"
    if TAI_S[0] <= -latency_s <= TAI_S[1]:
        return f"{sentence}: TAI is 37 s ahead of UTC; set the UTC offset of the PTP clock or the camera driver"
    if use_sim_time:
        return f"{sentence}; whoever publishes /clock is not where the images are"
    if latency_s > 0:
        return f"{sentence}; a recording needs use_sim_time and /clock, computers need the same time (PTP or chrony)"
    return f"{sentence}; give the computers of cameras and node the same time (PTP or chrony)"
