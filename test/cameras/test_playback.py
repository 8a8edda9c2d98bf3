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

"""A recording gives the sets that the node gives: each of one trigger, none lost that the node would not lose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from flashocc_ros.cameras.playback import synchronised, why_no_set
from flashocc_ros.cameras.sync import AnchorSynchronizer, ImageSet

MS = 1_000_000
S = 1_000_000_000
POLL_NS = 10 * MS
NUSCENES_US = {  # shutters of one key frame of nuScenes
    "CAM_FRONT_LEFT": 0,
    "CAM_FRONT": 7586,
    "CAM_FRONT_RIGHT": 15465,
    "CAM_BACK_LEFT": 42549,
    "CAM_BACK": 32651,
    "CAM_BACK_RIGHT": 23019,
}
Recorded = list[tuple[str, int, int, int]]


def drive(
    triggers: int, period_ns: int, *, jitter_ns: int = 0, latency_ns: int = 0, loss: float = 0.0, seed: int = 0
) -> Recorded:
    """The rig of nuScenes: camera, stamp, number of the trigger and time of arrival, in order of arrival."""
    rng = np.random.default_rng(seed)
    images = []
    for trigger in range(triggers):
        for camera, delay_us in NUSCENES_US.items():
            stamp_ns = 100 * S + trigger * period_ns + delay_us * 1000 + int(jitter_ns * (rng.random() - 0.5))
            arrived_ns = stamp_ns + int(latency_ns * rng.random())
            if rng.random() >= loss:
                images.append((camera, stamp_ns, trigger, arrived_ns))
    return sorted(images, key=lambda image: image[3])


def recorded(images: Recorded) -> list[ImageSet[int]]:
    return list(synchronised(AnchorSynchronizer(tuple(NUSCENES_US)), images))


def live(images: Recorded) -> list[ImageSet[int]]:
    """What a node does: every image as it comes, and a look at the clock every 10 ms."""
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(tuple(NUSCENES_US))
    sets, now_ns = [], images[0][3]
    for camera, stamp_ns, item, arrived_ns in images:
        while now_ns + POLL_NS <= arrived_ns:
            now_ns += POLL_NS
            sets += sync.poll(now_ns)
        sets += sync.add(camera, stamp_ns, item, arrived_ns)
    for _ in range(100):
        now_ns += POLL_NS
        sets += sync.poll(now_ns)
    return sets


@pytest.mark.parametrize(("triggers", "rate_hz"), [(1, 2), (3, 2), (5, 4), (6, 4), (5, 12), (12, 12)])
def test_every_trigger_of_a_plain_drive_is_one_set(triggers: int, rate_hz: int) -> None:
    sets = recorded(drive(triggers, S // rate_hz))
    assert [each.items for each in sets] == [(trigger,) * 6 for trigger in range(triggers)]
    assert {each.spread_ns for each in sets} == {42_549_000}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rate_hz", [2, 4, 12])
def test_a_rough_recording_gives_the_sets_of_the_node_and_mixes_none(rate_hz: int, seed: int) -> None:
    images = drive(120, S // rate_hz, jitter_ns=4 * MS, latency_ns=120 * MS, loss=0.05, seed=seed)
    sets = recorded(images)
    assert sets == live(images)
    assert all(len(set(each.items)) == 1 for each in sets)
    whole = sum(sum(item == trigger for _, _, item, _ in images) == 6 for trigger in range(120))
    assert len(sets) >= 0.9 * whole


@pytest.mark.parametrize(("triggers", "rate_hz"), [(2, 2), (8, 12)])
def test_a_recording_that_starts_over_gives_both_rounds(triggers: int, rate_hz: int) -> None:
    first = drive(triggers, S // rate_hz)
    again = [(camera, stamp_ns, item + triggers, arrived_ns + 2 * S) for camera, stamp_ns, item, arrived_ns in first]
    sets = recorded(first + again)
    assert [each.items[0] for each in sets] == list(range(2 * triggers))
    assert [each.epoch for each in sets] == [0] * triggers + [1] * triggers


def test_no_more_images_are_held_than_learning_needs() -> None:
    taken = 0

    def counted(images: Recorded) -> Iterator[tuple[str, int, int, int]]:
        nonlocal taken
        for image in images:
            taken += 1
            yield image

    held = []
    for number, _ in enumerate(synchronised(AnchorSynchronizer(tuple(NUSCENES_US)), counted(drive(60, S // 12)))):
        held.append(taken - 6 * (number + 1))
    assert max(held) <= 6 * 5
    assert held[-1] == 0


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (drive(4, S // 12), "takes 5 triggers or more"),
        (
            [(camera, 0, item, arrived_ns) for camera, _, item, arrived_ns in drive(2, S)],
            f"12 images of {', '.join(NUSCENES_US)} have a stamp of zero",
        ),
        (drive(8, S // 12)[:0], "nothing yet from CAM_FRONT_LEFT"),
        (
            [image for image in drive(8, S // 12) if image[0] != "CAM_BACK" or image[2] < 2],
            "takes 5 images of each with stamps of their own, and there are of CAM_BACK 2; record more",
        ),
        (
            [(name, 100 * S if name == "CAM_BACK" else stamp, *rest) for name, stamp, *rest in drive(8, S // 12)],
            "there are of CAM_BACK 1; record more, check their stamps",
        ),
    ],
)
def test_nothing_comes_out_for_a_reason(images: Recorded, reason: str) -> None:
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(tuple(NUSCENES_US))
    assert list(synchronised(sync, images)) == []
    assert reason in why_no_set(sync)
