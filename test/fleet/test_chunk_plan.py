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

"""Chunks hold each set once and begin early enough for the memory to choose as in the uncut run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashocc_ros.bags.planned_sets import PlannedSets
from flashocc_ros.cameras.road import PosedSet
from flashocc_ros.errors import ConfigError
from flashocc_ros.fleet.chunks import Chunk, Trace, cut, earlier, needs_of, plan_chunks
from flashocc_ros.pipeline.memory import PastFrame
from flashocc_ros.pipeline.stream import memory_of
from flashocc_ros.variants import Variant, get_variant

S = 1_000_000_000
MAPS = get_variant("panoptic-flashocc-r50-depth4d-longterm16f")
STEREO = get_variant("synthetic-tiny-4d")
SINGLE = get_variant("synthetic-tiny")


def sets_at(times_s: list[float], x_m: list[float] | None = None) -> list[PosedSet]:
    """Sets of a vehicle that stands, or is at ``x_m``; only what planning looks at."""
    found = []
    for index, time_s in enumerate(times_s):
        pose = np.eye(4)
        pose[0, 3] = 0.0 if x_m is None else x_m[index]
        poses = SimpleNamespace(base_from_camera=np.eye(4)[None], key_pose=pose)
        stamp_ns = round(time_s * S)
        one = SimpleNamespace(
            stamp_ns=stamp_ns, completed_ns=stamp_ns, infos=(0,), poses=poses, epoch=0, pose_epoch=0, images=()
        )
        found.append(cast(PosedSet, one))
    return found


def planned(sets: list[PosedSet]) -> PlannedSets:
    return PlannedSets(cast(Any, None), ("front",), ("/front",), tuple(sets), ())


def chosen(sets: list[PosedSet], variant: Variant, warm: int, used: list[bool]) -> list[tuple[list[int], bool]]:
    """What a run that begins at ``warm`` chooses from its memory for each set, and whether it takes the set."""
    memory = memory_of(variant)
    found = []
    for index, posed in enumerate(sets):
        if index < warm or not used[index]:
            found.append(([], False))
            continue
        seen = (posed.stamp_ns, cast(Any, SimpleNamespace(same_as=lambda other: True)), (), posed.poses.key_pose)
        verdict = memory.judge(*seen)
        past = [] if verdict else [frame.bev for frame in memory.select(posed.stamp_ns) if frame is not None]
        wants = verdict is not None or memory.wants(posed.stamp_ns)
        memory.accept(*seen, verdict)
        if wants:
            memory.add(PastFrame(posed.stamp_ns, cast(Any, None), index, 0))
        found.append((past, wants))
    return found


@given(
    st.lists(st.sampled_from([0.0, 0.04, 0.083, 0.1, 0.5, 3.0, 60.0]), min_size=1, max_size=80),
    st.floats(min_value=1.0, max_value=50.0),
)
def test_each_set_is_in_one_chunk(steps_s: list[float], chunk_s: float) -> None:
    times_ns = [round(time_s * S) for time_s in np.cumsum(steps_s)]
    cuts = cut(times_ns, round(chunk_s * S))
    assert cuts[0] == 0
    assert cuts[-1] == len(times_ns)
    assert cuts == sorted(set(cuts))
    assert cuts == cut(times_ns, round(chunk_s * S))


def test_chunks_are_about_as_long_as_asked_for() -> None:
    sets = sets_at([k / 10 for k in range(605)])
    chunks = plan_chunks(planned(sets), SINGLE, 20)
    assert [(chunk.first, chunk.stop) for chunk in chunks] == [(0, 202), (202, 403), (403, 605)]
    assert [chunk.warm for chunk in chunks] == [0, 201, 402]  # a single frame needs the one before for its pose only


def test_a_pause_is_no_chunk_of_its_own() -> None:
    sets = sets_at([0, 0.1, 0.2, 100, 100.1])
    assert [(c.first, c.stop) for c in plan_chunks(planned(sets), SINGLE, 10)] == [(0, 3), (3, 5)]


@pytest.mark.parametrize(
    ("variant", "rate_hz", "warm_s"),
    [(STEREO, 12, 1.0), (STEREO, 2, 1.0), (MAPS, 12, 8.1), (MAPS, 10, 8.1), (MAPS, 2, 8.0)],
)
def test_the_warm_up_is_as_long_as_the_memory_reaches(variant: Variant, rate_hz: int, warm_s: float) -> None:
    sets = sets_at([k / rate_hz for k in range(60 * rate_hz)])
    for chunk in plan_chunks(planned(sets), variant, 20)[1:]:
        assert (chunk.first - chunk.warm) / rate_hz <= warm_s + 0.3


@settings(max_examples=60)
@given(
    st.sampled_from([STEREO, MAPS, SINGLE]),
    st.lists(st.sampled_from([0.05, 0.0667, 0.08, 0.083, 0.1, 0.25, 0.5, 1.1, 2.5]), min_size=30, max_size=120),
    st.floats(min_value=1.0, max_value=8.0),
    st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_a_chunk_chooses_from_its_memory_as_the_uncut_run_does(
    variant: Variant, steps_s: list[float], chunk_s: float, damaged: list[bool]
) -> None:
    sets = sets_at(list(np.cumsum(steps_s)), [50.0 * (k > 25) for k in range(len(steps_s))])
    used = [not (damaged[k % 8] and k % 7 == 3) for k in range(len(sets))]
    uncut = chosen(sets, variant, 0, used)
    chunks = plan_chunks(planned(sets), variant, chunk_s)
    for _ in range(len(sets)):
        runs = [chosen(sets, variant, chunk.warm, used) for chunk in chunks]
        traces = [
            [Trace(used[k], run[k][1], "a") for k in range(chunk.warm, chunk.stop)]
            for chunk, run in zip(chunks, runs, strict=True)
        ]
        corrected = earlier(chunks, traces, sets, variant)
        if not any(corrected):
            break
        assert all(new is None or new.warm < old.warm for new, old in zip(corrected, chunks, strict=True))
        chunks = tuple(new or old for new, old in zip(corrected, chunks, strict=True))
    for chunk, run in zip(chunks, runs, strict=True):
        assert run[chunk.first : chunk.stop] == uncut[chunk.first : chunk.stop]


def test_the_phase_of_what_is_remembered_is_that_of_the_uncut_run() -> None:
    """At 12 Hz every second frame is taken; a chunk that began with one of the others would take those."""
    sets = sets_at([k / 12 for k in range(400)])
    kept = needs_of(sets, MAPS).kept
    assert all(kept[chunk.warm] == chunk.warm for chunk in plan_chunks(planned(sets), MAPS, 7))
    assert {kept[k + 1] - kept[k] for k in range(390)} == {0, 2}


def test_a_chunk_with_another_lift_table_begins_where_the_table_was_made() -> None:
    sets = sets_at([k / 10 for k in range(40)])
    chunks = (Chunk(0, 0, 20), Chunk(19, 20, 40))
    driven = [Trace(True, False, f"table {min(k, 12)}") for k in range(20)]  # it stands from set 12 on
    alone = [Trace(True, False, "table 19") for _ in range(21)]
    corrected = earlier(chunks, [driven, alone], sets, SINGLE)
    assert corrected == (None, Chunk(12, 20, 40))
    assert earlier(chunks, [driven, [driven[19], *alone[1:]]], sets, SINGLE) == (None, None)


@pytest.mark.parametrize("chunk_s", [0.0, -1.0, 0.5, float("nan"), float("inf")])
def test_a_chunk_too_short_is_refused(chunk_s: float) -> None:
    with pytest.raises(ConfigError, match=r"--chunk-s is .* needs 1 seconds or more"):
        plan_chunks(planned(sets_at([0, 1])), SINGLE, chunk_s)
