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

"""How far a stream departs from the network given all frames at once when the cameras' poses differ between frames.

Run: ``python -m benchmarks.streaming_deviation FOLDER [--variant NAME] [--checkpoint FILE]``; FOLDER as for
``flashocc predict``. The pictures stand still, only the vehicle's poses move: shutters fire one after the other over
45 ms, so each camera has its own ego pose, and the scenarios differ in how these offsets change between frames.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from flashocc_ros import Predictor
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.data.folder import ImageFolder
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.geometry import Geometry
from flashocc_ros.model import build_model, get_variant, load_checkpoint
from flashocc_ros.pipeline.preprocess import image_transform, network_input

STEP_S = 0.5
SPREAD_S = 0.045


@dataclass(frozen=True)
class Motion:
    """Speed 10 m/s plus ``acceleration_mps2`` t, yaw rate ``yaw_rate_dps`` plus ``yaw_acceleration_dps2`` t."""

    speed_mps: float = 10.0
    acceleration_mps2: float = 0.0
    yaw_rate_dps: float = 0.0
    yaw_acceleration_dps2: float = 0.0
    jitter_s: float = 0.0

    def poses_at(self, stamps_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(N, 4, 4) poses along the path, integrated in steps of 1 ms."""
        t = np.arange(0.0, stamps_s.max() + 0.01, 0.001)
        yaw = np.radians(self.yaw_rate_dps * t + self.yaw_acceleration_dps2 * t * t / 2)
        speed = self.speed_mps + self.acceleration_mps2 * t
        x, y = np.cumsum(speed * np.cos(yaw)) * 0.001, np.cumsum(speed * np.sin(yaw)) * 0.001
        poses = np.tile(np.eye(4), (len(stamps_s), 1, 1))
        poses[:, 0, 3], poses[:, 1, 3] = np.interp(stamps_s, t, x), np.interp(stamps_s, t, y)
        heading = np.interp(stamps_s, t, yaw)
        poses[:, 0, 0] = poses[:, 1, 1] = np.cos(heading)
        poses[:, 1, 0], poses[:, 0, 1] = np.sin(heading), -np.sin(heading)
        return poses


SCENARIOS = {
    "standing": Motion(speed_mps=0.0),
    "10 m/s": Motion(),
    "10 m/s, curve of 20 deg/s": Motion(yaw_rate_dps=20.0),
    "braking from 10 m/s with 4 m/s2": Motion(acceleration_mps2=-4.0),
    "10 m/s, turning in with 40 deg/s2": Motion(yaw_acceleration_dps2=40.0),
    "10 m/s, shutters jitter by 5 ms": Motion(jitter_s=0.005),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variant", default="panoptic-flashocc-r50-depth4d")
    parser.add_argument("--checkpoint", type=Path)
    options = parser.parse_args()
    variant = get_variant(options.variant)
    model = build_model(variant)
    if options.checkpoint:
        model.load_state_dict(load_checkpoint(options.checkpoint, variant))
    (given,) = list(ImageFolder(options.folder))[:1]
    for name, motion in SCENARIOS.items():
        print(f"{name}: {compare(model, given, motion)}", flush=True)


def compare(model: Any, given: CameraSet, motion: Motion) -> str:
    variant, cameras = model.variant, given.rig.num_cameras
    backend = TorchBackend(variant, model=model)
    predictor = Predictor(variant, backend=backend)
    logits = {}
    head = backend.head

    def keep(*args: Any, **options: Any) -> Any:
        output = head(*args, **{**options, "with_logits": True})
        logits["stream"] = output.logits
        return output

    backend.head = keep  # type: ignore[method-assign]
    rng = np.random.default_rng(0)
    frames = []
    for frame in range(variant.num_input_frames):
        shutter = frame * STEP_S + np.arange(cameras) * SPREAD_S / max(1, cameras - 1)
        shutter += rng.uniform(0.0, 2.0, cameras) * motion.jitter_s
        frames.append(motion.poses_at(shutter))
        labels = predictor(given.images, given.rig, frames[-1], int(frame * STEP_S * 1e9)).semantics
    transforms = [image_transform(image.shape[:2], variant) for image in given.pictures]
    pixels = torch.from_numpy(network_input(given.pictures, transforms))
    count = len(frames)
    geometry = Geometry(
        sensor2ego=np.tile(given.rig.base_from_camera, (count, 1, 1, 1)),
        ego2global=np.stack(frames[::-1]),
        intrinsics=np.tile(given.rig.intrinsics, (count, 1, 1, 1)),
        post_rot=np.tile(np.stack([t.post_rot for t in transforms]), (count, 1, 1, 1)),
        post_tran=np.tile(np.stack([t.post_tran for t in transforms]), (count, 1, 1)),
        bda=np.eye(3),
    )
    parts = []
    for align in ("warp", "lift"):
        with torch.inference_mode():
            expected = model(pixels.expand(count, *pixels.shape), geometry, align=align).occ_logits.numpy()
        difference = np.abs(logits["stream"] - expected)
        changed = (labels != expected.argmax(-1)).mean()
        parts.append(
            f"{align}: mean {difference.mean() / expected.std():.1e} std, 99.9 % below "
            f"{np.percentile(difference[::3, ::3], 99.9) / expected.std():.1e} std, {changed:.3%} of voxels differ"
        )
    return "; ".join(parts)


if __name__ == "__main__":
    main()
