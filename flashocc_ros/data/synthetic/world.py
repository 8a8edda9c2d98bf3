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

"""One seeded world: a street, everything on it, how it moves, and where the vehicle drives.

Things keep to street coordinates (path, s, d), so whatever moves follows its lane or sidewalk. All traffic of a lane
shares one speed (the vehicle's lane shares the vehicle's own), so nothing ever drives into anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flashocc_ros.data.synthetic.furnish import EGO_LANE, STATIC, Placed, place_everything
from flashocc_ros.data.synthetic.light import Light, make_light
from flashocc_ros.data.synthetic.solids import Solids
from flashocc_ros.data.synthetic.street import Street, base_height, base_heights, make_street
from flashocc_ros.labels import CLASS_NAMES, THING_CLASSES

Float64 = npt.NDArray[np.float64]
LEAD_M = 130.0
VIEW_M = 95.0
COUNTABLE = (*THING_CLASSES, CLASS_NAMES.index("barrier"), CLASS_NAMES.index("traffic_cone"))
"""Classes whose things carry an instance id and a box."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Things in a frame at one moment.

    Attributes:
        instance: (B,) int32 ids, label: (B,) uint8 occupancy classes.
        center: (B, 3) float32 metres, size: (B, 3) float32 length, width, height in metres.
        yaw: (B,) float32 radians, velocity: (B, 2) float32 metres per second.
    """

    instance: npt.NDArray[np.int32]
    label: npt.NDArray[np.uint8]
    center: npt.NDArray[np.float32]
    size: npt.NDArray[np.float32]
    yaw: npt.NDArray[np.float32]
    velocity: npt.NDArray[np.float32]


class World:
    """Everything that does not depend on cameras; same seed and duration, same world.

    Attributes:
        street: ground and centre lines.
        light: sun, sky, weather and exposure.
        ego_d_m: where in the street the vehicle drives.
    """

    street: Street
    light: Light

    def __init__(self, seed: int, duration_s: float) -> None:
        rng = np.random.default_rng([seed, 5])
        self.seed, self.duration_s = seed, duration_s
        speed = rng.uniform(3.0, 11.0)
        self._make_ego(rng, speed, duration_s)
        self.street = make_street(rng, float(self._ego_s[-1]) + 2 * LEAD_M)
        self.light = make_light(np.random.default_rng([seed, 7]))
        profile = self.street.ground.profile
        lane = profile[2] + 0.5 * profile[3] + (profile[4] - 1) * profile[3] * (rng.random() < 0.6)
        self.ego_d_m = -float(lane) + rng.uniform(-0.25, 0.25)
        self._sway = rng.uniform(0, 2 * np.pi)
        placed = place_everything(rng, self.street, self.ego_d_m, speed, duration_s, LEAD_M, float(self._ego_s[-1]))
        self._collect(placed)

    def _make_ego(self, rng: np.random.Generator, speed: float, duration_s: float) -> None:
        self._ego_t = np.arange(-1.0, duration_s + 1.5, 0.02)
        phase, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.8)
        profile = (
            speed * (1 + depth * np.sin(2 * np.pi * self._ego_t / rng.uniform(12, 25) + phase)) / (1 + 0.5 * depth)
        )
        s = np.cumsum(np.clip(profile, 0, None)) * 0.02
        self._ego_s = LEAD_M + s - s[0]

    def _collect(self, placed: list[Placed]) -> None:
        shapes = [p.shape for p in placed]
        counts = [len(s.solids) for s in shapes]
        flat = [solid for s in shapes for solid in s.solids]
        self._owner = np.repeat(np.arange(len(placed)), counts)
        self._path = np.array([p.path for p in placed])
        self._s = np.array([p.s for p in placed])
        self._d = np.array([p.d for p in placed])
        self._turn = np.array([p.turn for p in placed])
        self._speed = np.array([p.speed for p in placed])
        self._lift = np.array([p.lift for p in placed])
        self._size = np.array([s.size for s in shapes], np.float32)
        self._label = np.array([s.label for s in shapes], np.uint8)
        countable = np.isin(self._label, COUNTABLE)
        self._instance = np.where(countable, np.cumsum(countable), 0).astype(np.int32)
        self._local = Solids(
            center=np.array([f[1] for f in flat], np.float32),
            rotation=np.array([f[4] for f in flat], np.float32),
            half=np.array([f[2] for f in flat], np.float32),
            taper=np.array([f[3] for f in flat], np.float32),
            color=np.array([f[5] for f in flat], np.float32),
            kind=np.array([f[0] for f in flat], np.uint8),
            material=np.array([f[6] for f in flat], np.uint8),
            label=self._label[self._owner],
            instance=self._instance[self._owner],
        )
        self._moving = np.flatnonzero(self._speed != STATIC)
        self._fixed_pose = self._poses(np.arange(len(placed)), 0.0)

    def _poses(self, index: npt.NDArray[np.intp], t: float) -> Float64:
        """(M, 4) x, y, z, yaw of things at time t."""
        out = np.empty((len(index), 4))
        speed = self._speed[index]
        travelled = np.where(
            speed == EGO_LANE, self.ego_s(t) - self.ego_s(0.0), np.where(speed == STATIC, 0.0, speed * t)
        )
        s = self._s[index] + travelled
        for number, path in enumerate((self.street.main, *self.street.sides)):
            on = self._path[index] == number
            if on.any():
                x, y, yaw = path.pose(s[on], self._d[index][on])
                out[on, 0], out[on, 1], out[on, 3] = x, y, yaw + self._turn[index][on]
        out[:, 2] = base_heights(self.street.ground, out[:, 0], out[:, 1]) + self._lift[index]
        out[(s < 2) & (self._path[index] == 0), 2] = -1000.0
        out[(s > self.street.main.s[-1] - 2) & (self._path[index] == 0), 2] = -1000.0
        return out

    def ego_s(self, t: float) -> float:
        return float(np.interp(t, self._ego_t, self._ego_s))

    def ego_pose(self, t: float) -> Float64:
        """World from base, (4, 4), at time t in seconds; base_link lies on the ground below the rear axle."""
        s = self.ego_s(t)
        d = self.ego_d_m + 0.15 * np.sin(0.05 * s + self._sway)
        x, y, yaw = (float(v) for v in self.street.main.pose(s, d))
        ground, step = self.street.ground, 1.4
        cos, sin = np.cos(yaw), np.sin(yaw)
        front = base_height(ground, x + 2.8 * cos, y + 2.8 * sin)
        z = base_height(ground, x, y)
        left = base_height(ground, x - step * sin, y + step * cos)
        right = base_height(ground, x + step * sin, y - step * cos)
        forward = np.array([2.8 * cos, 2.8 * sin, front - z])
        forward /= np.linalg.norm(forward)
        sideways = np.array([-2 * step * sin, 2 * step * cos, left - right])
        up = np.cross(forward, sideways)
        up /= np.linalg.norm(up)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([forward, np.cross(up, forward), up], 1)
        pose[:3, 3] = x, y, z
        return pose

    def solids(self, t: float, around: Float64, radius_m: float = VIEW_M) -> tuple[Solids, npt.NDArray[np.intp]]:
        """Solids at time t within ``radius_m`` of a world point, in the world frame, and the thing of each."""
        poses = self._fixed_pose.copy()
        poses[self._moving] = self._poses(self._moving, t)
        reach = 0.5 * np.hypot(self._size[:, 0], self._size[:, 1])
        near = np.hypot(poses[:, 0] - around[0], poses[:, 1] - around[1]) - reach < radius_m
        near &= poses[:, 2] > -100
        keep = np.flatnonzero(near[self._owner])
        owner = self._owner[keep]
        cos, sin = np.cos(poses[:, 3]), np.sin(poses[:, 3])
        turn = np.zeros((len(poses), 3, 3), np.float32)
        turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1], turn[:, 2, 2] = cos, -sin, sin, cos, 1
        local = self._local.select(keep)
        rotation = np.matmul(turn[owner], local.rotation)
        center = np.einsum("pij,pj->pi", turn[owner], local.center) + poses[owner, :3].astype(np.float32)
        return local._replace(center=center.astype(np.float32), rotation=rotation), owner

    def boxes(self, t: float, base_from_world: Float64, radius_m: float = 60.0) -> Boxes:
        """Boxes of countable things in the base frame at time t."""
        index = np.flatnonzero(self._instance > 0)
        poses = self._poses(index, t)
        size = self._size[index]
        world = poses[:, :3] + np.stack([0 * size[:, 0], 0 * size[:, 0], size[:, 2] / 2], 1)
        center = world @ base_from_world[:3, :3].T + base_from_world[:3, 3]
        near = (np.hypot(center[:, 0], center[:, 1]) < radius_m) & (poses[:, 2] > -100)
        later = self._poses(index, t + 0.1)
        velocity = ((later[:, :2] - poses[:, :2]) / 0.1) @ base_from_world[:2, :2].T
        yaw = poses[:, 3] + np.arctan2(base_from_world[1, 0], base_from_world[0, 0])
        yaw = (yaw + np.pi) % (2 * np.pi) - np.pi
        return Boxes(
            self._instance[index][near],
            self._label[index][near],
            center[near].astype(np.float32),
            size[near].astype(np.float32),
            yaw[near].astype(np.float32),
            velocity[near].astype(np.float32),
        )
