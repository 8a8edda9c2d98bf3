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

"""CPU and memory of the node, measured: `python -m benchmarks.node --help`.

The node runs in this process, the cameras in a second one; sets go out one at a time. What the engine's stages encode,
pool and head use is the network; everything else is the node's overhead.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[1]
sys.path[:0] = [str(CHECKOUT / "test" / "ros"), str(CHECKOUT / "test"), str(CHECKOUT)]
from conftest import Feeder, NodeUnderTest  # noqa: E402

CAMERAS = ["CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT"]
SIZE = (900, 1600)
PAGE_MB = 4096 / 2**20


def feed(listen: bool) -> None:
    """The cameras: one set per line on standard input."""
    feeder = Feeder(CAMERAS, size=SIZE)
    if listen:
        from test_node import OUTPUTS

        for topic, kind in OUTPUTS.items():
            feeder.node.create_subscription(kind, topic, lambda _: None, 10)
    publishers = [*feeder.images.values(), *feeder.infos.values(), feeder.tf]
    feeder.until(lambda: all(p.get_subscription_count() for p in publishers), "the node")
    print("ready", flush=True)
    for _ in sys.stdin:
        feeder.send()
        for _ in range(8):
            feeder.executor.spin_once(timeout_sec=0)
    feeder.close()


class NetworkClock:
    """CPU seconds of this process inside the engine's network stages."""

    def __init__(self, backend: Any) -> None:
        self.cpu_s = 0.0
        for stage in ("encode", "pool", "head", "stereo_feature"):
            setattr(backend, stage, self._timed(getattr(backend, stage)))

    def _timed(self, function: Any) -> Any:
        def run(*args: Any, **options: Any) -> Any:
            begin = time.process_time()
            try:
                return function(*args, **options)
            finally:
                self.cpu_s += time.process_time() - begin

        return run


def resident_mb() -> float:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


def measure(variant: str, engine: str, sets: int, listen: bool) -> dict[str, float]:
    """CPU milliseconds per set and memory over a run."""
    options = {"cameras.names": CAMERAS, "cameras.reliability": "reliable", "sync.timeout_s": 0.3}
    node = NodeUnderTest(variant=variant, engine=engine, **options)
    network = NetworkClock(node.node._inference.predictor.backend)
    command = [sys.executable, __file__, "--feed", os.environ["ROS_DOMAIN_ID"], *(["--listen"] if listen else [])]
    feeder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert feeder.stdin is not None
    assert feeder.stdout is not None
    feeder.stdout.readline()
    statistics, inputs = node.node._statistics, node.node._inputs

    def settled() -> int:
        counters = statistics.totals()
        return int(counters.get("sets_published", 0) + counters["sets_dropped"])

    def run(count: int) -> None:
        for _ in range(count):
            before, deadline_s = settled(), time.monotonic() + 300.0
            feeder.stdin.write("\n")
            feeder.stdin.flush()
            while settled() == before:
                if time.monotonic() > deadline_s:
                    faulthandler.dump_traceback()
                    raise SystemExit(f"no answer in 300 s: {statistics.totals()}, {inputs.describe()}")
                time.sleep(0.005)

    run(max(5, sets // 10))
    start_mb, cpu_s, network_s = resident_mb(), time.process_time(), network.cpu_s
    run(sets)
    cpu_s, network_s = time.process_time() - cpu_s, network.cpu_s - network_s
    end_mb = resident_mb()
    idle_s = time.process_time()
    time.sleep(5.0)
    idle_s = time.process_time() - idle_s
    counters, times = statistics.summary()
    feeder.stdin.close()
    feeder.wait()
    node.close()
    return {
        "sets": sets,
        "dropped": counters.get("sets_dropped", 0),
        "overhead_ms": (cpu_s - network_s) / sets * 1e3,
        "network_ms": network_s / sets * 1e3,
        "idle_percent": idle_s / 5.0 * 100,
        "memory_start_mb": start_mb,
        "memory_end_mb": end_mb,
    } | {k: round(v, 2) for k, v in times.items() if k.endswith("_p50")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="flashocc-r50-M0")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--listen", action="store_true", help="subscribe to every output")
    parser.add_argument("--feed", metavar="DOMAIN", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.feed:
        os.environ["ROS_DOMAIN_ID"] = options.feed  # the node's, not one of its own
        feed(options.listen)
    else:
        print(json.dumps(measure(options.variant, options.engine, options.sets, options.listen), indent=1))


if __name__ == "__main__":
    main()
