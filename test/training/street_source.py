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

"""A tiny data set for the training tests: two boxes on a flat road."""

from __future__ import annotations

from typing import Any

import numpy as np

from flashocc_ros.geometry import Geometry
from flashocc_ros.labels import FREE
from flashocc_ros.training.config import TrainConfig
from flashocc_ros.training.sample import Sample, mirror_bev


class StreetSource:
    """A few frames of a flat road with two coloured boxes; pictures show what stands where."""

    def __init__(
        self, length: int = 4, num_frames: int = 1, size: tuple[int, int] = (176, 352), cameras: int = 2
    ) -> None:
        self.length, self.num_frames, self.size, self.cameras = length, num_frames, size, cameras

    def __len__(self) -> int:
        return self.length

    def available(self, step: int) -> int:
        return self.length

    def sample(self, index: int, rng: np.random.Generator | None) -> Sample:
        fixed = np.random.default_rng(index)
        n, (height, width) = self.cameras, self.size
        images = fixed.integers(90, 110, (self.num_frames, n, height, width, 3)).astype(np.uint8)
        labels = np.full((n, height, width), FREE, np.uint8)
        depth = np.zeros((n, height, width), np.float32)
        rows = np.arange(height // 2 + 4, height)
        labels[:, rows], depth[:, rows] = 11, (1.5 * 278 / (rows - height / 2))[None, :, None]
        column = int(fixed.integers(40, width - 80))
        labels[:, 50:90, column : column + 40], depth[:, 50:90, column : column + 40] = 4, 12.0
        images[:, :, 50:90, column : column + 40] = (200, 30, 30)
        semantics = np.full((200, 200, 16), FREE, np.uint8)
        semantics[:, :, 2] = 11
        side = (column + 20 - width / 2) * 12.0 / 278
        iy = int((-side + 40) / 0.4)
        semantics[128:138, iy - 2 : iy + 3, 3:6] = 4
        mask = np.zeros(semantics.shape, bool)
        mask[100:160, 70:130] = True
        boxes = np.array([[13.2, -side, 0.8, 4.0, 2.0, 1.2, 0, 0, 0]], np.float32)
        flip_y = rng is not None and bool(rng.random() < 0.5)
        semantics, mask, boxes, bda = mirror_bev(semantics, mask, boxes, False, flip_y)
        pose = np.eye(4)
        pose[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
        pose[:3, 3] = (0, 0, 1.5)
        shape = (self.num_frames, n)
        intrinsics = np.array([[278.0, 0, width / 2], [0, 278.0, height / 2], [0, 0, 1]])
        geometry = Geometry(
            sensor2ego=np.broadcast_to(pose, (*shape, 4, 4)),
            ego2global=np.broadcast_to(np.eye(4), (*shape, 4, 4)),
            intrinsics=np.broadcast_to(intrinsics, (*shape, 3, 3)),
            post_rot=np.broadcast_to(np.eye(3), (*shape, 3, 3)),
            post_tran=np.zeros((*shape, 3)),
            bda=bda,
        )
        return Sample(images, geometry, semantics, mask, depth, labels, boxes, np.array([0]))


def tiny_config(**changes: Any) -> TrainConfig:
    """Config of a run on ``StreetSource``; nested settings as ``schedule={...}``."""
    values: dict[str, Any] = {
        "variant": "synthetic-tiny",
        "data": {"kind": "synthetic", "cache": "unused"},
        "schedule": {"iterations": 3, "warmup_iterations": 2},
        "optimizer": {"lr": 2e-3},
        "loss": {"columns": 512},
        "batch_size": 1,
        "workers": 0,
        "checkpoint_every": 1,
        "log_every": 1,
    }
    return TrainConfig.model_validate({**values, **changes})
