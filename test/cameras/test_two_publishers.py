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

"""Two publishers on one camera topic cost the images of one of them; a recording that starts over costs nothing."""

from __future__ import annotations

import pytest

from flashocc_ros.cameras.sync import AnchorSynchronizer, ImageSet

THREE = ("left", "front", "right")
MS = 1_000_000
S = 1_000_000_000
START_NS = 1_795_871_000 * S
Message = tuple[int, str, int, str]
"""Arrival, camera, stamp and whose it is."""


def drive(
    count: int, *, period_ns: int = 100 * MS, arrives_ns: int = 0, ahead_ns: int = 0, of: str = "rig"
) -> list[Message]:
    """The triggers of three cameras."""
    return [
        (arrives_ns + at + index * 10 * MS, name, START_NS + at + index * 10 * MS + ahead_ns, of)
        for at in range(0, count * period_ns, period_ns)
        for index, name in enumerate(THREE)
    ]


def second(camera: str, count: int, ahead_ns: int, period_ns: int = 100 * MS) -> list[Message]:
    """Images of another publisher on the topic of a camera, whose clock is ahead."""
    images = drive(count, period_ns=period_ns, arrives_ns=50 * MS, ahead_ns=50 * MS + ahead_ns, of="other")
    return [image for image in images if image[1] == camera]


def feed(sync: AnchorSynchronizer[str], messages: list[Message]) -> list[ImageSet[str]]:
    sets = []
    for now_ns, camera, stamp_ns, item in sorted(messages):
        sets += sync.poll(now_ns)
        sets += sync.add(camera, stamp_ns, item, now_ns)
    return sets


@pytest.mark.parametrize("camera", THREE)
@pytest.mark.parametrize("ahead_s", [-2, 2, -3600, 3600])
@pytest.mark.parametrize("period_ns", [100 * MS, 20 * MS, 300 * MS])
def test_the_publisher_that_does_not_go_with_the_other_cameras_is_left_out(
    camera: str, ahead_s: int, period_ns: int
) -> None:
    said: list[str] = []
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE, say=said.append)
    others = second(camera, 20 * S // period_ns, ahead_s * S, period_ns)
    sets = feed(sync, drive(200) + others)
    assert len(sets) > 180
    assert all(item == "rig" for each in sets[10:] for item in each.items)
    assert sync.sets.resets <= 3
    assert sync.counters[camera].rejected > 0.9 * len(others)
    assert len(said) == 1
    assert f"two publishers on the topic of camera {camera}" in said[0]
    assert f"stamps {abs(ahead_s)}.0 s apart" in said[0]
    assert said[0] in sync.describe()


def test_two_rigs_on_the_same_topics_give_sets_of_one() -> None:
    said: list[str] = []
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE, say=said.append)
    sets = feed(sync, drive(200) + drive(200, arrives_ns=50 * MS, ahead_ns=-2 * S, of="other"))
    assert len(sets) > 170
    assert all(len(set(each.items)) == 1 for each in sets)
    assert {sentence.split("camera ")[1].split(",")[0] for sentence in said} == set(THREE)


def test_when_the_publisher_in_use_ends_the_other_one_takes_over() -> None:
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(("left",))
    one = [image for image in drive(20) if image[1] == "left"]
    sets = feed(sync, one + second("left", 100, -2 * S))
    assert len([each for each in sets if each.items == ("other",)]) > 40


@pytest.mark.parametrize("camera", THREE)
@pytest.mark.parametrize("ahead_s", [-9_000_000, 9_000_000])
def test_two_stray_stamps_do_not_cost_the_publisher_that_goes_with_the_other_cameras(camera: str, ahead_s: int) -> None:
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE)
    strays = second(camera, 2, ahead_s * S, 500 * MS)
    sets = feed(sync, drive(40, period_ns=500 * MS) + strays)
    assert all(item == "rig" for each in sets for item in each.items)
    assert sync.counters[camera].rejected <= 4
    assert len(sets) > 25


@pytest.mark.parametrize("count", [1, 2, 3, 8, 100])
@pytest.mark.parametrize("period_ns", [100 * MS, 500 * MS, S])
def test_a_recording_played_again_and_again_is_one_publisher(count: int, period_ns: int) -> None:
    said: list[str] = []
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE, say=said.append)
    round_ns = count * period_ns + S
    rounds = [drive(count, period_ns=period_ns, arrives_ns=loop * round_ns) for loop in range(6)]
    feed(sync, [image for played in rounds for image in played])
    assert said == []
    assert all(counted.rejected == 0 for counted in sync.counters.values())
    assert sync.sets.resets == (5 if (count - 1) * period_ns >= 500 * MS else 0)


def test_a_loop_of_which_the_last_image_was_lost_once_is_one_publisher() -> None:
    said: list[str] = []
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE, say=said.append)
    rounds = [drive(3, period_ns=S, arrives_ns=loop * 3 * S) for loop in range(6)]
    feed(sync, rounds[0][:-3] + [image for played in rounds[1:] for image in played])
    assert said == []
