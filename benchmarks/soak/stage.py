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

"""Publisher, node and recorder on their stage, and what one episode of a fault did to them."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor

from benchmarks.soak.judge import Judge, Report
from benchmarks.soak.message_faults import Fault
from benchmarks.soak.probe import Inside
from benchmarks.soak.processes import POLL_S, Monitor, Node, Process
from benchmarks.soak.scene import Pictures, Truth

ACTIVE = "active: waiting"
START_S = 240.0
"""A first start exports and compiles the network, on a machine that is busy otherwise."""
RECOVER_S = 60.0
SETTLE_S = 30.0
RIGHT_AGAIN = 2
"""So many right results in a row end a fault."""
FUTURE_NS = 10_000_000_000


@dataclass
class Episode:
    """One fault and what came of it.

    Attributes:
        kind: the fault in words.
        said: what the node said meanwhile.
        lost: sets that were dropped.
        recovered_s: from its end to the first right result; None when there was none.
        problems: what must not be.
    """

    kind: str
    said: list[str] = field(default_factory=list)
    results: int = 0
    lost: int = 0
    recovered_s: float | None = None
    problems: list[str] = field(default_factory=list)


class Stage:
    """Owns the processes; ``close`` ends them, whatever happened.

    Args:
        probed: look inside the node, too, where it rests.
    """

    def __init__(self, out: Path, seed: int, probed: bool = False) -> None:
        self.out, self.random = out, random.Random(seed)
        self._probe = out / "probe.json" if probed else None
        for name in ("shots.jsonl", "records.jsonl", "node.log", "publisher.log", "recorder.log"):
            (out / name).write_bytes(b"")
        self._pictures = out / "pictures.npz"
        if not self._pictures.exists():
            Pictures.draw(self._pictures)
        self.judge = Judge(out / "shots.jsonl", out / "records.jsonl", Truth(Pictures(self._pictures)))
        self.monitor = Monitor()
        self.insides: list[Inside] = []
        self.monitor.start()
        self.may_be_lost = 0
        """Results on their way when the node took its topics away; DDS forgets them with the publisher."""
        self.problems: list[str] = []
        self.episodes: list[Episode] = []
        self.lives = 0
        self._life_results = self._told_results = self._told_reports = self._dropped = 0
        self.context = rclpy.Context()
        self.context.init()
        self.ros = rclpy.create_node("soak_stage", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.ros)
        self.recorder = Process("benchmarks.soak.recorder", [str(out / "records.jsonl")], out / "recorder.log")
        self.publisher = self._new_publisher()
        self.publisher.send(pause=True)
        self.node: Node | None = None

    # ---------------------------------------------------------------- processes
    def _new_publisher(self) -> Process:
        arguments = [str(self._pictures), str(self.out / "shots.jsonl")]
        return Process("benchmarks.soak.publisher", arguments, self.out / "publisher.log")

    def restart_publisher(self) -> None:
        """End it without a word and start another."""
        self.publisher.kill()
        self.publisher = self._new_publisher()

    def start_node(self, parameters: dict[str, str] | None = None, memory_bytes: int | None = None) -> Node:
        """A new life, with the cameras still silent; it is not waited for."""
        assert self.node is None
        self.judge.update()
        self._life_results, self.may_be_lost = len(self.judge.results), 0
        self.node = Node(self.out / "node.log", parameters, memory_bytes, self._probe)
        self.monitor.pid = self.node.pid
        self.lives += 1
        return self.node

    def run_node(self, parameters: dict[str, str] | None = None, go: bool = True) -> Node:
        """A new life that is active and heard by the recorder; the cameras begin."""
        node = self.start_node(parameters)
        begin_s = time.time()

        def ready() -> bool:
            return any(
                (r.active and r.count("subscribers_occupancy")) or "cannot be" in r.message
                for r in self.reports_since(begin_s)
            )

        self.until(ready, START_S, "the node did not become active")
        if ACTIVE not in node.text():
            self.problems.append(f"the node did not become active: {self._last_words()}")
        if go:
            self.publisher.send(pause=False)
        return node

    def begin_life(self) -> None:
        """A new life that has heard everything: without odometry from the beginning the vehicle seems to stand."""
        known = len(self.judge.results)
        self.run_node()
        self.until(lambda: len(self.judge.results) > known, START_S, "no first result")

    def warm_up(self) -> None:
        """A life without faults: on a fresh checkout the first set waits for what is compiled, a minute or more."""
        self.begin_life()
        self.end_node()

    def end_node(self, *, killed: bool = False, number: int = signal.SIGINT) -> None:
        """Let it settle, check its books, and end it; it must do so with 0 and without a traceback."""
        node, self.node = self.node, None
        assert node is not None
        self.monitor.pid = None
        if killed:
            node.kill()
            self.publisher.send(pause=True)
            return
        self.publisher.send(pause=True)
        if node.exit_code is None and self.judge.reports and self.judge.reports[-1].active:
            self.node = node
            self.until(self._settled, SETTLE_S, "the counters did not settle to the results that came")
            self.node = None
        node.signal(number)
        code = node.wait()
        if code != 0:
            self.problems.append(f"the node ended with {code} after signal {number}")
        if "Traceback" in node.text() or "Fatal Python error" in node.text():
            self.problems.append("a traceback in the node's log")

    def _settled(self) -> bool:
        report = self.judge.reports[-1]
        lost = report.count("sets_published") - (len(self.judge.results) - self._life_results)
        return report.time_s > time.time() - 5 and report.in_work == 0 and 0 <= lost <= self.may_be_lost

    # ---------------------------------------------------------------- time
    def until(self, condition: Callable[[], Any], limit_s: float, otherwise: str) -> bool:
        """Look and listen until it holds; if it does not, or the node dies, that is a problem."""
        end_s = time.monotonic() + limit_s
        while True:
            self.judge.update()
            if condition():
                return True
            if self.node is not None and self.node.exit_code is not None:
                self.problems.append(f"the node died with {self.node.exit_code}: {self.node.text()[-300:]}")
                return False
            if time.monotonic() > end_s:
                if otherwise:
                    self.problems.append(f"{otherwise} in {limit_s:.0f} s; it says {self._last_words()}")
                return False
            self.executor.spin_once(timeout_sec=POLL_S)

    def rest(self, seconds: float) -> None:
        """Look and listen for a while."""
        self.until(lambda: False, seconds, "")

    def reports_since(self, time_s: float) -> list[Report]:
        return [r for r in self.judge.reports[-200:] if r.time_s > time_s]

    def _last_words(self) -> str:
        return repr(self.judge.reports[-1].doubts) if self.judge.reports else "nothing"

    def rested(self) -> None:
        """Look at the node, which rests: its network is freed."""
        assert self.node is not None
        self.monitor.rest()
        if self._probe is not None:
            self.insides.append(self.node.inside())

    # ---------------------------------------------------------------- services
    def transition(self, number: int) -> None:
        """A lifecycle transition of the node; it must succeed."""
        self.call(ChangeState, "flashocc_node/change_state", _change(number))

    def call(self, kind: type, name: str, request: Any) -> Any:
        """Answer of a service."""
        client = self.ros.create_client(kind, name)
        try:
            if not self.until(client.service_is_ready, SETTLE_S, f"no service {name}"):
                return None
            future = client.call_async(request)
            self.until(future.done, SETTLE_S, f"no answer of {name}")
            answer = future.result() if future.done() else None
            if answer is not None and not answer.success:
                self.problems.append(f"{name} was refused: {answer}")
            return answer
        finally:
            self.ros.destroy_client(client)

    # ---------------------------------------------------------------- episodes
    def play(self, fault: Fault, triggers: int | None = None, prefix: str = "") -> None:
        """A fault of the publisher, and the time after it."""
        count = triggers or self.random.randrange(6, 13)

        def act(_: Stage) -> None:
            self.judge.ended_ns = None
            self.publisher.send(fault=fault.__name__, triggers=count, seed=self.random.randrange(10**6))
            self.publisher.send(pause=False)
            self.until(
                lambda: self.judge.ended_ns is not None, SETTLE_S + count, "the publisher did not play the fault"
            )

        self.episode(f"{prefix}{fault.__doc__}", act)

    def episode(self, kind: str, act: Callable[[Stage], None]) -> None:
        """Do something to the node; it must be as before soon. What an episode inside tells is not told again."""
        begin_s, known = time.time(), len(self.problems)
        act(self)
        ended_ns, end_s = self.judge.ended_ns or time.time_ns(), time.time()
        self.judge.ended_ns = None
        self.until(lambda: len(self._good(end_s, ended_ns)) >= RIGHT_AGAIN, RECOVER_S, "no right result")
        good = self._good(end_s, ended_ns)
        episode = Episode(kind, recovered_s=good[0] - end_s if good else None)
        results, self._told_results = self.judge.results[self._told_results :], len(self.judge.results)
        reports, self._told_reports = self.judge.reports[self._told_reports :], len(self.judge.reports)
        episode.results = len(results)
        for report in reports:
            dropped = report.count("sets_dropped")
            episode.lost += dropped - self._dropped if dropped >= self._dropped else dropped
            self._dropped = dropped
        episode.said = [line for line in self.node.news() if "[WARN]" in line or "[ERROR]" in line] if self.node else []
        episode.said += dict.fromkeys(doubt for report in reports for doubt in report.doubts)
        self.problems += [f"{r.stamp_ns}: {r.wrong}" for r in results if r.wrong]
        self.problems += sorted({found for report in reports for found in report.unbalanced})[:3]
        if episode.lost and not any(e.said for e in (*self.episodes[-2:], episode)):
            self.problems.append(f"{episode.lost} sets were dropped and nothing was said")
        episode.problems = self.problems[known:]
        for inner in self.episodes:
            episode.problems = [p for p in episode.problems if p not in inner.problems]
        self.episodes.append(episode)
        after = "never" if episode.recovered_s is None else f"after {episode.recovered_s:.1f} s"
        told = f"{kind}: {episode.results} results, {episode.lost} sets lost, right again {after}"
        told += "".join(f"\n          !! {problem}" for problem in episode.problems)
        print(f"{time.time() - begin_s:6.1f} s  {told}", flush=True)

    def _good(self, since_s: float, ended_ns: int) -> list[float]:
        newest_ns = time.time_ns() + FUTURE_NS
        return [
            r.time_s
            for r in self.judge.results[-100:]
            if r.time_s > since_s and ended_ns < r.stamp_ns < newest_ns and not r.wrong and not r.masked
        ]

    def close(self) -> None:
        """End all processes."""
        for process in (self.node, self.publisher, self.recorder):
            if process is not None:
                process.kill()
        self.executor.shutdown()
        self.ros.destroy_node()
        self.context.shutdown()


def _change(number: int) -> ChangeState.Request:
    request = ChangeState.Request()
    request.transition.id = number
    return request
