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

"""The table of a run and its verdict."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

from benchmarks.soak.processes import Sample
from benchmarks.soak.stage import Episode, Stage

WARM_UP = 0.25
"""Share of the longest life that does not count for the slopes: pools and caches fill."""
LEAST_HOURS = 0.4
MOST_MB_PER_HOUR = 1.0
MOST_MB_SHORT = 20.0
"""Rise between rests that a life too short for a slope may show after its warm-up."""
MOST_FILES = MOST_THREADS = 4
SHOWN = 140
COMMON = ("the past was forgotten", "temporal memory cleared", "no result for", "camera #: no image")
"""Beginnings of sentences that tell a consequence, numbers and names taken out."""


@dataclass
class Held:
    """What the longest life held after its warm-up, which lasted ``hours``; pairs are of its beginning and its end.

    Attributes:
        at_work_mb: memory of its own.
        at_rest_mb: the same while its network was freed.
        mb_per_hour: of ``at_rest_mb``: the median of the slopes between all pairs of rests (Theil and Sen).
    """

    hours: float
    at_work_mb: tuple[float, float]
    at_rest_mb: tuple[float, float]
    mb_per_hour: float
    files: tuple[int, int]
    threads: tuple[int, int]

    @property
    def problems(self) -> list[str]:
        """What grows."""
        found = []
        grown_mb = self.at_rest_mb[1] - self.at_rest_mb[0]
        if self.hours >= LEAST_HOURS and self.mb_per_hour > MOST_MB_PER_HOUR:
            found.append(f"memory grows by {self.mb_per_hour:.1f} MB per hour, {MOST_MB_PER_HOUR:g} are allowed")
        elif self.hours < LEAST_HOURS and grown_mb > MOST_MB_SHORT:
            found.append(f"memory grew by {grown_mb:.1f} MB, {MOST_MB_SHORT:g} are allowed")
        if self.files[1] - self.files[0] > MOST_FILES:
            found.append(f"open files went from {self.files[0]} to {self.files[1]}")
        if self.threads[1] - self.threads[0] > MOST_THREADS:
            found.append(f"threads went from {self.threads[0]} to {self.threads[1]}")
        return found


def held(samples: list[Sample], rests: list[Sample]) -> Held | None:
    """Of the life with the most samples; None where they or its rests are too few."""
    if not samples:
        return None
    pid = Counter(s.pid for s in samples).most_common(1)[0][0]
    life = [s for s in samples if s.pid == pid]
    begin_s = life[0].time_s + WARM_UP * (life[-1].time_s - life[0].time_s)
    warm = [s for s in life if s.time_s >= begin_s]
    resting = [s for s in rests if s.pid == pid and s.time_s >= begin_s] or [s for s in rests if s.pid == pid][-1:]
    if len(warm) < 5 or not resting:
        return None

    def ends(values: list[float]) -> tuple[float, float]:
        tenth = max(1, len(values) // 10)
        return float(np.median(values[:tenth])), float(np.median(values[-tenth:]))

    rest_mb = [s.own_mb for s in resting]
    rest_hours = [s.time_s / 3600 for s in resting]
    files, threads = ends([s.files for s in warm]), ends([s.threads for s in warm])
    return Held(
        (warm[-1].time_s - begin_s) / 3600,
        ends([s.own_mb for s in warm]),
        ends(rest_mb),
        float(theilslopes(rest_mb, rest_hours)[0]) if len(resting) > 2 else 0.0,
        (round(files[0]), round(files[1])),
        (round(threads[0]), round(threads[1])),
    )


def report(stage: Stage, minutes: float, seed: int) -> tuple[str, list[str]]:
    """The whole report in Markdown, and what must not be."""
    judge, kept = stage.judge, held(stage.monitor.samples, stage.monitor.rests)
    wrong = [r for r in judge.results if r.wrong]
    problems = [f"{e.kind}: {p}" for e in stage.episodes for p in e.problems]
    known = {p for e in stage.episodes for p in e.problems}
    problems += [p for p in stage.problems if p not in known]
    problems += kept.problems if kept else []
    masked = sum(bool(r.masked) for r in judge.results)
    lines = [
        f"{minutes:.1f} minutes, seed {seed}: {len(stage.episodes)} faults of {len(_kinds(stage.episodes))} kinds in "
        f"{stage.lives} lives of the node, {judge.triggers} triggers, {len(judge.results)} results ({masked} of them "
        f"with masked cameras), {len(wrong)} wrong.",
        "",
    ]
    if kept:
        lines += [
            f"Longest life, {kept.hours:.2f} h after its warm-up: {kept.at_rest_mb[0]:.1f} to "
            f"{kept.at_rest_mb[1]:.1f} MB at rest ({kept.mb_per_hour:+.2f} MB/h), {kept.at_work_mb[0]:.0f} to "
            f"{kept.at_work_mb[1]:.0f} MB at work, {kept.files[0]} to {kept.files[1]} files, {kept.threads[0]} to "
            f"{kept.threads[1]} threads.",
            "",
        ]
    lines += [
        "| fault | times | results | sets lost | what the node says | right again after: median, longest [s] |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind, episodes in sorted(_kinds(stage.episodes).items()):
        times_s = [e.recovered_s for e in episodes if e.recovered_s is not None]
        after = f"{statistics.median(times_s):.1f}, {max(times_s):.1f}" if times_s else "never"
        results, lost = sum(e.results for e in episodes), sum(e.lost for e in episodes)
        lines.append(f"| {kind} | {len(episodes)} | {results} | {lost} | {_sentence(episodes)} | {after} |")
    lines += ["", "Verdict: " + ("sound." if not problems else f"{len(problems)} problems."), ""]
    return "\n".join(lines + [f"- {problem}" for problem in problems]), problems


def _kinds(episodes: list[Episode]) -> dict[str, list[Episode]]:
    kinds: dict[str, list[Episode]] = {}
    for episode in episodes:
        kinds.setdefault(episode.kind, []).append(episode)
    return kinds


def _sentence(episodes: list[Episode]) -> str:
    """What it says most often; sentences that any fault may bring only when there is no other."""
    said = Counter[str]()
    example: dict[str, str] = {}
    for episode in episodes:
        for line in {re.sub(r"^\[\w+\] \[[\d.]+\] \[\w+\]: ", "", text) for text in episode.said}:
            shape = re.sub(r"CAM_\w+|[-\d.]+", "#", line)
            example.setdefault(shape, line)
            said[shape] += 1
    if not said:
        return "nothing"
    best = max(said, key=lambda shape: (not shape.startswith(COMMON), said[shape], len(shape)))
    line = example[best].replace("|", "/")
    return line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."
