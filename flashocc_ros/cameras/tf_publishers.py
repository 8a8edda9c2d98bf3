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

"""Do two publishers send one transform? Its numbers then change from message to message, or it comes on both topics."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from flashocc_ros.geometry.rigid import Pose, matrix

STATIC_TOLERANCE = 1e-4
"""Of the numbers of a matrix: 0.1 mm, and what rounding leaves of a rotation."""
LEAST_STEP = 0.05
"""Metres, or radians, back and forth; filter and road move the poses of one publisher less from sample to sample."""
LONGEST_STEP_S = 0.06
"""Between samples further apart a walking robot rocks as much."""
WINDOW, MOST_TURNS = 40, 6
"""Of so many samples so many turn back where two publishers send at rates up to 1 : 5."""


@dataclass
class _Sent:
    """What came of one frame."""

    parent: str
    static: bool
    pose: Pose
    stamp_ns: int
    step: tuple[float, ...] = (0.0,) * 7
    turns: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))


class TransformPublishers:
    """Tells where two publishers disagree about one frame.

    Args:
        tell: called with a sentence; says each once.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._sent: dict[str, _Sent] = {}
        self._two_parents: set[str] = set()

    def take(self, parent: str, child: str, stamp_ns: int, pose: Pose, static: bool) -> None:
        """A transform, in the order of arrival."""
        before = self._sent.get(child)
        sent = self._sent[child] = _Sent(parent, static, pose, stamp_ns)
        if before is None:
            return
        name = f"{parent} -> {child}"
        if before.parent != parent:
            if child not in self._two_parents:
                self._two_parents.add(child)
                self._tell(
                    f"tf: {child} is below {before.parent} and then below {parent}; a frame has one parent, so poses "
                    "jump between both or are not found; let one publisher place it"
                )
        elif before.static != static:
            self._tell(
                f"tf: {name} comes on tf and on tf_static; each forgets what the other brought, so poses are wrong or "
                "not found; let one publisher send it"
            )
        elif static:
            if not np.allclose(matrix(before.pose), matrix(pose), rtol=0, atol=STATIC_TOLERANCE):
                self._tell(
                    f"tf: the static transform {name} differs from the one before, and counts from now on; unless it "
                    "was calibrated anew, two publishers disagree"
                )
        else:
            self._compare(name, before, sent)

    def clear(self) -> None:
        """The moving transforms start over."""
        self._sent = {child: sent for child, sent in self._sent.items() if sent.static}

    def _compare(self, name: str, before: _Sent, sent: _Sent) -> None:
        """Poses of one publisher go on; those of two go back and forth."""
        sent.turns, sent.step = before.turns, before.step
        step = _difference(before.pose, sent.pose)
        if not any(step):
            return  # sent again
        sent.step = step
        lengths = math.hypot(*before.step), math.hypot(*step)
        turned = (
            min(lengths) > LEAST_STEP
            and abs(sent.stamp_ns - before.stamp_ns) <= LONGEST_STEP_S * 1e9
            and sum(a * b for a, b in zip(before.step, step, strict=True)) < -0.5 * lengths[0] * lengths[1]
        )
        sent.turns.append(turned)
        if sum(sent.turns) >= MOST_TURNS:
            sent.turns.clear()
            self._tell(
                f"tf: {name} goes back and forth by {math.dist(before.pose[0], sent.pose[0]):.2f} m and "
                f"{math.degrees(math.hypot(*step[3:])):.0f} degrees from message to message, so poses are of "
                "neither; two publishers send it: stop one of them, or give its frames other names"
            )


def _difference(before: Pose, after: Pose) -> tuple[float, ...]:
    """Step of the position, metres, and of the quaternion, twice, whose length is the angle in radians if small."""
    sign = 1.0 if sum(a * b for a, b in zip(before[1], after[1], strict=True)) >= 0 else -1.0
    moved = (b - a for a, b in zip(before[0], after[0], strict=True))
    turned = (2.0 * (sign * b - a) for a, b in zip(before[1], after[1], strict=True))
    return (*moved, *turned)
