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

"""Finds a set among waiting images without knowing any delay between the cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TIGHT_NS = 50_000_000  # a burst this tight is one trigger even if the anchor is not the first to fire
LONGEST_NS = 125_000_000  # a sweep at 8 Hz; a longer burst could as well be of two triggers


def isolated_burst(
    stamps_ns: Mapping[str, Sequence[int]], anchor: str, delays_ns: Mapping[str, float]
) -> dict[str, int]:
    """One stamp per camera around the newest anchor stamp, when no other waiting stamp is near; empty without.

    Only for streams that have fallen silent: while images keep coming, the next one could be the better match. A burst
    counts as one trigger when it begins with the anchor or is at most 50 ms long, is never longer than 125 ms, and when
    all other stamps are at least twice its length and 100 ms away. Cameras without a stamp in it are left out. All
    compared in whole nanoseconds: a float of today's stamps is only good to 256 ns.

    Args:
        stamps_ns: waiting stamps of each camera that has any.
        anchor: the camera that defines the trigger.
        delays_ns: delays to the anchor where known; taken off before comparing.
    """
    if anchor not in stamps_ns:
        return {}
    key = stamps_ns[anchor][-1]
    chosen: dict[str, int] = {}
    triggers: list[int] = []
    rest: list[int] = []
    for name, stamps in stamps_ns.items():
        delay = round(delays_ns.get(name, 0.0))
        nearest = min(range(len(stamps)), key=[abs(stamp - delay - key) for stamp in stamps].__getitem__)
        inside = abs(stamps[nearest] - delay - key) <= LONGEST_NS
        if inside:
            chosen[name] = stamps[nearest]
            triggers.append(stamps[nearest] - delay)
        rest += [stamp - delay for index, stamp in enumerate(stamps) if index != nearest or not inside]
    start, end = min(triggers), max(triggers)
    if end - start > LONGEST_NS or (start < key and end - start > TIGHT_NS):
        return {}
    apart = 2 * max(end - start, TIGHT_NS)
    return {} if any(start - apart < trigger < end + apart for trigger in rest) else chosen
