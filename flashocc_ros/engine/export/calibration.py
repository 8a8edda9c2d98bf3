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

"""Real frames for exports: the rig a fused graph is sized for and the inputs int8 scales are measured on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy.typing as npt

from flashocc_ros.bags import Frames
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.nominal_rig import SOURCE_HW
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.data.frames import check_cameras, read_frames
from flashocc_ros.engine.onnx_backend import OnnxBackend
from flashocc_ros.errors import ConfigError
from flashocc_ros.geometry import LiftTable, lift_table
from flashocc_ros.pipeline.set_geometry import rig_geometry
from flashocc_ros.pipeline.stream import Stream
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import Variant

Feeds = list[dict[str, npt.NDArray[Any]]]


def standing_table(variant: Variant, rig: CameraRig, source_hw: tuple[int, int] = SOURCE_HW) -> LiftTable:
    """The lift table of a vehicle that does not move while its cameras, all of one picture size, fire."""
    return lift_table(variant, rig_geometry(rig, [source_hw] * rig.num_cameras, variant))


def frame_table(variant: Variant, frame: CameraSet) -> LiftTable:
    """The same for the pictures of a frame, which may differ in size."""
    return lift_table(variant, rig_geometry(frame.rig, frame.image_sizes, variant))


def record_feeds(
    backend: OnnxBackend,
    path: Path,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    max_frames: int = 32,
    *,
    cameras: int | None = None,
    fisheye: Fisheye | None = None,
) -> dict[str, Feeds]:
    """Run a float32 backend over frames and keep what each graph was fed with.

    Args:
        backend: opened on the float32 export; its ``observer`` is used.
        path, frames, fisheye: see ``read_frames``.
        max_frames: frames spread no further than the first of them.
        cameras: how many the vehicle has; None takes any number.

    Returns:
        Inputs by graph name, one dict of arrays per run.

    Raises:
        ConfigError: there is no frame, or it is of another rig.
    """
    feeds: dict[str, Feeds] = {}
    stream = Stream(backend)

    def keep(graph: str, inputs: dict[str, npt.NDArray[Any]]) -> None:
        # Not copied: inputs are made anew for every frame or, as past maps, are copies already and shared by many.
        feeds.setdefault(graph, []).append(dict(inputs))

    backend.observer = keep
    try:
        for frame in islice(read_frames(path, frames, fisheye), max_frames):
            if cameras is not None:
                check_cameras(frame, path, cameras)
            stream(frame)
    finally:
        backend.observer = None
    if not feeds:
        raise ConfigError(f"{path} holds no complete frame to calibrate on; record at least one")
    return feeds
