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
MOST_MB_SHORT = 40.0
"""Rise that a life too short for a slope may show after its warm-up."""
MOST_FILES = MOST_THREADS = 4
SHOWN = 140
COMMON = ("the past was forgotten", "temporal memory cleared", "no result for", "camera #: no image")
"""Beginnings of sentences that tell a consequence, numbers and names taken out."""


@dataclass
class Slopes:
    """What the longest life held after its warm-up; ``hours`` of it.

    The slope of the memory is the median of those between all pairs of samples (Theil and Sen): networks that are
    loaded anew make steps up and down, which say nothing about growth.
    """

    hours: float
    rss: tuple[float, float, float]
    files: tuple[int, int]
    threads: tuple[int, int]

    @property
    def mb_per_hour(self) -> float:
        return self.rss[2]

    @property
    def problems(self) -> list[str]:
        """What grows."""
        found = []
        if self.hours >= LEAST_HOURS and self.mb_per_hour > MOST_MB_PER_HOUR:
            found.append(f"memory grows by {self.mb_per_hour:.1f} MB per hour, {MOST_MB_PER_HOUR:g} are allowed")
        elif self.hours < LEAST_HOURS and self.rss[1] - self.rss[0] > MOST_MB_SHORT:
            found.append(f"memory grew by {self.rss[1] - self.rss[0]:.1f} MB, {MOST_MB_SHORT:g} are allowed")
        if self.files[1] - self.files[0] > MOST_FILES:
            found.append(f"open files went from {self.files[0]} to {self.files[1]}")
        if self.threads[1] - self.threads[0] > MOST_THREADS:
            found.append(f"threads went from {self.threads[0]} to {self.threads[1]}")
        return found


def slopes(samples: list[Sample]) -> Slopes | None:
    """Of the life with the most samples; None without any."""
    if not samples:
        return None
    pid = Counter(s.pid for s in samples).most_common(1)[0][0]
    life = [s for s in samples if s.pid == pid]
    begin_s = life[0].time_s + WARM_UP * (life[-1].time_s - life[0].time_s)
    warm = [s for s in life if s.time_s >= begin_s]
    if len(warm) < 5:
        return None
    hours = np.array([(s.time_s - begin_s) / 3600 for s in warm])
    rss = np.array([s.resident_mb for s in warm])
    tenth = max(1, len(warm) // 10)
    ends = float(np.median(rss[:tenth])), float(np.median(rss[-tenth:]))

    def first_and_last(values: list[int]) -> tuple[int, int]:
        return round(statistics.median(values[:tenth])), round(statistics.median(values[-tenth:]))

    return Slopes(
        float(hours[-1]),
        (*ends, float(theilslopes(rss, hours)[0])),
        first_and_last([s.files for s in warm]),
        first_and_last([s.threads for s in warm]),
    )


def report(stage: Stage, minutes: float, seed: int) -> tuple[str, list[str]]:
    """The whole report in Markdown, and what must not be."""
    judge, held = stage.judge, slopes(stage.monitor.samples)
    wrong = [r for r in judge.results if r.wrong]
    problems = [f"{e.kind}: {p}" for e in stage.episodes for p in e.problems]
    known = {p for e in stage.episodes for p in e.problems}
    problems += [p for p in stage.problems if p not in known]
    problems += held.problems if held else ["too short to see what the node holds"]
    masked = sum(bool(r.masked) for r in judge.results)
    lines = [
        f"{minutes:.1f} minutes, seed {seed}: {len(stage.episodes)} faults of {len(_kinds(stage.episodes))} kinds in "
        f"{stage.lives} lives of the node, {judge.triggers} triggers, {len(judge.results)} results ({masked} of them "
        f"with masked cameras), {len(wrong)} wrong.",
        "",
    ]
    if held:
        lines += [
            f"Longest life, {held.hours:.2f} h after its warm-up: {held.rss[0]:.1f} to {held.rss[1]:.1f} MB "
            f"({held.mb_per_hour:+.2f} MB/h), {held.files[0]} to {held.files[1]} files, {held.threads[0]} to "
            f"{held.threads[1]} threads.",
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
