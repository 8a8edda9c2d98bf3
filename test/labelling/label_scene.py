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

"""A small scene for tests of labelling: flat ground, a wall, and a box that may move, seen by a lidar that stands."""

from __future__ import annotations

import numpy as np

from flashocc_ros.labelling.boxes import BoxFrame
from flashocc_ros.labelling.clouds import Cloud
from flashocc_ros.labelling.sweeps import Sweep, make_sweep

T0_NS = 1_700_000_000_000_000_000
MOUNT_M = (0.0, 0.0, 2.0)
SHAPE = (48, 540)
WALL_X_M = 16.2
OWN = (-1.0, -1.0, -0.2, 1.0, 1.0, 1.8)


def directions() -> np.ndarray:
    up = np.deg2rad(np.linspace(-25, 10, SHAPE[0]))[:, None]
    around = np.pi - 2 * np.pi * np.arange(SHAPE[1]) / SHAPE[1]
    return np.stack(np.broadcast_arrays(np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)), -1)


def cast(boxes: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(M, 3) float32 points in the lidar's frame: ground z = 0, a wall at x = 16.2 for |y| < 8, z < 3, axis-parallel
    boxes (middle, size); NaN where nothing is within 40 m."""
    d = directions().reshape(-1, 3)
    o = np.array(MOUNT_M)
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = np.where(d[:, 2] < 0, -o[2] / d[:, 2], np.inf)
        wall = np.where(d[:, 0] > 0, WALL_X_M / d[:, 0], np.inf)
        hit = o + wall[:, None] * d
        wall = np.where((np.abs(hit[:, 1]) < 8) & (hit[:, 2] < 3) & (hit[:, 2] > 0), wall, np.inf)
        t = np.minimum(ground, wall)
        for middle, size in boxes:
            low, high = (middle - size / 2 - o) / d, (middle + size / 2 - o) / d
            near, far = np.minimum(low, high).max(1), np.maximum(low, high).min(1)
            t = np.where((near < far) & (near > 0), np.minimum(t, near), t)
    t[t > 40] = np.nan
    return (d * t[:, None]).astype(np.float32)


def mounting() -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = MOUNT_M
    return pose


def sweep(number: int, boxes: list[tuple[np.ndarray, np.ndarray]], organised: bool = True) -> Sweep:
    """Number ``number`` of 20 per second of a lidar that does not move."""
    points = cast(boxes)
    if not organised:
        points = points[np.isfinite(points[:, 0])]
    cloud = Cloud(points, None, None, SHAPE if organised else None)
    stamp_ns = T0_NS + number * 50_000_000
    return make_sweep(cloud, stamp_ns, lambda _: mounting(), mounting(), OWN, (1.0, 100.0))[0]


def box_frame(number: int, middle: np.ndarray, size: np.ndarray, label: int = 4, identity: int = 7) -> BoxFrame:
    pose = np.eye(4)
    pose[:3, 3] = middle
    stamp_ns = T0_NS + number * 50_000_000
    return BoxFrame(stamp_ns, np.array([identity]), np.array([label], np.uint8), pose[None], size[None].astype(float))


def voxel(x: float, y: float, z: float) -> tuple[int, int, int]:
    """Of the usual grid."""
    return int((x + 40) / 0.4), int((y + 40) / 0.4), int((z + 1) / 0.4)
