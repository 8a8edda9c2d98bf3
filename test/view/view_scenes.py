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

"""Small worlds for the page: a road, a house, a car and a person, with as many cameras as wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from flashocc_ros.labels import CLASS_NAMES, FREE
from flashocc_ros.structures import Instance, VoxelGrid
from flashocc_ros.view.frame import Layer, Report, Shot, ViewFrame
from flashocc_ros.view.sources import Source

GRID = VoxelGrid(1.0, (-20.0, -20.0, -1.0), (40, 40, 6))
ROAD, CAR, PERSON, HOUSE = (CLASS_NAMES.index(n) for n in ("driveable_surface", "car", "pedestrian", "manmade"))
CAR_ID, PERSON_ID = 20, 21
TRUE_CAR_ID = 77
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 250_000_000


def layer(car_x: int = 26, car_id: int = CAR_ID) -> Layer:
    """Ground everywhere, a house at the left, a car in front and a person at the right."""
    semantics = np.full(GRID.size, FREE, np.uint8)
    instances = np.zeros(GRID.size, np.int32)
    semantics[:, :, 0] = ROAD
    semantics[5:35, 34:40, 1:6] = HOUSE
    semantics[car_x : car_x + 4, 19:21, 1:3] = CAR
    instances[car_x : car_x + 4, 19:21, 1:3] = car_id
    semantics[22, 12, 1:3] = PERSON
    instances[22, 12, 1:3] = PERSON_ID
    objects = (Instance(car_id, CAR, 0.83, (8.0, 0.0, 1.0), (4.0, 2.0, 2.0), 16),)
    return Layer(semantics, instances, objects)


def shots(names: Sequence[str]) -> tuple[Shot, ...]:
    """Cameras all around, each with a picture of one colour."""
    found = []
    for index, name in enumerate(names):
        pose = np.eye(4)
        yaw = Rotation.from_euler("z", 2 * np.pi * index / len(names)).as_matrix()
        pose[:3, :3] = yaw @ np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        pose[:3, 3] = (0.5, 0.0, 1.5)
        picture = np.zeros((36, 64, 3), np.uint8)
        picture[:] = (200, 30 + 15 * index, 200)
        found.append(Shot(name, picture, np.array([[40.0, 0, 32], [0, 40, 18], [0, 0, 1]]), pose))
    return tuple(found)


def frame(index: int = 0, cameras: Sequence[str] = (), truth: bool = False, **changes: object) -> ViewFrame:
    """One moment of a drive along x; the car in front comes nearer."""
    seen = np.ones(GRID.size, np.uint8)
    seen[:8] = 0
    pose = np.eye(4)
    pose[0, 3] = 2.0 * index
    values: dict[str, object] = {
        "stamp_ns": START_NS + index * PERIOD_NS,
        "prediction": layer(28 - index),
        "truth": layer(29 - index, TRUE_CAR_ID) if truth else None,
        "seen": seen if truth else None,
        "shots": shots(cameras),
        "odom_from_base": pose,
        "report": Report(values={"variant": "tiny"}),
        "grid": GRID,
    }
    return ViewFrame(**(values | changes))  # type: ignore[arg-type]


def source(frames: Sequence[ViewFrame], title: str = "a drive", note: str = "") -> Source:
    """These frames as if they had been read."""

    def read() -> Iterator[ViewFrame]:
        yield from frames

    return Source(title, note, len(frames), read)


def drive(count: int = 6, cameras: Sequence[str] = (), truth: bool = False) -> Source:
    """A few moments."""
    return source([frame(index, cameras, truth) for index in range(count)])
