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

"""The road from images and transforms to posed sets, fed as a node feeds it."""

from __future__ import annotations

from types import SimpleNamespace as Fields
from typing import Any

import pytest
from tf_messages import message, transform

from flashocc_ros.cameras.road import CameraRoad, PosedSet, Refusal
from flashocc_ros.cameras.sync import AnchorSynchronizer
from flashocc_ros.cameras.transforms import TransformIntake, TransformTree

CAMERAS = ("left", "right")
MS = 1_000_000
S = 1_000_000_000
START_NS = 1_795_871_000 * S
PERIOD_NS = 500 * MS
TF_PERIOD_NS = 20 * MS


class Drive:
    """A vehicle with two cameras at 2 Hz and odometry at 50 Hz at 5 m/s, which jumps where it is told to.

    Args:
        infos_from_ns: since when CameraInfos are sent; the first lookup waits for them.
        arm: an unrelated frame is sent by two publishers whose clocks are 1 s apart.
        jump_ns: when, since the start, the vehicle jumps by 20 m in odom; if ``above``, odom jumps in map instead.
    """

    def __init__(self, infos_from_ns: int = 0, arm: bool = False, jump_ns: int = 0, above: bool = False) -> None:
        self.intake = TransformIntake(TransformTree(), lambda sentence: None)
        self.road = CameraRoad(AnchorSynchronizer(CAMERAS), self.intake, max_wait_s=1.0)
        self.outcomes: list[PosedSet | Refusal] = []
        self._infos_from_ns, self._arm, self._jump_ns, self._above = infos_from_ns, arm, jump_ns, above
        mounts = [transform("base_link", name, 0, (1.0, 0.0, 1.5)) for name in CAMERAS]
        self.intake.take(message(*mounts), static=True)

    def play(self, start_ns: int, length_ns: int, arrives_ns: int) -> None:
        """All from one time on, arriving from another on."""
        for at_ns in range(0, length_ns, TF_PERIOD_NS):
            now_ns = arrives_ns + at_ns
            self.outcomes += self.road.poll(now_ns)
            self._transforms(start_ns + at_ns)
            self.outcomes += self.road.transforms_changed(now_ns)
            if at_ns % PERIOD_NS == 0:
                self._images(start_ns + at_ns, at_ns, now_ns)

    def _transforms(self, stamp_ns: int) -> None:
        jumped_m = 20.0 if self._jump_ns and stamp_ns >= START_NS + self._jump_ns else 0.0
        x_m = 5.0 * (stamp_ns - START_NS) / S
        found = [
            transform("map", "odom", stamp_ns, (jumped_m if self._above else 0.0, 0.0, 0.0)),
            transform("odom", "base_link", stamp_ns, (x_m + (0.0 if self._above else jumped_m), 0.0, 0.0)),
        ]
        if self._arm:
            found += [transform("arm", "tool", stamp_ns), transform("arm", "tool", stamp_ns - S)]
        for each in found:
            self.intake.take(message(each), static=False)

    def _images(self, stamp_ns: int, at_ns: int, now_ns: int) -> None:
        for index, name in enumerate(CAMERAS):
            if at_ns >= self._infos_from_ns:
                self.road.add_info(name, info(name))
            self.outcomes += self.road.add_image(name, stamp_ns + index * 10 * MS, name, now_ns)

    @property
    def sets(self) -> list[PosedSet]:
        return [each for each in self.outcomes if isinstance(each, PosedSet)]


def info(frame: str) -> Any:
    return Fields(header=Fields(frame_id=frame))


@pytest.mark.parametrize("infos_from_ns", [0, 3 * S])
def test_an_unrelated_frame_of_two_clocks_costs_no_set(infos_from_ns: int) -> None:
    """Neither when the frames of the cameras are known nor before the first lookup."""
    drive = Drive(infos_from_ns, arm=True)
    drive.play(START_NS, 10 * S, arrives_ns=0)
    calm = Drive(infos_from_ns)
    calm.play(START_NS, 10 * S, arrives_ns=0)
    assert [each.stamp_ns for each in drive.sets] == [each.stamp_ns for each in calm.sets]
    assert len(drive.sets) >= 13
    assert drive.intake.jumps == 0


def test_a_recording_that_starts_over_before_the_first_lookup_is_noticed() -> None:
    drive = Drive(infos_from_ns=3 * S)
    drive.play(START_NS, 2 * S, arrives_ns=0)
    assert drive.sets == []
    drive.play(START_NS - 20 * S, 10 * S, arrives_ns=3 * S)
    assert drive.intake.jumps == 1
    assert len(drive.sets) >= 13


@pytest.mark.parametrize("jump_ns", [5 * S, 5 * S - 200 * MS])
def test_a_relocalisation_that_slow_cameras_could_not_tell_opens_a_new_pose_epoch(jump_ns: int) -> None:
    """20 m in 0.5 s is less than 70 m/s."""
    drive = Drive(jump_ns=jump_ns)
    drive.play(START_NS, 10 * S, arrives_ns=0)
    before = {each.pose_epoch for each in drive.sets if each.stamp_ns < START_NS + 5 * S - 100 * MS}
    after = {each.pose_epoch for each in drive.sets if each.stamp_ns >= START_NS + 5 * S}
    assert len(drive.sets) >= 19
    assert len(before) == 1
    assert len(after) == 1
    assert before != after


def test_a_set_that_the_jump_goes_through_is_refused_and_parts_the_others() -> None:
    """Its poses would be of both sides, or of places in between where the vehicle never was."""
    drive = Drive(jump_ns=5 * S + 10 * MS)
    drive.play(START_NS, 10 * S, arrives_ns=0)
    within_ns = START_NS + 5 * S
    (refused,) = [each for each in drive.outcomes if isinstance(each, Refusal)]
    assert refused.stamp_ns == within_ns
    assert refused.reason == "transform"
    assert "base_link jumps in odom between the images of a set" in refused.sentence
    assert {each.pose_epoch for each in drive.sets if each.stamp_ns < within_ns} == {0}
    assert {each.pose_epoch for each in drive.sets if each.stamp_ns > within_ns} == {1}


def test_a_jump_above_the_fixed_frame_is_none() -> None:
    drive = Drive(jump_ns=5 * S, above=True)
    drive.play(START_NS, 10 * S, arrives_ns=0)
    assert {each.pose_epoch for each in drive.sets} == {0}


@pytest.mark.parametrize(
    ("of_info", "of_image", "given", "expected"),
    [
        ("lens", "sensor", "mine", "mine"),
        ("/lens", "sensor", "", "lens"),
        ("", "/sensor", "", "sensor"),
        ("", "", "", "left"),
    ],
)
def test_the_frame_of_a_camera_is_the_first_that_is_named(
    of_info: str, of_image: str, given: str, expected: str
) -> None:
    intake = TransformIntake(TransformTree(), lambda sentence: None)
    intake.take(message(transform("base_link", expected, 0, (7.0, 0.0, 1.5))), static=True)
    road = CameraRoad(AnchorSynchronizer(["left"]), intake, fixed_frame="", frames={"left": given} if given else {})
    road.add_info("left", info(of_info))
    outcomes = []
    for index in range(8):
        now_ns = START_NS + index * PERIOD_NS
        outcomes += road.poll(now_ns)
        outcomes += road.add_image("left", now_ns, "image", now_ns, of_image)
    assert outcomes
    for each in outcomes:
        assert isinstance(each, PosedSet)
        assert each.poses.base_from_camera[0, 0, 3] == 7.0
