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

"""Frames of nuScenes with Occ3D labels for evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from flashocc_ros.data.nuscenes_files import read_picture
from flashocc_ros.data.nuscenes_tables import CAMERAS, Info, read_infos
from flashocc_ros.data.occ3d import load_occupancy
from flashocc_ros.evaluation.frames import EvalFrame
from flashocc_ros.structures import CameraRig


@dataclass(frozen=True)
class NuScenesFrames:
    """Frames for evaluation, scene by scene; instances from ``occ3d_panoptic/`` where it is there."""

    root: Path
    version: str = "v1.0-trainval"
    split: str | tuple[str, ...] = "val"
    cameras: tuple[str, ...] = CAMERAS

    @cached_property
    def _scenes(self) -> dict[str, list[Info]]:
        """Read once: the real tables take half a minute. Other processes get what was read with the object."""
        scenes: dict[str, list[Info]] = {}
        for info in read_infos(self.root, self.version, self.split, self.cameras):
            scenes.setdefault(info.scene, []).append(info)
        return scenes

    def sequences(self) -> list[str]:
        return sorted(self._scenes)

    def frames(self, sequence: str) -> Iterator[EvalFrame]:
        infos = self._scenes[sequence]
        panoptic = Path(self.root) / "occ3d_panoptic"
        labels = panoptic if panoptic.is_dir() else Path(self.root) / "gts"
        lidars = np.stack([i.lidar.global_from_ego @ i.lidar.ego_from_sensor for i in infos])
        for info in infos:
            semantics, mask_camera, mask_lidar, instances = load_occupancy(labels, info)
            origins = (np.linalg.inv(info.lidar.global_from_ego) @ lidars)[:, :3, 3]
            yield EvalFrame(
                [np.asarray(read_picture(camera.path)) for camera in info.cameras],
                CameraRig(
                    self.cameras,
                    np.stack([camera.intrinsics for camera in info.cameras]),
                    np.stack([camera.ego_from_sensor for camera in info.cameras]),
                ),
                np.stack([camera.global_from_ego for camera in info.cameras]),
                info.cameras[0].timestamp_us * 1000,
                semantics,
                mask_camera,
                mask_lidar,
                instances,
                origins,
            )
