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

"""What a replay did, in numbers and words, and whether that is a failure. Knows nothing of ROS."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from flashocc_ros.errors import EngineError


@dataclass
class Report:
    """What a replay did.

    Attributes:
        messages: published messages.
        late: of these, left more than 20 ms after their time (real-time replay only).
        sets: camera sets sent in lockstep; ``answered`` of them came back, ``dropped`` ones the node reported to
            have dropped, ``lost`` ones it reported to have worked on though no answer came, ``unanswered`` ones it said
            nothing of in time.
        sent_ns: wall clock (``time.time_ns``) at which each image of the anchor camera left, by its stamp.
        answer_s: seconds from the last image of each answered set to its answer.
        left_out: topics that could not be replayed because their message type is not installed.
    """

    messages: int = 0
    late: int = 0
    sets: int = 0
    answered: int = 0
    dropped: int = 0
    lost: int = 0
    unanswered: int = 0
    sent_ns: dict[int, int] = field(default_factory=dict)
    answer_s: list[float] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def check(report: Report, answer_topic: str) -> None:
    """Work that came to nothing, or in lockstep (with an ``answer_topic``) to less than was sent, is a failure.

    Raises:
        EngineError: nothing was sent, or sets got lost that the node did not drop with a reason of its own.
    """
    if report.messages == 0:
        left_out = f" ({', '.join(report.left_out)} are of types that are not installed)" if report.left_out else ""
        raise EngineError(f"no message was replayed{left_out}; choose other --topics or an earlier --start")
    if not answer_topic:
        return
    if report.answered == 0:
        raise EngineError(
            f"none of {report.sets} camera sets was answered on {answer_topic}, {report.dropped} were dropped; "
            "the log of the node says why"
        )
    if lost := report.lost + report.unanswered:
        raise EngineError(
            f"{lost} of {report.sets} camera sets were lost: no answer came on {answer_topic}; see the log of the node"
        )


def summary(report: Report, answer_topic: str, interrupted: bool) -> str:
    """The report in a line; ``answer_topic`` is that of a lockstep replay, else empty."""
    parts = [f"{report.messages} messages replayed" + (", interrupted" if interrupted else "")]
    if answer_topic:
        parts.append(
            f"{report.sets} camera sets: {report.answered} answered, {report.dropped} dropped, "
            f"{report.lost} answers lost, {report.unanswered} without answer"
        )
        if report.answer_s:
            parts.append(f"median answer after {statistics.median(report.answer_s) * 1e3:.0f} ms")
    else:
        parts.append(f"{report.late} late")
    if report.left_out:
        parts.append(f"left out: {', '.join(report.left_out)}")
    return "; ".join(parts)
