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

"""From the head's maps to objects with ids, 80 of them: CPU milliseconds per frame, one process.

Run from the checkout: ``python -m benchmarks.objects``. Vehicles, two-wheelers and pedestrians stand in rows, many
touch their neighbours; the vehicle drives at 10 m/s and the maps are noisy.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from flashocc_ros.labels import CLASS_NAMES, DETECTION_NAMES, FREE
from flashocc_ros.pipeline import panoptic
from flashocc_ros.pipeline.decode import decode_centers
from flashocc_ros.pipeline.tracking import Tracker

SIZES = {"car": (11, 5, 4), "truck": (18, 6, 8), "motorcycle": (5, 2, 3), "pedestrian": (2, 2, 5)}
"""Voxels along x, y, z."""
THRESHOLD = 0.3
INTERVAL_S, SPEED_MPS = 0.25, 10.0


def head_maps(
    count: int, shift: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels (200, 200, 16), heat map (10, 200, 200), reg and height of ``count`` objects moved back by some voxels."""
    labels = np.full((200, 200, 16), FREE, np.uint8)
    heatmap = rng.normal(-5.0, 0.7, (10, 200, 200)).astype(np.float32)
    names = list(SIZES)
    for k in range(count):
        name = "car" if k % 2 else names[k // 2 % len(names)]
        length, width, high = SIZES[name]
        # ten rows; every second row touches the one before
        x, y = 45 + 19 * (k % 8) - shift, 2 + 20 * (k // 8 // 2) + (7 if k // 8 % 2 else 0)
        labels[x : x + length, y : y + width, 2 : 2 + high] = CLASS_NAMES.index(name)
        heatmap[DETECTION_NAMES.index(name), y + width // 2, x + length // 2] = rng.normal(0.5, 1.0)
    return labels, heatmap, np.full((2, 200, 200), 0.5, np.float32), np.zeros((1, 200, 200), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=80)
    parser.add_argument("--frames", type=int, default=40)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    tracker = Tracker()
    spent: dict[str, list[float]] = {"decode": [], "objects": [], "ids": [], "all": []}
    found = []
    for frame in range(options.frames):
        moved_m = SPEED_MPS * INTERVAL_S * frame % 16.0
        labels, *maps = head_maps(options.objects, round(moved_m / 0.4), rng)
        pose, stamp_ns = np.eye(4), round(frame * INTERVAL_S * 1e9)
        pose[0, 3] = moved_m
        times = [time.process_time()]
        centers = decode_centers(*maps, THRESHOLD * panoptic.WEAK_SHARE)
        times.append(time.process_time())
        objects = panoptic.find_objects(labels, centers, THRESHOLD, tracker.expected(pose, stamp_ns))
        times.append(time.process_time())
        ids = tracker.update(objects, pose, stamp_ns)
        panoptic.paint(labels, objects, ids, tracker.velocities(ids, pose))
        times.append(time.process_time())
        for name, ms in zip(spent, [*np.diff(times), times[-1] - times[0]], strict=True):
            spent[name].append(1e3 * ms)
        found.append(len(objects))
    warm = slice(3, None)
    print(f"{np.median(found):.0f} objects")
    for name, ms in spent.items():
        print(f"{name:8s} median {np.median(ms[warm]):5.1f} ms, worst {np.max(ms[warm]):5.1f} ms")


if __name__ == "__main__":
    main()
