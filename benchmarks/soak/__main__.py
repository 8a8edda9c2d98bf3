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

"""Every fault we know, at a node that runs: ``python -m benchmarks.soak --minutes 60``.

A publisher, the node and a recorder are processes that talk over DDS. Consecutive triggers show different streets, and
each published result is compared with the offline result of its own trigger, so that any image of another one shows.
Every kind of fault comes once, then random ones until the time is up, all of it repeatable by the seed. The exit code
is 0 when no result was wrong, nothing died, hung or threw, all counters add up and memory does not grow.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
REST_S = 60.0
"""The node rests at least so often, which is when its memory is compared."""
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "test")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long; every fault comes once in any case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=CHECKOUT / "out" / "soak", help="logs, records and the report")
    parser.add_argument("--only", nargs="*", metavar="FAULT", help="names of faults to try alone, once each")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="each fault N times in a row, and what the node holds after each"
    )
    options = parser.parse_args()
    if "ROS_DOMAIN_ID" not in os.environ:
        from ros_domain import claim_domain

        claim = claim_domain()  # held until this process ends
        os.environ["ROS_DOMAIN_ID"] = str(claim.number)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # what was started is ended on the way out
    options.out.mkdir(parents=True, exist_ok=True)
    if options.rounds:
        sys.exit(compare(options.rounds, options.seed, options.out, options.only))
    sys.exit(run(options.minutes, options.seed, options.out, options.only))


def compare(rounds: int, seed: int, out: Path, only: list[str] | None) -> int:
    """Exit code of a run that tells which fault costs memory."""
    from benchmarks.soak import rounds as comparison
    from benchmarks.soak.message_faults import MESSAGE_FAULTS
    from benchmarks.soak.node_faults import RUNNING_FAULTS
    from benchmarks.soak.stage import Stage

    faults = [f for f in (*RUNNING_FAULTS, *MESSAGE_FAULTS) if not only or f.__name__ in only]
    stage = Stage(out, seed, probed=True)
    try:
        text = comparison.rounds(stage, faults, rounds)
    finally:
        stage.close()
    (out / "rounds.md").write_text(text + "\n")
    print("\n".join(stage.problems), flush=True)
    return 1 if stage.problems else 0


def run(minutes: float, seed: int, out: Path, only: list[str] | None) -> int:
    """Exit code of a run."""
    from benchmarks.soak.message_faults import MESSAGE_FAULTS
    from benchmarks.soak.node_faults import LIVES, RUNNING_FAULTS, reconfigured
    from benchmarks.soak.report import report
    from benchmarks.soak.stage import Stage

    begin_s = time.monotonic()
    stage = Stage(out, seed)
    try:
        stage.warm_up()
        lives = [f for f in LIVES if not only or f.__name__ in only]
        bearable = [f for f in (*MESSAGE_FAULTS, *RUNNING_FAULTS) if not only or f.__name__ in only]
        stage.random.shuffle(lives)
        for life in lives:
            stage.episode(str(life.__doc__), life)
            stage.end_node()
        stage.random.shuffle(bearable)
        waiting = list(bearable)
        if bearable:
            stage.begin_life()
        rested_s = time.monotonic()
        while waiting or (not only and time.monotonic() - begin_s < 60 * minutes):
            fault = waiting.pop() if waiting else stage.random.choice(bearable)
            if not waiting and not only and time.monotonic() - rested_s > REST_S:
                fault = reconfigured
            if fault is reconfigured:
                rested_s = time.monotonic()
            if fault in MESSAGE_FAULTS:
                stage.play(fault)
            else:
                stage.episode(str(fault.__doc__), fault)
            if stage.node is None or stage.node.exit_code is not None:
                stage.node = None
                stage.begin_life()
        if bearable:
            stage.end_node()
        text, problems = report(stage, (time.monotonic() - begin_s) / 60, seed)
    finally:
        stage.close()
    (out / "report.md").write_text(text + "\n")
    print(text, flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    main()
