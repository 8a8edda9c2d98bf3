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

"""How good labels from lidar are on drives of the synthetic world, against its exact truth.

    python -m benchmarks.labels --seeds 1100:1104 --work out/labels        # all three modes, both conventions
    python -m benchmarks.labels --seeds 1100 --beams 128 --modes boxes
    python -m benchmarks.labels --seeds 1100:1102 --modes boxes --box-noise
    python -m benchmarks.labels --seeds 1100 --modes boxes --pose-walk 0.03
    python -m benchmarks.labels --seeds 9 --modes boxes --seconds 40 --every 4   # memory of a long drive

Numbers count inside the labels AND the exact camera mask; ``coverage`` is the share of that mask which is labelled.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flashocc_ros.checks.label_truth import Score, true_labels
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import BOXES_TOPIC, write_bag
from flashocc_ros.data.synthetic.lidar import LIDARS, make_lidar
from flashocc_ros.labelling.boxes import BoxFrame
from flashocc_ros.labelling.quality import judge, mean_of
from flashocc_ros.labelling.recording import Recording
from flashocc_ros.labelling.run import seen_by_cameras
from flashocc_ros.labelling.settings import CONVENTIONS, Settings
from flashocc_ros.labelling.sources import Sources
from flashocc_ros.labelling.stream import Event, Key, Labeller
from flashocc_ros.labelling.sweeps import Sweep

RATE_HZ, SIZE = 2.0, (198, 352)
MODES = {
    "classes": Sources(boxes=BOXES_TOPIC, class_field="label"),
    "boxes": Sources(boxes=BOXES_TOPIC),
    "points": Sources(),
}


def disturbed(events: Iterator[Event], box_noise: bool, walk_m: float, seed: int) -> Iterator[Event]:
    """Boxes off by 10 cm, 3 % and 0.03 rad (one sigma, each time anew); poses that drift by a random walk."""
    rng = np.random.default_rng(seed)
    way, last, drift = 0.0, None, np.zeros(3)
    for event in events:
        if box_noise and isinstance(event, BoxFrame):
            count = len(event.ids)
            turn = np.tile(np.eye(4), (count, 1, 1))
            angle = rng.normal(0, 0.03, count)
            turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angle)
            turn[:, 1, 0], turn[:, 0, 1] = np.sin(angle), -np.sin(angle)
            poses = event.poses @ turn
            poses[:, :3, 3] += rng.normal(0, 0.1, (count, 3))
            event = replace(event, poses=poses, sizes=event.sizes * rng.normal(1, 0.03, (count, 3)))
        if walk_m:
            if isinstance(event, Sweep):
                step = 0.0 if last is None else float(np.linalg.norm(event.anchor - last))
                last, way = event.anchor.copy(), way + step
                drift = drift + rng.normal(0, walk_m * np.sqrt(step), 3) * (1, 1, 0.3)
                event.anchor = event.anchor + drift
            elif isinstance(event, Key):
                pose = event.fixed_from_base.copy()
                pose[:3, 3] += drift
                event = replace(event, fixed_from_base=pose)
            elif isinstance(event, BoxFrame):
                poses = event.poses.copy()
                poses[:, :3, 3] += drift
                event = replace(event, poses=poses)
        yield event


def measure(seeds: range, mode: str, convention: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """All drives in one mode and convention."""
    score, cpu_s, keys, quality = Score(), 0.0, 0, []
    settings = Settings(convention=convention)
    for seed in seeds:
        path = arguments.work / f"{seed}_{arguments.beams}_{arguments.seconds:g}s"
        drive = Drive(seed, arguments.seconds, None, SIZE, threads=1)
        if not path.exists():
            write_bag(path, drive, RATE_HZ, lidar=make_lidar(arguments.beams))
        start_s = time.process_time()
        recording = Recording(path, MODES[mode], settings)
        labeller = Labeller(settings, recording.by_class, recording.has_boxes)
        events = disturbed(recording.events(), arguments.box_noise, arguments.pose_walk, seed)
        wanted = (e for e in events if not isinstance(e, Key) or _number(e, drive) % arguments.every == 0)
        for item in labeller.run(wanted):
            seen = seen_by_cameras(item.labels, item.key.content, settings)
            base_from_fixed = np.linalg.inv(item.key.fixed_from_base)
            judged = judge(
                item.labels, seen, item.nearest, item.boxes, base_from_fixed, settings.grid, settings.classes
            )
            cpu_s += time.process_time() - start_s
            quality.append(judged.as_dict())
            truth, mask = true_labels(drive, (item.key.stamp_ns - drive.stamp_ns(0)) / 1e9, convention)
            score.update(item.labels.semantics, item.labels.observed, item.labels.observed & seen, truth, mask)
            keys += 1
            start_s = time.process_time()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    result = score.result()
    facts = {"mode": mode, "convention": convention, "beams": arguments.beams, "drives": len(seeds), "keys": keys}
    numbers = {name: round(value, 3) for name, value in result.items() if name != "per_class"}
    return {**facts, **numbers, "cpu_s_per_key": round(cpu_s / max(keys, 1), 2), "peak_mb": peak_mb, **mean_of(quality)}


def _number(key: Key, drive: Drive) -> int:
    return round((key.stamp_ns - drive.stamp_ns(0)) / 1e9 * RATE_HZ)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1100:1104", help="FIRST:STOP or one")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--conventions", default=",".join(CONVENTIONS))
    parser.add_argument("--beams", default="32", choices=LIDARS)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of the drives")
    parser.add_argument("--box-noise", action="store_true")
    parser.add_argument("--pose-walk", type=float, default=0.0, help="metres per square root of a metre driven")
    parser.add_argument("--every", type=int, default=1, help="only every n-th key frame")
    parser.add_argument("--work", type=Path, default=Path("out/labels_benchmark"), help="where drives are kept")
    arguments = parser.parse_args()
    first, _, stop = arguments.seeds.partition(":")
    seeds = range(int(first), int(stop) if stop else int(first) + 1)
    for mode in arguments.modes.split(","):
        for convention in arguments.conventions.split(","):
            print(json.dumps(measure(seeds, mode, convention, arguments)), flush=True)


if __name__ == "__main__":
    main()
