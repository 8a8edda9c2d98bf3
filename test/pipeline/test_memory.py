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

"""Temporal memory: which past frames are given, when everything is forgotten, and that it stays bounded."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashocc_ros.errors import ConfigError
from flashocc_ros.pipeline.memory import PastFrame, TemporalMemory
from flashocc_ros.pipeline.set_geometry import rig_geometry
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import get_variant

SECOND = 1_000_000_000
RIG = CameraRig(["a"], np.diag([500.0, 500, 1])[None], np.eye(4)[None])
SIZES = ((900, 1600),)
GEOMETRY = rig_geometry(RIG, SIZES, get_variant("flashocc-r50-M0"))


def at(x_m: float = 0.0) -> npt.NDArray[np.float64]:
    pose = np.eye(4)
    pose[0, 3] = x_m
    return pose


def frame(stamp_ns: int, nbytes: int = 10) -> PastFrame:
    return PastFrame(stamp_ns, GEOMETRY, f"map {stamp_ns}", nbytes)


def fill(memory: TemporalMemory, stamps_s: list[float]) -> None:
    for stamp_s in stamps_s:
        stamp_ns = round(stamp_s * SECOND)
        if memory.wants(stamp_ns):
            memory.add(frame(stamp_ns))


def watch(
    memory: TemporalMemory, stamp_ns: int, rig: CameraRig, sizes: tuple[tuple[int, int], ...], pose: npt.NDArray
) -> str | None:
    """What the stream does with a set that goes all the way."""
    verdict = memory.judge(stamp_ns, rig, sizes, pose)
    memory.accept(stamp_ns, rig, sizes, pose, verdict)
    return None if verdict is None else verdict.reason


def ages_s(memory: TemporalMemory, now_s: float) -> list[float | None]:
    chosen = memory.select(round(now_s * SECOND))
    return [None if f is None else round(now_s - f.stamp_ns / SECOND, 3) for f in chosen]


def test_the_first_frame_has_no_past() -> None:
    assert TemporalMemory(8).select(SECOND) == [None] * 8


def test_key_frames_at_two_hertz_are_used_one_by_one() -> None:
    memory = TemporalMemory(4)
    fill(memory, [0.0, 0.5, 1.0])
    assert ages_s(memory, 1.5) == [0.5, 1.0, 1.5, None]


@pytest.mark.parametrize("rate_hz", [10, 20, 30, 12, 6, 4])
def test_fast_cameras_give_frames_half_a_second_apart(rate_hz: int) -> None:
    memory = TemporalMemory(8)
    fill(memory, [k / rate_hz for k in range(10 * rate_hz)])
    ages = ages_s(memory, 10.0)
    np.testing.assert_allclose(np.array(ages, float), 0.5 * np.arange(1, 9), atol=0.51 / rate_hz + 0.051)


def test_ten_hertz_follows_the_interval_exactly() -> None:
    memory = TemporalMemory(8)
    for k in range(120):
        if k > 50:
            assert ages_s(memory, k / 10) == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
        fill(memory, [k / 10])


def test_a_fast_stream_does_not_pass_its_newest_frame_off_as_the_past() -> None:
    memory = TemporalMemory(2)
    fill(memory, [0.0, 0.1, 0.2])
    assert ages_s(memory, 0.2) == [None, None]
    fill(memory, [0.3, 0.4])
    assert ages_s(memory, 0.5) == [0.5, None]


def test_slow_cameras_give_consecutive_frames() -> None:
    memory = TemporalMemory(3)
    fill(memory, [0.0, 1.0, 2.0, 3.0])
    assert ages_s(memory, 4.0) == [1.0, 2.0, 3.0]


def test_irregular_key_frames_are_neither_repeated_nor_skipped() -> None:
    memory = TemporalMemory(8)
    stamps = np.cumsum([0.0, 0.55, 0.5, 0.45, 0.55, 0.5, 0.5, 0.55, 0.45]).tolist()
    fill(memory, stamps)
    now = stamps[-1] + 0.5
    assert ages_s(memory, now) == [round(now - s, 3) for s in stamps[::-1][:8]]


@settings(max_examples=60, deadline=None)
@given(
    steps_ms=st.lists(st.integers(1, 1500), min_size=1, max_size=60),
    history=st.sampled_from([1, 8, 16]),
    slots=st.integers(1, 6),
)
def test_choices_are_ordered_distinct_past_and_bounded(steps_ms: list[int], history: int, slots: int) -> None:
    memory = TemporalMemory(history, slots_per_interval=slots)
    now = 0
    for step in steps_ms:
        now += step * 1_000_000
        chosen = memory.select(now)
        stamps = [f.stamp_ns for f in chosen if f is not None]
        assert len(chosen) == history
        assert all(f is None for f in chosen[len(stamps) :])
        assert all(newer > older for newer, older in zip([now, *stamps], stamps, strict=False))
        assert all(now - s >= (k + 0.5) * memory.interval_ns for k, s in enumerate(stamps))
        if memory.wants(now):
            memory.add(frame(now))
        assert len(memory) <= max(memory.max_frames, history)
        assert memory.nbytes == 10 * len(memory)


def test_memory_is_bounded_however_long_the_drive() -> None:
    memory = TemporalMemory(16)
    fill(memory, [k / 30 for k in range(3000)])
    assert len(memory) <= memory.max_frames <= 94
    assert ages_s(memory, 100.0)[-1] == pytest.approx(8.0, abs=0.11)


def test_a_single_frame_network_remembers_nothing() -> None:
    memory = TemporalMemory(0)
    fill(memory, [0.0, 0.5])
    assert (len(memory), memory.nbytes, memory.select(SECOND)) == (0, 0, [])


def other_rig() -> CameraRig:
    return CameraRig(["a"], np.diag([500.0, 500.1, 1])[None], np.eye(4)[None])


@pytest.mark.parametrize(
    ("reason", "stamp_s", "rig", "sizes", "x_m"),
    [
        ("gap", 12.6, RIG, SIZES, 0.0),
        ("backward", 9.9, RIG, SIZES, 0.0),
        ("calibration", 10.5, other_rig(), SIZES, 0.0),
        ("calibration", 10.5, RIG, ((720, 1280),), 0.0),
        ("pose_jump", 10.5, RIG, SIZES, 40.0),
        (None, 10.5, RIG, SIZES, 20.0),
        (None, 11.9, RIG, SIZES, 0.0),
    ],
)
def test_frames_that_do_not_belong_together_clear_the_memory(
    reason: str | None, stamp_s: float, rig: CameraRig, sizes: tuple[tuple[int, int], ...], x_m: float
) -> None:
    memory = TemporalMemory(2)
    assert watch(memory, 10 * SECOND, RIG, SIZES, at()) is None
    fill(memory, [10.0])
    assert watch(memory, round(stamp_s * SECOND), rig, sizes, at(x_m)) == reason
    assert len(memory) == (1 if reason is None else 0)
    assert sum(memory.events.values()) == (0 if reason is None else 1)
    if reason is not None:
        assert memory.events[reason] == 1


def test_a_reason_is_said_once_and_counted_every_time(caplog: pytest.LogCaptureFixture) -> None:
    memory = TemporalMemory(1)
    with caplog.at_level(logging.WARNING, logger="flashocc_ros.pipeline.memory"):
        for k in range(4):
            watch(memory, k * 10 * SECOND, RIG, SIZES, at())
    assert memory.events["gap"] == 3
    assert len(caplog.records) == 1
    assert "10.000 s without images" in caplog.text


def test_a_network_of_one_frame_is_not_told_of_a_memory(caplog: pytest.LogCaptureFixture) -> None:
    memory = TemporalMemory(0)
    with caplog.at_level(logging.WARNING, logger="flashocc_ros.pipeline.memory"):
        for k in range(3):
            watch(memory, k * 10 * SECOND, RIG, SIZES, at())
    assert memory.events["gap"] == 2
    assert not caplog.records


def test_reset_forgets_the_stream_too() -> None:
    memory = TemporalMemory(1)
    watch(memory, 10 * SECOND, RIG, SIZES, at())
    fill(memory, [10.0])
    memory.reset()
    assert (len(memory), memory.events["reset"]) == (0, 1)
    assert watch(memory, SECOND, RIG, SIZES, at(1000)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"interval_s": 0.0},
        {"max_gap_s": -1.0},
        {"max_speed_mps": 0.0},
        {"slots_per_interval": 0},
        {"interval_s": 3.0, "max_gap_s": 2.0},
        {"interval_s": float("nan")},
    ],
)
def test_bad_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="memory"):
        TemporalMemory(1, **options)  # type: ignore[arg-type]
