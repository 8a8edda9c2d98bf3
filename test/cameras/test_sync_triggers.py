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

"""No set mixes two triggers, on generated streams whose true trigger is known."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashocc_ros.cameras.sync import AnchorSynchronizer, ImageSet

SIX = tuple(f"camera_{index}" for index in range(6))


@dataclass(frozen=True)
class Stream:
    """A rig that fires every ``period_s``, camera by camera over ``stagger_s``.

    ``jitter_s`` is the full width of the uniform jitter of each stamp, ``latency_s`` the range of uniform delays from
    stamp to arrival (beyond the period: out of order), ``stalled`` a camera and its first and last missing trigger.
    """

    triggers: int = 400
    period_s: float = 1 / 12
    stagger_s: float = 0.08
    jitter_s: float = 0.02
    latency_s: tuple[float, float] = (0.005, 0.12)
    loss: float = 0.05
    stalled: tuple[int, int, int] | None = None
    cameras: tuple[str, ...] = SIX

    def offsets_s(self) -> dict[str, float]:
        return dict(zip(self.cameras, np.linspace(0, self.stagger_s, len(self.cameras)).tolist(), strict=True))

    def messages(self, seed: int) -> list[tuple[int, str, int, int]]:
        """(arrival_ns, camera, stamp_ns, trigger) in order of arrival."""
        rng = np.random.default_rng(seed)
        messages = []
        for trigger in range(self.triggers):
            for index, (camera, offset) in enumerate(self.offsets_s().items()):
                stalled = self.stalled and self.stalled[0] == index and self.stalled[1] <= trigger <= self.stalled[2]
                if stalled or rng.random() < self.loss:
                    continue
                stamp = 100 + trigger * self.period_s + offset + self.jitter_s * (rng.random() - 0.5)
                arrival = stamp + rng.uniform(*self.latency_s)
                messages.append((int(arrival * 1e9), camera, int(stamp * 1e9), trigger))
        return sorted(messages)


def feed(sync: AnchorSynchronizer[int], messages: list[tuple[int, str, int, int]]) -> list[ImageSet[int]]:
    sets: list[ImageSet[int]] = []
    for arrival_ns, camera, stamp_ns, trigger in messages:
        sets += sync.add(camera, stamp_ns, trigger, arrival_ns)
    return sets + sync.poll(messages[-1][0] + 10_000_000_000)


def mixed(sets: list[ImageSet[int]]) -> list[ImageSet[int]]:
    return [each for each in sets if len({item for item in each.items if item is not None}) > 1]


def possible(messages: list[tuple[int, str, int, int]], cameras: int) -> int:
    """Triggers of which every camera's image arrived."""
    counts: dict[int, int] = {}
    for *_, trigger in messages:
        counts[trigger] = counts.get(trigger, 0) + 1
    return sum(count == cameras for count in counts.values())


# name, stream, arguments of the synchroniser, least share of the possible sets that must come out
SCENARIOS = [
    ("simultaneous", Stream(stagger_s=0, jitter_s=0.002, loss=0, latency_s=(0.005, 0.01)), {}, 0.98),
    ("stagger 80 ms", Stream(jitter_s=0.001, loss=0), {}, 0.95),
    ("stagger 45 ms, jitter 20 ms", Stream(stagger_s=0.045, loss=0), {}, 0.85),
    ("jitter 20 ms", Stream(stagger_s=0, loss=0), {}, 0.93),
    ("latency 5-120 ms out of order", Stream(stagger_s=0.045, jitter_s=0.002, loss=0), {}, 0.95),
    ("loss 5 %", Stream(stagger_s=0.045, jitter_s=0.002), {}, 0.95),
    ("all together, offsets learned", Stream(triggers=800), {}, 0.7),
    ("all together, offsets configured", Stream(), {"offsets_s": Stream().offsets_s()}, 0.97),
    ("twice the jitter, offsets configured", Stream(jitter_s=0.04), {"offsets_s": Stream().offsets_s()}, 0.88),
    ("20 ms stagger at 30 Hz", Stream(period_s=1 / 30, stagger_s=0.02, jitter_s=0.003), {}, 0.85),
    ("45 ms stagger at 2 Hz", Stream(period_s=0.5, stagger_s=0.045, jitter_s=0.002), {}, 0.95),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("stream", "arguments", "share"), [s[1:] for s in SCENARIOS], ids=[s[0] for s in SCENARIOS])
def test_complete_sets_come_out_and_none_is_mixed(stream: Stream, arguments: dict, share: float, seed: int) -> None:
    messages = stream.messages(seed)
    sets = feed(AnchorSynchronizer(SIX, **arguments), messages)
    assert mixed(sets) == []
    assert len(sets) >= share * possible(messages, 6)


TWO = ("left", "right")


@pytest.mark.parametrize("anchor", TWO)
@pytest.mark.parametrize("missing", ["drop", "mask"])
@pytest.mark.parametrize("stagger_s", [0.0, 0.1, 0.2])
def test_latency_beyond_a_period_does_not_mix(anchor: str, missing: Literal["drop", "mask"], stagger_s: float) -> None:
    """Two cameras at 2 Hz whose images arrive up to 0.75 s late; the gap at 0.2 s is hardly larger than the sweep."""
    stream = Stream(60, 0.5, stagger_s, 0.07, (0.0, 0.75), cameras=TWO)
    for seed in range(12):
        sets = feed(AnchorSynchronizer(TWO, anchor, missing=missing), stream.messages(seed))
        assert mixed(sets) == [], seed


def test_the_loss_of_half_the_images_does_not_double_the_period() -> None:
    stream = Stream(60, 0.5, 0.08, 0.02, (0.0, 0.1), loss=0.5, cameras=TWO)
    count = 0
    for seed in range(60):
        sync = AnchorSynchronizer(TWO)
        sets = feed(sync, stream.messages(seed))
        assert mixed(sets) == [], seed
        assert sync.period_s is None or sync.period_s == pytest.approx(0.5, abs=0.02), seed
        count += len(sets)
    assert count > 0.7 * 60 * 60 / 4


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("missing", ["drop", "mask"])
@pytest.mark.parametrize("configured", [False, True])
def test_a_stalled_camera_costs_its_own_time_only(seed: int, missing: str, configured: bool) -> None:
    stream = Stream(stagger_s=0.06, triggers=600, stalled=(3, 300, 400))
    offsets = stream.offsets_s() if configured else None
    sets = feed(AnchorSynchronizer(SIX, missing=missing, offsets_s=offsets), stream.messages(seed))
    assert mixed(sets) == []
    during = [each for each in sets if each.items[0] is not None and 300 <= each.items[0] <= 400]
    after = [each for each in sets if each.items[0] is not None and each.items[0] > 410]
    assert len(after) > 0.6 * 190
    if missing == "drop":
        assert during == []
    else:
        assert len(during) > 0.6 * 100
        assert {name for each in during for name in each.missing} >= {SIX[3]}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("start", [0.02, 0.05, 0.07])
def test_joining_in_the_middle_of_a_sweep_does_not_mix(seed: int, start: float) -> None:
    stream = Stream(stagger_s=0.06, jitter_s=0.002, loss=0, latency_s=(0.005, 0.01))
    messages = [message for message in stream.messages(seed) if message[2] >= (100 + start) * 1e9]
    sets = feed(AnchorSynchronizer(SIX), messages)
    assert mixed(sets) == []
    assert len(sets) > 380


@pytest.mark.parametrize("anchor", SIX)
def test_any_camera_can_be_the_anchor_of_a_burst(anchor: str) -> None:
    messages = Stream(stagger_s=0.045, jitter_s=0.004).messages(1)
    sets = feed(AnchorSynchronizer(SIX, anchor), messages)
    assert mixed(sets) == []
    assert len(sets) > 0.9 * possible(messages, 6)
    index = SIX.index(anchor)
    assert all(each.stamps_ns[index] == each.key_stamp_ns for each in sets)


def test_nearest_stamps_would_mix_these_streams() -> None:
    """The scenario is hard: offsets of zero, which is what nearest-stamp matching assumes, pair two triggers."""
    sets = feed(AnchorSynchronizer(SIX, offsets_s=dict.fromkeys(SIX, 0.0)), Stream(loss=0).messages(0))
    assert len(mixed(sets)) > 100


def test_jitter_beyond_recognition_is_refused_with_a_reason() -> None:
    sync = AnchorSynchronizer(SIX)
    assert feed(sync, Stream(stagger_s=0, jitter_s=0.083).messages(0)) == []
    assert "no steady delay" in sync.describe()


def test_an_image_costs_microseconds() -> None:
    """About 10 us; the bound leaves room for a loaded machine."""
    messages = Stream().messages(0)
    started = time.process_time()
    feed(AnchorSynchronizer(SIX, offsets_s=Stream().offsets_s()), messages)
    assert (time.process_time() - started) / len(messages) < 100e-6


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    cameras=st.integers(2, 8),
    period=st.sampled_from([0.033, 0.05, 0.083, 0.1, 0.5]),
    sweep=st.floats(0, 0.95),
    jitter=st.floats(0, 0.4),
    loss=st.floats(0, 0.3),
    latency=st.floats(0.01, 1.5),
    anchor=st.integers(0, 7),
    missing=st.sampled_from(["drop", "mask"]),
    seed=st.integers(0, 1 << 20),
)
def test_configured_offsets_never_mix(
    cameras: int,
    period: float,
    sweep: float,
    jitter: float,
    loss: float,
    latency: float,
    anchor: int,
    missing: str,
    seed: int,
) -> None:
    names = tuple(f"c{index}" for index in range(cameras))
    stream = Stream(60, period, sweep * period, jitter * period, (0.0, latency * period), loss, None, names)
    first = stream.offsets_s()[names[anchor % cameras]]
    offsets = {name: offset - first for name, offset in stream.offsets_s().items()}
    sync = AnchorSynchronizer(names, names[anchor % cameras], offsets_s=offsets, missing=missing, timeout_s=2 * period)
    messages = stream.messages(seed)
    sets = feed(sync, messages)
    assert mixed(sets) == []
    keys = [each.key_stamp_ns for each in sets]
    assert keys == sorted(set(keys))
    for name, counted in sync.counters.items():
        ended = counted.used + counted.late + counted.dropped + counted.rejected + counted.duplicate
        assert counted.received == ended + sync.waiting(name)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    cameras=st.integers(2, 8),
    period=st.sampled_from([0.033, 0.083, 0.1, 0.5]),
    sweep=st.floats(0, 0.35),
    jitter=st.floats(0, 0.15),
    loss=st.floats(0, 0.1),
    latency=st.floats(0.01, 1.5),
    anchor=st.integers(0, 7),
    skip=st.integers(0, 10),
    seed=st.integers(0, 1 << 20),
)
def test_learned_offsets_never_mix_bursts(
    cameras: int,
    period: float,
    sweep: float,
    jitter: float,
    loss: float,
    latency: float,
    anchor: int,
    skip: int,
    seed: int,
) -> None:
    names = tuple(f"c{index}" for index in range(cameras))
    stream = Stream(80, period, sweep * period, jitter * period, (0.0, latency * period), loss, None, names)
    sets = feed(AnchorSynchronizer(names, names[anchor % cameras]), stream.messages(seed)[skip:])
    assert mixed(sets) == []
