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

"""Tells a camera topic with two publishers from a recording that starts over.

Both send stamps that go back. A recording that starts over does so once per round, and what follows is as far apart in
stamps as in time. Of two publishers whose stamps are apart the images alternate: soon after a step back one comes that
continues where the stamps had been, and then one that steps back again.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["fits", "restart", "second"]

SOON_IMAGES = 32  # of one camera between two steps back; publishers of different rates do not alternate one by one
GONE_IMAGES = 32  # so many of the second publisher in a row: the first one has gone
GONE_SOON_IMAGES = 3  # the same where the other cameras say that it is the second whose stamps are theirs


@dataclass
class _Step:
    """A step back of a camera: its newest stamp before it, what came since, and whether the stamps returned."""

    left_ns: int
    images: int = 0
    returned: bool = False


@dataclass
class _Second:
    """A second publisher: how far its stamps are from those that are used (below zero: behind)."""

    ahead_ns: int
    in_a_row: int = 0


class Publishers:
    """Watches the stamps of each camera.

    Args:
        max_backward_ns: stamps that go back so far are no jitter.
        say: called once per camera that has two publishers.
    """

    def __init__(self, max_backward_ns: int, say: Callable[[str], object] | None = None) -> None:
        self._max_backward_ns = max_backward_ns
        self._say = say or logging.getLogger(__name__).warning
        self._last: dict[str, tuple[int, int]] = {}  # stamp and arrival
        self._steps: dict[str, _Step] = {}
        self._seconds: dict[str, _Second] = {}
        self._said: set[str] = set()

    @property
    def problem(self) -> str:
        """A sentence on the cameras that have two publishers now; empty when none has."""
        return "; ".join(_sentence(camera, second.ahead_ns) for camera, second in self._seconds.items())

    def judge(self, camera: str, stamp_ns: int, now_ns: int, newest_ns: int, others_ns: Sequence[int]) -> Verdict:
        """What an image is.

        Args:
            camera: its camera.
            stamp_ns: its stamp.
            now_ns: when it arrived.
            newest_ns: newest stamp of the camera that was used since the last restart; 0 without.
            others_ns: the same of the other cameras.

        Returns:
            "fits", "restart" (the stamps started over), or "second": of a second publisher, not to be used.
        """
        back_ns = newest_ns - stamp_ns if newest_ns else 0
        # Which of two publishers belongs to this rig? The one whose stamps are those of the other cameras.
        middle_ns = statistics.median_low(others_ns) if others_ns else newest_ns
        nearer = abs(middle_ns - stamp_ns) < abs(middle_ns - newest_ns)
        if self._of_second(camera, back_ns, GONE_SOON_IMAGES if nearer else GONE_IMAGES):
            return "second"
        verdict: Verdict = "fits"
        step = self._steps.get(camera)
        if back_ns >= self._max_backward_ns:
            verdict = "restart"
            if step is not None and step.returned:
                del self._steps[camera]
                apart_ns = back_ns + max(now_ns - self._last[camera][1], 0)  # at the same time of arrival
                if not nearer:
                    self._found(camera, -apart_ns)
                    return "second"
                self._found(camera, apart_ns)
            else:
                self._steps[camera] = _Step(newest_ns)
        elif step is not None:
            last_ns, arrived_ns = self._last[camera]
            step.images += 1
            leap_ns = stamp_ns - last_ns - max(now_ns - arrived_ns, 0)
            if step.images > SOON_IMAGES:
                del self._steps[camera]
            elif stamp_ns > step.left_ns and leap_ns >= self._max_backward_ns:
                step.returned = True
        self._last[camera] = (stamp_ns, now_ns)
        return verdict

    def clear(self) -> None:
        """Forget all but what was said."""
        self._last.clear()
        self._steps.clear()
        self._seconds.clear()

    def _of_second(self, camera: str, back_ns: int, gone_images: int) -> bool:
        second = self._seconds.get(camera)
        if second is None:
            return False
        if (back_ns if second.ahead_ns < 0 else -back_ns) < self._max_backward_ns:
            second.in_a_row = 0
            return False
        second.in_a_row += 1
        if second.in_a_row <= gone_images:
            return True
        del self._seconds[camera]
        return False

    def _found(self, camera: str, ahead_ns: int) -> None:
        self._seconds[camera] = _Second(ahead_ns)
        if camera not in self._said:
            self._said.add(camera)
            self._say(_sentence(camera, ahead_ns))


def _sentence(camera: str, ahead_ns: int) -> str:
    where = "ahead" if ahead_ns > 0 else "behind"
    return (
        f"two publishers on the topic of camera {camera}, stamps {abs(ahead_ns) / 1e9:.1f} s apart; images of the one "
        f"{where} are not used; stop one"
    )
