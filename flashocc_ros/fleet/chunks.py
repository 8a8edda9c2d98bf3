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

"""Where a long recording is cut, so that its chunks give what the whole one does.

A chunk begins with sets of the one before it, its warm-up, which fill the network's memory; their results are not used.
The warm-up begins at a frame that the memory of the uncut run takes, early enough for all that is chosen from it
afterwards. Two things depend on more than that, because they keep what is good enough: which frames are remembered, and
the lift table. So both are compared where chunks overlap, and a chunk in which they differ begins earlier (`earlier`).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, cast

from flashocc_ros.bags.planned_sets import PlannedSets
from flashocc_ros.cameras.road import PosedSet
from flashocc_ros.errors import ConfigError
from flashocc_ros.pipeline.memory import PastFrame, TemporalMemory
from flashocc_ros.pipeline.stream import memory_of
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import Variant

LEAST_CHUNK_S = 1.0


@dataclass(frozen=True)
class Chunk:
    """Numbers of sets: results of ``first`` to before ``stop``, computed from ``warm`` on."""

    warm: int
    first: int
    stop: int


class Trace(NamedTuple):
    """What a run did with one set, as far as later sets depend on it.

    Attributes:
        used: False where its images could not be decoded.
        remembered: the memory took it.
        table: names the lift table.
    """

    used: bool
    remembered: bool
    table: str


class Needs(NamedTuple):
    """Per set the earliest one that its result needs, and the latest one up to it that the memory took."""

    earliest: list[int]
    kept: list[int]

    def warm(self, first: int, stop: int) -> int:
        """Where a chunk has to begin."""
        if first == 0:
            return 0
        return self.kept[min(*self.earliest[first:stop], first - 1)]  # the set before tells whether the pose jumped


def plan_chunks(planned: PlannedSets, variant: Variant, chunk_s: float) -> tuple[Chunk, ...]:
    """Chunks of about ``chunk_s`` seconds of recording; each set is in one of them.

    Raises:
        ConfigError: ``chunk_s`` is too short.
    """
    check_chunk_s(chunk_s or -1.0)
    cuts = cut([posed.completed_ns for posed in planned.sets], round(chunk_s * 1e9))
    needs = needs_of(planned.sets, variant)
    return tuple(Chunk(needs.warm(first, stop), first, stop) for first, stop in pairwise(cuts))


def check_chunk_s(chunk_s: float) -> float:
    """The same number, where recordings can be cut by it; 0 cuts none.

    Raises:
        ConfigError: they cannot.
    """
    if chunk_s and not LEAST_CHUNK_S <= chunk_s < math.inf:
        raise ConfigError(f"--chunk-s is {chunk_s:g}, needs {LEAST_CHUNK_S:g} seconds or more, or 0 for no chunks")
    return chunk_s


def cut(times_ns: Sequence[int], chunk_ns: int) -> list[int]:
    """Numbers of the first sets of chunks of equal duration, and of the last and the length behind them.

    Args:
        times_ns: of the sets, none before the one before it.
        chunk_ns: the chunks are about that long.
    """
    if not times_ns:
        return [0]
    begin_ns, span_ns = times_ns[0], times_ns[-1] - times_ns[0] + 1
    count = max(1, round(span_ns / chunk_ns))
    cuts = [bisect_left(times_ns, begin_ns + span_ns * k // count) for k in range(count)]
    return [*dict.fromkeys(index for index in cuts if index < len(times_ns)), len(times_ns)]


class _Calibration(NamedTuple):
    """Stands for a `CameraRig`, which only images tell, where the memory asks whether it changed."""

    infos: tuple[Any, ...]
    base_from_camera: bytes

    def same_as(self, other: _Calibration) -> bool:
        return self == other


def needs_of(sets: Sequence[PosedSet], variant: Variant, used: Sequence[bool] | None = None) -> Needs:
    """By letting the memory run over the sets without a network.

    Args:
        used: False for a set whose images turned out to be damaged, which nothing sees; None as long as none is known.
    """
    memory = memory_of(variant)
    needs = Needs([], [])
    before: PosedSet | None = None
    past_of: list[list[int]] = []
    for index, posed in enumerate(sets):
        if used is not None and not used[index]:
            past_of.append([])
            needs.earliest.append(index)
            needs.kept.append(needs.kept[-1] if needs.kept else index)
            continue
        rig = cast(CameraRig, _Calibration(posed.infos, posed.poses.base_from_camera.tobytes()))
        seen = (posed.stamp_ns, rig, (), posed.poses.key_pose)
        forgotten = memory.judge(*seen) is not None or (
            before is not None and (posed.pose_epoch, posed.epoch) != (before.pose_epoch, before.epoch)
        )
        if forgotten:
            memory = memory_of(variant)
        past_of.append(past := _numbers(memory, posed.stamp_ns))
        # of two pictures that are matched, the older was matched with one before it when it was the newer
        older = past_of[past[0]][:1] if past and variant.stereo else []
        needs.earliest.append(min([index, *past, *older]))
        kept = memory.wants(posed.stamp_ns)
        memory.accept(*seen, None)
        if kept:
            memory.add(PastFrame(posed.stamp_ns, cast(Any, None), index, 0))
        needs.kept.append(index if kept or not variant.num_history or not needs.kept else needs.kept[-1])
        before = posed
    return needs


def _numbers(memory: TemporalMemory, stamp_ns: int) -> list[int]:
    return [frame.bev for frame in memory.select(stamp_ns) if frame is not None]


def earlier(
    chunks: Sequence[Chunk], traces: Sequence[Sequence[Trace]], sets: Sequence[PosedSet], variant: Variant
) -> tuple[Chunk | None, ...]:
    """For each chunk None where its warm-up did what the uncut run does, else the chunk with an earlier one.

    Args:
        chunks: of the whole recording, in order.
        traces: of each, of its sets from ``warm`` to before ``stop``.
        sets, variant: what was planned.
    """
    whole = [trace for chunk, found in zip(chunks, traces, strict=True) for trace in found[chunk.first - chunk.warm :]]
    needs = needs_of(sets, variant, [trace.used for trace in whole])
    corrected: list[Chunk | None] = []
    for chunk, found in zip(chunks, traces, strict=True):
        is_same = list(found[: chunk.first - chunk.warm]) == whole[chunk.warm : chunk.first]
        needed = min(needs.warm(chunk.first, chunk.stop), chunk.warm)
        if is_same and needed == chunk.warm:
            corrected.append(None)
        else:
            warm = needed if is_same else min(needed, _begin_of_table(chunk, whole, bool(variant.num_history)))
            corrected.append(Chunk(warm, chunk.first, chunk.stop))
    return tuple(corrected)


def _begin_of_table(chunk: Chunk, whole: Sequence[Trace], has_memory: bool) -> int:
    """The frame that made the table which the warm-up should have begun with; at least one earlier than before."""
    warm = max(0, chunk.warm - 1)
    while warm > 0 and (whole[warm - 1].table == whole[warm].table or not whole[warm].used):
        warm -= 1
    while warm > 0 and has_memory and not whole[warm].remembered:
        warm -= 1
    return warm
