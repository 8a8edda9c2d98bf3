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

"""Learns when each camera fires relative to the anchor camera, from header stamps alone.

Let T be the period of the anchor. The delay of a camera is only observable modulo T: with shutters staggered over 80 ms
of an 83 ms period, "80 ms after this trigger" and "3 ms before the next one" give the same stamps. Which of the two is
meant is a convention, chosen once per lock by `cut_cycle` and never changed while the lock holds:

1. The phases of all cameras lie on a circle of circumference T. If one gap between neighbours is clearly the largest
   (more than 1.25 times the second, beyond the noise), the circle is cut in its middle: a trigger is the tightest
   burst that holds all cameras, wherever the anchor is in it.
2. Otherwise the shutters sweep evenly through the whole period and a trigger is the sweep that begins with the anchor:
   offsets lie in [0, T). A camera within 2 % of T of the anchor counts as simultaneous with it.
3. While the noise of the estimates does not allow the decision, there is no lock, up to `LAST_SAMPLES` images.

Phases are circular means of stamp differences modulo T, so lost images do not bias them.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

HISTORY = 400  # stamps kept per camera: half a minute at 12 Hz
MIN_SAMPLES = 4  # fewer images of a camera tell nothing about its jitter
CLEAR_GAP_RATIO = 1.25
SAME_SHUTTER = 0.02  # of the period
MAX_JITTER = 0.23  # rms of the residuals, of the period; evenly spread phases give 0.289
LAST_SAMPLES = 360  # after this many a phase must only be clear of the border between two conventions by 1 %
UNDECIDED_SAMPLES = 32  # after this many it is enough that there is likely a clear gap, or likely none
MAX_OFF_MULTIPLE = 0.2  # rms, of the period; intervals of stamps that jitter over half of it have that
SIGMAS = 3.5
JITTER_FLOOR_NS = 0.3e6
FASTER = 0.75  # a camera whose intervals are below this share of the anchor's sends several images per trigger
SPELL = 3  # so many short intervals in a row may be of a faster camera; one more are


def estimate_period_ns(anchor: Sequence[int], others: Sequence[Sequence[int]]) -> float | None:
    """Period of the anchor in nanoseconds from its sorted stamps, robust to lost images; None while unsure.

    Each interval is a multiple of the period; where half of the images are lost the median interval is not the period
    itself. So shorter ones are tried as well, and the one of which all are multiples best is refined over the whole
    span. While there are few, a loss could double them all: then the other cameras must not know shorter ones.
    """
    intervals = np.diff(np.asarray(anchor, np.int64)).astype(np.float64)
    if len(intervals) < 3:
        return None
    median, *shorter = np.quantile(intervals, (0.5, 0.25, 0.0)).tolist()
    fits = [_fit(intervals, rough) for rough in (median, *(s for s in shorter if s > 0.3 * median))]
    period, off = min(fits, key=lambda fit: fit[1])
    if off > MAX_OFF_MULTIPLE:
        # Two publishers on the topic, for one: there is no period, and the median has to do.
        return fits[0][0] if len(intervals) >= 8 else None
    if len(intervals) < 8:
        theirs = np.concatenate([np.diff(np.asarray(stamps, np.int64)) for stamps in others])
        pooled = np.concatenate([intervals, theirs])
        if abs(float(np.median(pooled)) - period) > 0.25 * period:
            return None
        if len(theirs) and float(np.quantile(theirs, 0.25)) < 0.75 * period:
            return None
    return period


def _fit(intervals_ns: npt.NDArray[np.float64], rough_ns: float) -> tuple[float, float]:
    """Period near ``rough_ns``, and how far the intervals are from its multiples (rms, of the period)."""
    periods = np.rint(intervals_ns / rough_ns)
    near = (periods >= 1) & (periods <= 8)
    period_ns = float(intervals_ns[near].sum() / periods[near].sum())
    off = np.where(near, intervals_ns / period_ns - periods, np.where(periods < 1, 0.5, 0.0))
    return period_ns, float(np.sqrt(np.mean(off * off)))


def phase_of(stamps: Sequence[int], anchor: Sequence[int], period_ns: float) -> tuple[float, float, int]:
    """Circular mean of ``stamps`` relative to the latest anchor stamp, modulo the period.

    Returns:
        phase in [0, period), rms of the residuals (both nanoseconds) and the number of samples used.
    """
    anchor_ns, camera_ns = np.asarray(anchor, np.int64), np.asarray(stamps, np.int64)
    phase, jitter, count = 0.0, period_ns, 0
    for _ in range(3):
        # The anchor image nearest to the expected trigger: picking the latest before the stamp instead would favour
        # anchors that jitter early and bias a phase near the end of the period by milliseconds.
        trigger = camera_ns - round(phase)
        after = np.clip(np.searchsorted(anchor_ns, trigger), 1, len(anchor_ns) - 1)
        before = trigger - anchor_ns[after - 1] < anchor_ns[after] - trigger
        lag = (camera_ns - anchor_ns[after - before]).astype(np.float64)
        turns = lag[np.abs(lag) < 3.5 * period_ns] / period_ns  # beyond, the error of the period itself would show
        if len(turns) == 0:
            return 0.0, period_ns, 0
        mean = math.atan2(np.sin(2 * np.pi * turns).mean(), np.cos(2 * np.pi * turns).mean()) / (2 * np.pi)
        residual = (turns - mean + 0.5) % 1.0 - 0.5
        phase, jitter, count = (mean + float(residual.mean())) % 1.0 * period_ns, float(residual.std()), len(turns)
    return phase, jitter * period_ns, count


def cut_cycle(
    phases_ns: Mapping[str, float], noise_ns: Mapping[str, float], period_ns: float, num_samples: int
) -> dict[str, float] | None:
    """Turns phases modulo the period into offsets to the anchor (phase 0); None while undecided.

    Args:
        phases_ns: phase in [0, period) of every camera but the anchor.
        noise_ns: half width of the confidence interval of each phase.
        period_ns: period of the anchor.
        num_samples: images seen of the camera seen least.
    """
    ordered = sorted([0.0, *phases_ns.values()])
    ends = [*ordered[1:], period_ns]
    gaps = sorted((end - start, start) for start, end in zip(ordered, ends, strict=True))
    largest, second = gaps[-1], gaps[-2] if len(gaps) > 1 else (0.0, 0.0)
    margin = math.sqrt(2) * max(noise_ns.values(), default=0.0)
    clear = largest[0] - margin > CLEAR_GAP_RATIO * (second[0] + margin)
    unclear = largest[0] + margin < CLEAR_GAP_RATIO * (second[0] - margin)
    if num_samples >= UNDECIDED_SAMPLES:  # the likelier of the two, as soon as it is likely
        short = CLEAR_GAP_RATIO * second[0] - largest[0]
        last = num_samples >= LAST_SAMPLES
        clear = short < 0 and (last or largest[0] - second[0] > margin)
        unclear = short >= (0.0 if last else margin / 2)
    if clear:
        cut = largest[1] + largest[0] / 2
        return {name: phase if phase < cut else phase - period_ns for name, phase in phases_ns.items()}
    if not unclear:
        return None
    offsets = {}
    for name, phase in phases_ns.items():
        signed = phase if phase <= period_ns / 2 else phase - period_ns
        noise, distance = noise_ns[name], abs(signed)
        if num_samples >= LAST_SAMPLES:
            noise = min(noise, SAME_SHUTTER * period_ns / 2)
            if SAME_SHUTTER / 2 < distance / period_ns < SAME_SHUTTER * 1.5:
                return None
        if distance <= noise and noise > SAME_SHUTTER * period_ns:
            return None
        offsets[name] = signed if distance <= SAME_SHUTTER * period_ns else phase
    return offsets


def _latest_intervals(stamps_ns: Sequence[int]) -> list[int]:
    """Between the latest stamps of a camera, up to one more than `SPELL`."""
    latest = stamps_ns[-SPELL - 2 :]
    return [after - before for before, after in itertools.pairwise(latest)]


class OffsetLearner:
    """Offset of every camera to the anchor and the anchor's period, in nanoseconds.

    Args:
        cameras: all camera names.
        anchor: the camera that defines the trigger.
        configured_ns: offsets that are known; these cameras are not learned.
    """

    def __init__(self, cameras: Sequence[str], anchor: str, configured_ns: Mapping[str, float]) -> None:
        self.cameras, self.anchor = tuple(cameras), anchor
        self.configured_ns = dict(configured_ns)
        self.period_ns: float | None = None
        self.offsets_ns: dict[str, float] = {}
        self.problem = ""  # why there is no lock, for diagnostics
        self.cycle_ns: dict[str, float] = {}  # period of a camera that is faster than the anchor, else the anchor's
        self._spell_ns: dict[str, float] = {}
        self._jitter_ns: dict[str, float] = {}
        self._drift_ns: dict[str, float] = {}
        self._weight: dict[str, float] = {}
        self._previous_ns: dict[str, float] = {}  # offsets of cameras that were forgotten one by one
        self._tried = 0  # anchor images at the last attempt to solve
        self._stamps: dict[str, list[int]] = {name: [] for name in cameras}

    @property
    def locked(self) -> bool:
        return self.period_ns is not None

    def reset(self) -> None:
        """Forgets everything but the configured offsets."""
        self.period_ns = None
        self.offsets_ns = {}
        self.cycle_ns = {}
        self._spell_ns = {}
        self._drift_ns = {}
        self._previous_ns = {}
        self._tried = 0
        for stamps in self._stamps.values():
            stamps.clear()

    def forget(self, camera: str) -> None:
        """Forgets one camera, which fell silent or shifted its phase; the others stay locked."""
        self._stamps[camera].clear()
        self._drift_ns.pop(camera, None)
        if camera not in self.configured_ns and camera in self.offsets_ns:
            self._previous_ns[camera] = self.offsets_ns.pop(camera)

    def last_offset_ns(self, camera: str) -> float:
        """Its offset, while it is learned anew the one before, 0 where none was ever known."""
        return self.offsets_ns.get(camera, self._previous_ns.get(camera, 0.0))

    def observe(self, camera: str, stamp_ns: int) -> None:
        """Takes note of a stamp, in any order."""
        stamps = self._stamps[camera]
        if not stamps or stamp_ns > stamps[-1]:
            stamps.append(stamp_ns)
        else:
            bisect.insort(stamps, stamp_ns)
        if len(stamps) > HISTORY:
            del stamps[0]
        if self.locked and camera != self.anchor:
            self._note_faster(camera)

    def nearest_only_ns(self, camera: str) -> float:
        """The cycle of a camera, less while it sends several images per trigger: of those the nearest is meant."""
        return min(self.cycle_ns[camera], self._spell_ns.get(camera, math.inf))

    def _note_faster(self, camera: str) -> None:
        """Four intervals that are short are the camera's cycle: no jitter that is borne makes so many.

        Three may be jitter, and count as long as they are the latest. A second publisher makes every other one short.
        """
        own, anchors = _latest_intervals(self._stamps[camera]), _latest_intervals(self._stamps[self.anchor])
        short_ns = FASTER * min(anchors, default=0)
        self._spell_ns.pop(camera, None)
        if len(own) > SPELL and max(own) < short_ns:
            self.cycle_ns[camera] = float(np.median(own))
        elif len(own) >= SPELL and max(own[-SPELL:]) < short_ns:
            self._spell_ns[camera] = float(np.median(own[-SPELL:]))

    def solve(self, need_all: bool) -> bool:
        """Tries to lock (or to add a camera to the lock); True when ``offsets_ns`` changed.

        Args:
            need_all: lock only when every camera can be placed; otherwise cameras that sent nothing are left out.
        """
        others = [name for name in self.cameras if name != self.anchor]
        if self.locked and all(len(self._stamps[n]) < MIN_SAMPLES for n in others if n not in self.offsets_ns):
            return False
        count = len(self._stamps[self.anchor])
        if count - self._tried < count // 16 and count < HISTORY:
            return False  # hardly anything new since the last try
        self._tried = count
        period = estimate_period_ns(self._stamps[self.anchor], [self._stamps[name] for name in others])
        if period is None:
            return False
        offsets = dict(self.configured_ns)
        cycle = {name: period for name in self.cameras}
        phases: dict[str, float] = {}
        jitters: dict[str, float] = {}
        samples: dict[str, int] = {}
        for name in others:
            stamps = self._stamps[name]
            if len(stamps) >= MIN_SAMPLES:
                own = float(np.median(np.diff(np.asarray(stamps, np.int64))))
                if own < FASTER * period:
                    cycle[name] = own
            if name in self.configured_ns:
                continue
            if len(stamps) < MIN_SAMPLES:
                if need_all or (stamps and stamps[-1] - self._stamps[self.anchor][-1] > -5 * period):
                    return False
                continue
            phase, jitter, count = phase_of(stamps, self._stamps[self.anchor], cycle[name])
            if count < MIN_SAMPLES:
                apart = (stamps[-1] - self._stamps[self.anchor][-1]) / 1e9
                self.problem = f"the stamps of {name} are {apart:+.1f} s from those of {self.anchor}; check its clock"
                return False
            if jitter > MAX_JITTER * cycle[name]:
                self.problem = (
                    f"{name} has no steady delay to {self.anchor} (jitter {jitter / 1e6:.0f} ms, period "
                    f"{cycle[name] / 1e6:.0f} ms); trigger the cameras together or set sync.offsets_s"
                )
                return False
            phases[name], jitters[name], samples[name] = phase, jitter, count
        # Cameras of one rig jitter alike; pooling keeps four lucky samples from looking like a precise clock.
        pooled = math.sqrt(sum(j * j for j in jitters.values()) / len(jitters)) if jitters else 0.0
        noise = {}
        for name, count in samples.items():
            jitter = max(jitters[name], pooled, JITTER_FLOOR_NS)
            noise[name] = SIGMAS * (1 + 8 / count) * jitter / math.sqrt(count)
            if cycle[name] < period:  # several images per trigger: the nearest is meant
                offsets[name] = phases[name] if phases[name] <= cycle[name] / 2 else phases[name] - cycle[name]
                del phases[name]
        if self.locked:
            # The convention holds: known offsets stay, and a camera that comes back belongs where it was.
            offsets.update({name: offset for name, offset in self.offsets_ns.items() if name in phases})
            for name, previous in self._previous_ns.items():
                change = (phases[name] - previous + period / 2) % period - period / 2 if name in phases else period
                if abs(change) < period / 4:
                    offsets[name] = previous + change
        if phases.keys() - offsets.keys():
            placed = cut_cycle(
                phases, {name: noise[name] for name in phases}, period, min(samples[name] for name in phases)
            )
            if placed is None:
                self.problem = "the shutters fill the whole period; set sync.offsets_s to start at once"
                return False
            offsets.update(placed)
        offsets[self.anchor] = 0.0
        if self.period_ns is not None and offsets.keys() == self.offsets_ns.keys():
            return False
        self.period_ns, self.offsets_ns, self.cycle_ns, self.problem = period, offsets, cycle, ""
        self._jitter_ns = {name: max(jitters.get(name, 0.0), pooled, JITTER_FLOOR_NS) for name in self.cameras}
        self._weight = {name: 1.0 / max(samples.get(name, 1), 4) for name in self.cameras}
        self._drift_ns = {}
        self._previous_ns = {name: value for name, value in self._previous_ns.items() if name not in offsets}
        return True

    def track(self, camera: str, residual_ns: float) -> None:
        """Follows slow drift of a learned offset with a matched image's residual; forgets a camera that shifted."""
        if camera in self.configured_ns or camera not in self.offsets_ns:
            return
        weight = self._weight[camera] = max(0.01, self._weight[camera] / (1 + self._weight[camera]))
        self.offsets_ns[camera] += weight * residual_ns
        drift = self._drift_ns.get(camera, 0.0)
        drift += 0.15 * (residual_ns - drift)
        self._drift_ns[camera] = drift
        limit = 5 * math.sqrt(0.15 / 1.85) * self._jitter_ns[camera] + 2e6
        if abs(drift) > limit or abs(self.offsets_ns[camera]) > 1.1 * self.cycle_ns[camera]:
            self.forget(camera)

    def track_period(self, interval_ns: int) -> None:
        """Follows the anchor's period with the interval between two of its images."""
        if self.period_ns is None:
            return
        count = round(interval_ns / self.period_ns)
        if 1 <= count <= 4:
            change = 0.02 * (interval_ns / count - self.period_ns)
            for name, cycle in self.cycle_ns.items():
                self.cycle_ns[name] = cycle + change if cycle == self.period_ns else cycle
            self.period_ns += change
