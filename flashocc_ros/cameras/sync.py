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

"""Groups the images of N cameras into sets of one trigger each.

One camera, the anchor, defines a set: each of its images opens one, and its stamp is the key stamp. The image of camera
c belongs to the anchor image ``a`` when ``|stamp - offset_c - a| <= 0.45 * period`` for this anchor image alone and for
no other image of c. Offsets and period are learned (`offsets.py`) or configured. While the jitter of a camera against
the anchor stays below 0.45 of the period, every image finds its trigger; above, sets are lost; only from 0.55 on could
an image pass for one of the next trigger. Loss, delay and order of arrival play no part in it.

Until the offsets are known nothing is matched, with one exception that needs no offsets: when all streams have been
silent for ``timeout_s`` and the images waiting are one isolated burst with one image per camera, the burst is a set.
That is how a recording of single key frames, or a replay that waits for each answer, comes out whole from its start.

Pure Python without ROS. Not thread safe: call it from one executor thread.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, Literal

from flashocc_ros.cameras.burst import isolated_burst
from flashocc_ros.cameras.image_set import CameraCounters, ImageQueue, ImageSet, Item, PendingSet, SetCounters
from flashocc_ros.cameras.offsets import OffsetLearner
from flashocc_ros.cameras.publishers import Publishers
from flashocc_ros.cameras.stamp_check import StampCheck
from flashocc_ros.errors import ConfigError
from flashocc_ros.ranges import SYNC_MAX_BACKWARD_S, SYNC_QUEUE_SIZE, SYNC_TIMEOUT_S

__all__ = ["AnchorSynchronizer", "CameraCounters", "ImageSet", "SetCounters"]

GATE = 0.45  # of the period
NS_PER_S = 1_000_000_000
CLOSED_KEPT = 16  # key stamps of finished sets, to tell a late image from an early one
STALLED_PERIODS = 5.0


class AnchorSynchronizer(Generic[Item]):
    """Synchroniser with an anchor camera.

    Args:
        cameras: distinct names; the order of the images in a set.
        anchor: name of the camera whose stamp is the key stamp; the first by default.
        timeout_s: how long a set waits for its images after the anchor's arrived, seconds of ``now_ns``.
        missing: what happens to a set that lacks an image when its time is up: ``drop`` it, or hand it out with the
            camera ``mask``-ed (item None). A camera silent for five periods is not waited for when masked.
        offsets_s: known delays to the anchor in seconds; cameras not named are learned.
        queue_size: images per camera that may wait.
        max_backward_s: a camera whose stamps go back this far started over (a looped recording): all is forgotten.
            One that goes back and forth has two publishers: the images of one are rejected.
        say: called with what a user should know, once each.

    Raises:
        ConfigError: an argument that cannot be used.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        anchor: str | None = None,
        *,
        timeout_s: float = SYNC_TIMEOUT_S.default,
        missing: Literal["drop", "mask"] = "drop",
        offsets_s: Mapping[str, float] | None = None,
        queue_size: int = int(SYNC_QUEUE_SIZE.default),
        max_backward_s: float = SYNC_MAX_BACKWARD_S.default,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self.cameras = tuple(cameras)
        if not self.cameras or len(set(self.cameras)) != len(self.cameras):
            raise ConfigError(f"cameras must be distinct names and at least one, got {list(cameras)}")
        self.anchor = self.cameras[0] if anchor is None else anchor
        for what, name in [("sync.anchor", self.anchor), *(("sync.offsets_s", name) for name in offsets_s or {})]:
            if name not in self.cameras:
                raise ConfigError(f"{what} names camera {name!r}, which is not one of {', '.join(self.cameras)}")
        if missing not in ("drop", "mask"):
            raise ConfigError(f"sync.missing is {missing!r}; use 'drop' or 'mask'")
        SYNC_TIMEOUT_S.check("sync.timeout_s", timeout_s)
        SYNC_QUEUE_SIZE.check("sync.queue_size", queue_size)
        SYNC_MAX_BACKWARD_S.check("sync.max_backward_s", max_backward_s)
        for name, seconds in (offsets_s or {}).items():
            if not math.isfinite(seconds):
                raise ConfigError(f"sync.offsets_s of camera {name} is {seconds}; give seconds, or none at all")
        configured = {name: seconds * 1e9 for name, seconds in (offsets_s or {}).items()}
        if configured.get(self.anchor):
            raise ConfigError(f"sync.offsets_s of the anchor {self.anchor} is {configured[self.anchor] / 1e9:g}; use 0")
        self.missing = missing
        self.timeout_ns = round(timeout_s * NS_PER_S)
        self.queue_size = int(queue_size)
        self.counters = {name: CameraCounters() for name in self.cameras}
        self.sets = SetCounters()
        self.epoch = 0
        self._least = max(1, min(2, len(self.cameras) - 1))  # images in a masked set
        self._learner = OffsetLearner(self.cameras, self.anchor, configured)
        self._publishers = Publishers(round(max_backward_s * NS_PER_S), say)
        self._stamp_check = StampCheck(self.cameras, self.anchor)
        self._queues: dict[str, ImageQueue[Item]] = {name: ImageQueue() for name in self.cameras}
        self._pending: list[PendingSet[Item]] = []
        self._closed: deque[int] = deque(maxlen=CLOSED_KEPT)
        self._emitted_ns = 0
        self._arrived_ns = 0
        self._silence_tried_ns = 0
        self._started_ns: int | None = None
        self._failures = 0

    # ---------------------------------------------------------------- what it knows
    @property
    def locked(self) -> bool:
        """True when offsets and period are known."""
        return self._learner.locked or len(self.cameras) == 1

    @property
    def offsets_s(self) -> dict[str, float]:
        """Delay of each camera to the anchor in seconds, as far as known."""
        return {name: offset / 1e9 for name, offset in self._learner.offsets_ns.items()}

    @property
    def period_s(self) -> float | None:
        """Period of the anchor in seconds, when known."""
        return None if self._learner.period_ns is None else self._learner.period_ns / 1e9

    def waiting(self, camera: str) -> int:
        """Number of images of a camera that are neither used nor given up yet."""
        return len(self._queues[camera].stamps) + sum(camera in pending.images for pending in self._pending)

    @property
    def problem(self) -> str:
        """What keeps images from being used, with names, numbers and remedy; empty when nothing does."""
        problems = [self._publishers.problem]
        if len(self.cameras) > 1:
            problems.append(self._stamp_check.rate_problem)
        if len(self.offsets_s) < len(self.cameras):
            problems.append(self._stamp_check.clock_problem)
        return "; ".join(filter(None, problems))

    def describe(self) -> str:
        """One line for diagnostics."""
        if len(self.cameras) == 1:
            state = "one camera, nothing to synchronise"
        elif self.period_s is None:
            state = "learning the delays of the cameras"
            silent = [name for name, counters in self.counters.items() if counters.received == 0]
            what = f"nothing yet from {', '.join(silent)}" if silent else "" if self.problem else self._learner.problem
            state += f"; {what}" if what else ""
        else:
            offsets = ", ".join(f"{name} {seconds * 1e3:+.1f} ms" for name, seconds in self.offsets_s.items())
            state = f"period {self.period_s * 1e3:.1f} ms; offsets {offsets}"
        return f"{state}; {self.problem}" if self.problem else state

    # ---------------------------------------------------------------- input
    def add(self, camera: str, stamp_ns: int, item: Item, now_ns: int) -> list[ImageSet[Item]]:
        """Takes one image and returns the sets that it finished, oldest first.

        Args:
            camera: one of ``cameras``.
            stamp_ns: its header stamp.
            item: anything, handed back in the set.
            now_ns: a steady clock, used for waiting and to tell clocks and publishers apart.
        """
        counters, queue = self.counters[camera], self._queues[camera]
        counters.received += 1
        if stamp_ns <= 0:
            self._stamp_check.take(camera, stamp_ns, now_ns)
            counters.rejected += 1
            return []
        others_ns = [other.newest_ns for other in self._queues.values() if other is not queue and other.newest_ns]
        verdict = self._publishers.judge(camera, stamp_ns, now_ns, queue.newest_ns, others_ns)
        if verdict == "second":
            counters.rejected += 1
            return []
        if verdict == "restart":
            self._restart()
        self._stamp_check.take(camera, stamp_ns, now_ns)
        if stamp_ns in queue.seen or stamp_ns in queue.items:
            counters.duplicate += 1
            return []
        finished = self.poll(now_ns)
        learner = self._learner
        if queue.newest_ns and stamp_ns - queue.newest_ns > self._silence_ns():
            self._after_silence(camera)
        queue.seen.append(stamp_ns)
        if camera == self.anchor and queue.newest_ns and stamp_ns > queue.newest_ns:
            learner.track_period(stamp_ns - queue.newest_ns)
        queue.newest_ns = max(queue.newest_ns, stamp_ns)
        self._arrived_ns = now_ns
        if self._started_ns is None:
            self._started_ns = now_ns
        learner.observe(camera, stamp_ns)
        if len(self.cameras) == 1:
            counters.used += 1
            self.sets.complete += 1
            return [*finished, ImageSet(stamp_ns, (stamp_ns,), (item,), (), self.epoch)]
        if camera == self.anchor and len(learner.offsets_ns) < len(self.cameras):
            # With masking, a camera that has not shown up for a second is left out.
            started = self._started_ns is not None and now_ns - self._started_ns >= NS_PER_S
            if learner.solve(need_all=self.missing == "drop" or not started):
                self._requeue()
        self._place(camera, stamp_ns, item, now_ns)
        return finished + self._finish_complete()

    def poll(self, now_ns: int) -> list[ImageSet[Item]]:
        """Returns the sets whose time is up; call it when ``next_deadline_ns`` has come."""
        finished: list[ImageSet[Item]] = []
        if not self.locked:
            if self._arrived_ns > self._silence_tried_ns and now_ns - self._arrived_ns >= self.timeout_ns:
                self._silence_tried_ns = self._arrived_ns
                burst = self._burst(now_ns)
                return [burst] if burst else finished
            return finished
        while self._pending and self._pending[0].deadline_ns <= now_ns:
            pending = self._pending.pop(0)
            if self.missing == "mask" and len(pending.images) >= self._least:
                finished.append(self._emit(pending))
            else:
                self._close(pending)
                self.sets.incomplete += 1
                self._count_failure()
        return finished

    def next_deadline_ns(self) -> int | None:
        """When ``poll`` has something to do next, on the clock of ``now_ns``; None when nothing waits."""
        if not self.locked:
            waiting = self._arrived_ns > self._silence_tried_ns and any(q.stamps for q in self._queues.values())
            return self._arrived_ns + self.timeout_ns if waiting else None
        return self._pending[0].deadline_ns if self._pending else None

    def reset(self) -> None:
        """Forgets images, stamps, publishers and learned offsets; counters go on."""
        self._restart()
        self._publishers.clear()

    def _restart(self) -> None:
        for pending in self._pending:
            for name in pending.images:
                self.counters[name].dropped += 1
        self._pending.clear()
        for name, queue in self._queues.items():
            self.counters[name].dropped += queue.clear()
            queue.seen.clear()
            queue.newest_ns = 0
        self._closed.clear()
        self._emitted_ns = 0
        self._started_ns = None
        self._failures = 0
        self._learner.reset()
        self._stamp_check.clear()
        self.sets.resets += 1
        self.epoch += 1

    # ---------------------------------------------------------------- matching
    # In whole nanoseconds: a float of today's stamps is only good to 256 ns.
    def _gate_ns(self, camera: str) -> int:
        return round(GATE * self._learner.nearest_only_ns(camera))

    def _offset_ns(self, camera: str) -> int | None:
        offset = self._learner.offsets_ns.get(camera)
        return None if offset is None else round(offset)

    def _place(self, camera: str, stamp_ns: int, item: Item, now_ns: int) -> None:
        """Puts an image into the one set it belongs to, or into the queue."""
        counters = self.counters[camera]
        offset = self._offset_ns(camera)
        if not self._learner.locked or offset is None:
            self._wait(camera, stamp_ns, item)
        elif camera == self.anchor:
            if stamp_ns <= self._emitted_ns:
                counters.late += 1
            else:
                self._open(stamp_ns, item, now_ns)
        else:
            gate, trigger = self._gate_ns(camera), stamp_ns - offset
            pending = [p for p in self._pending if abs(trigger - p.key_ns) <= gate]
            closed = any(abs(trigger - key) <= gate for key in self._closed)
            if not pending and (closed or trigger < self._emitted_ns):
                counters.late += 1
            elif not pending:
                self._wait(camera, stamp_ns, item)
            elif len(pending) > 1 or closed:
                counters.dropped += 1  # two triggers claim it
            elif camera in pending[0].images or camera in pending[0].contested:
                counters.dropped += 1
                self._contest(pending[0], camera)
            else:
                pending[0].images[camera] = (stamp_ns, item)

    def _contest(self, pending: PendingSet[Item], camera: str) -> None:
        """A further image claims the set: it gets none of them, and none that comes after."""
        pending.contested.add(camera)
        if pending.images.pop(camera, None) is not None:
            self.counters[camera].dropped += 1

    def _wait(self, camera: str, stamp_ns: int, item: Item) -> None:
        queue = self._queues[camera]
        queue.push(stamp_ns, item)
        if len(queue.stamps) > self.queue_size:
            queue.pop(0)
            self.counters[camera].dropped += 1

    def _open(self, key_ns: int, item: Item, now_ns: int, contested: Iterable[str] = ()) -> None:
        """Opens the set of an anchor image and fills it from the queues, but for cameras that are contested."""
        for other in self._pending:
            for name, (stamp_ns, _) in list(other.images.items()):
                learned_ns = self._offset_ns(name) or 0
                if name != self.anchor and abs(stamp_ns - learned_ns - key_ns) <= self._gate_ns(name):
                    self._contest(other, name)  # it could as well belong to the new anchor
        others = [p.key_ns for p in self._pending] + list(self._closed)
        opened: PendingSet[Item] = PendingSet(key_ns, now_ns + self.timeout_ns, {self.anchor: (key_ns, item)})
        opened.contested.update(contested)
        for name, queue in self._queues.items():
            offset = self._offset_ns(name)
            if offset is None or name == self.anchor or not queue.stamps:
                continue
            gate, expected = self._gate_ns(name), key_ns + offset
            first = bisect.bisect_left(queue.stamps, expected - gate)
            last = bisect.bisect_right(queue.stamps, expected + gate)
            found = [queue.pop(first) for _ in range(last - first)]
            alone = len(found) == 1 and name not in opened.contested
            if alone and not any(abs(found[0][0] - offset - key) <= gate for key in others):
                opened.images[name] = found[0]
            elif found:
                opened.contested.add(name)
                self.counters[name].dropped += len(found)
        bisect.insort(self._pending, opened, key=lambda p: p.key_ns)

    def _requeue(self) -> None:
        """Starts matching anew after the offsets changed."""
        contested = {pending.key_ns: pending.contested for pending in self._pending}
        for pending in self._pending:
            for name, (stamp_ns, item) in pending.images.items():
                self._queues[name].push(stamp_ns, item)
        self._pending.clear()
        queue = self._queues[self.anchor]
        while queue.stamps:
            stamp_ns, item = queue.pop(0)
            if stamp_ns <= self._emitted_ns:
                self.counters[self.anchor].late += 1
            else:
                self._open(stamp_ns, item, self._arrived_ns, contested.get(stamp_ns, ()))

    # ---------------------------------------------------------------- finishing
    def _finish_complete(self) -> list[ImageSet[Item]]:
        """Hands out complete sets; an incomplete one that is older than a complete one is given up."""
        if not self._pending:
            return []
        newest_ns = self._pending[-1].key_ns
        needed = [name for name in self.cameras if self.missing == "drop" or self._alive(name, newest_ns)]
        done = [len(p.images) >= self._least and all(name in p.images for name in needed) for p in self._pending]
        if not any(done):
            return []
        count = len(done) - done[::-1].index(True)
        finished = []
        for pending, complete in zip(self._pending[:count], done[:count], strict=True):
            if complete:
                finished.append(self._emit(pending))
            else:
                self._close(pending)
                self.sets.skipped += 1
        del self._pending[:count]
        self._failures = 0
        return finished

    def _emit(self, pending: PendingSet[Item]) -> ImageSet[Item]:
        learner, key = self._learner, pending.key_ns
        self._closed.append(key)
        self._emitted_ns = key
        missing = tuple(name for name in self.cameras if name not in pending.images)
        stamps, items = [], []
        for name in self.cameras:
            offset = round(learner.last_offset_ns(name))
            stamp_ns, item = pending.images.get(name, (key + offset, None))
            stamps.append(stamp_ns)
            items.append(item)
            if name in pending.images:
                self.counters[name].used += 1
                learner.track(name, stamp_ns - offset - key)
            queue = self._queues[name]
            while queue.stamps and queue.stamps[0] - offset <= key and name in learner.offsets_ns:
                queue.pop(0)  # its own anchor image was lost
                self.counters[name].dropped += 1
        if missing:
            self.sets.masked += 1
        else:
            self.sets.complete += 1
        return ImageSet(key, tuple(stamps), tuple(items), missing, self.epoch)

    def _close(self, pending: PendingSet[Item]) -> None:
        self._closed.append(pending.key_ns)
        for name in pending.images:
            self.counters[name].dropped += 1

    def _burst(self, now_ns: int) -> ImageSet[Item] | None:
        """One isolated image per camera while all streams are silent; see the module's docstring."""
        queues = self._queues
        needed = len(self.cameras) if self.missing == "drop" else 2
        waiting = {name: queue.stamps for name, queue in queues.items() if queue.stamps}
        chosen = isolated_burst(waiting, self.anchor, self._learner.configured_ns)
        if len(chosen) < needed:
            return None
        key = chosen[self.anchor]
        images = {name: queues[name].pop(queues[name].stamps.index(stamp_ns)) for name, stamp_ns in chosen.items()}
        for name in chosen:
            while queues[name].stamps and queues[name].stamps[0] < chosen[name]:
                queues[name].pop(0)
                self.counters[name].dropped += 1
        return self._emit(PendingSet(key, now_ns, images))

    # ---------------------------------------------------------------- health
    def _alive(self, camera: str, key_ns: int) -> bool:
        """True for a camera that can be matched and sent something within the last five periods.

        Told by stamps, not by the clock: a replay that waits for each answer pauses all cameras for long.
        """
        period_ns, offset = self._learner.period_ns, self._offset_ns(camera)
        if period_ns is None or offset is None:
            return False
        return self._queues[camera].newest_ns >= key_ns + offset - round(STALLED_PERIODS * period_ns)

    def _silence_ns(self) -> float:
        """A camera silent for longer may come back with another phase."""
        period_ns = self._learner.period_ns
        return float("inf") if period_ns is None else max(NS_PER_S, 8 * period_ns)

    def _after_silence(self, camera: str) -> None:
        if camera == self.anchor:
            self._unlock()
        else:
            self._learner.forget(camera)

    def _count_failure(self) -> None:
        """All cameras send but nothing fits any more: the rig's timing changed."""
        self._failures += 1
        if self._failures >= 24 and all(
            self._alive(name, self._queues[self.anchor].newest_ns) for name in self.cameras
        ):
            self._unlock()

    def _unlock(self) -> None:
        self._failures = 0
        for pending in self._pending:
            for name, (stamp_ns, item) in pending.images.items():
                self._wait(name, stamp_ns, item)
        self._pending.clear()
        self._learner.reset()
