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

"""Why no set comes out: the camera, the number and the likely cause are named."""

from __future__ import annotations

import pytest

from flashocc_ros.cameras.playback import synchronised, why_no_set
from flashocc_ros.cameras.sync import AnchorSynchronizer

THREE = ("left", "front", "right")
MS = 1_000_000
S = 1_000_000_000
START_NS = 1_795_871_000 * S


def played(
    cameras: tuple[str, ...], ahead_s: dict[str, float], count: int = 12, missing: str = "drop"
) -> tuple[AnchorSynchronizer[int], int]:
    """The synchroniser after a short recording at 10 Hz with clocks so far ahead, and how many sets came out."""
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(cameras, missing=missing)  # type: ignore[arg-type]
    images = [
        (name, at + round(ahead_s.get(name, 0) * S), 0, at + 20 * MS)
        for trigger in range(count)
        for index, name in enumerate(cameras)
        for at in [START_NS + trigger * 100 * MS + index * 10 * MS]
    ]
    return sync, len(list(synchronised(sync, images)))


@pytest.mark.parametrize("camera", THREE)
@pytest.mark.parametrize(
    ("ahead_s", "words"),
    [
        (37.0, ("+37.0 s", "TAI")),
        (-37.0, ("-37.0 s", "TAI")),
        (18.0, ("+18.0 s", "GPS")),
        (-1_795_870_000.0, ("-1795870000.0 s", "start of a machine")),
        (7200.0, ("+7200.0 s", "local time")),
        (4.5, ("+4.5 s", "another clock")),
    ],
)
@pytest.mark.parametrize("count", [2, 12])
def test_a_camera_of_another_clock_is_named_with_its_difference(
    camera: str, ahead_s: float, words: tuple[str, ...], count: int
) -> None:
    sync, sets = played(THREE, {camera: ahead_s}, count)
    assert sets == 0
    for text in (sync.describe(), why_no_set(sync)):
        assert f"the stamps of {camera} are" in text
        assert all(word in text for word in words)
        assert not any(f"stamps of {name}" in text for name in THREE if name != camera)


def test_of_two_cameras_the_anchor_is_the_measure() -> None:
    sync, sets = played(("left", "right"), {"right": 37})
    assert sets == 0
    assert "the stamps of right are +37.0 s from those of left" in why_no_set(sync)


def test_a_camera_without_stamps_is_named() -> None:
    sync, sets = played(THREE, {"front": -(START_NS / S) - 100})
    assert sets == 0
    for text in (sync.describe(), why_no_set(sync)):
        assert "12 images of front have a stamp of zero" in text


def test_cameras_of_one_clock_are_not_blamed() -> None:
    sync, sets = played(THREE, dict.fromkeys(THREE, 37.0))
    assert sets == 12
    assert sync.problem == ""


@pytest.mark.parametrize(("anchor_hz", "other_hz"), [(60, 6), (12, 8), (25, 10), (20, 10)])
def test_an_anchor_faster_than_the_others_is_told_to_be_another(anchor_hz: int, other_hz: int) -> None:
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(THREE)
    stamps = [(START_NS + k * S // anchor_hz, "left") for k in range(10 * anchor_hz)]
    stamps += [(START_NS + k * S // other_hz + 10 * MS, name) for k in range(10 * other_hz) for name in THREE[1:]]
    for stamp_ns, name in sorted(stamps):
        sync.add(name, stamp_ns, 0, stamp_ns)
    periods = f"left sends every {1000 / anchor_hz:.0f} ms, front, right only every {1000 / other_hz:.0f} ms"
    assert periods in sync.describe()
    assert "sync.anchor: front" in sync.describe()


def test_a_lossy_stream_of_one_rate_is_not_called_slow() -> None:
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(THREE)
    for trigger in range(200):
        for index, name in enumerate(THREE):
            if index == 0 or (trigger * 7 + index) % 5:
                stamp_ns = START_NS + trigger * 100 * MS + index * 10 * MS
                sync.add(name, stamp_ns, 0, stamp_ns)
    assert sync.problem == ""


def test_two_cameras_of_which_one_is_dead_give_masked_sets() -> None:
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(("left", "right"), missing="mask")
    sets = []
    for trigger in range(60):
        stamp_ns = START_NS + trigger * 100 * MS
        sets += sync.poll(stamp_ns)
        sets += sync.add("left", stamp_ns, trigger, stamp_ns)
        if trigger < 20:
            sets += sync.add("right", stamp_ns + 10 * MS, trigger, stamp_ns)
    sets += sync.poll(START_NS + 60 * S)
    assert [each.items[0] for each in sets] == list(range(60))
    assert [each.missing for each in sets] == [()] * 20 + [("right",)] * 40
