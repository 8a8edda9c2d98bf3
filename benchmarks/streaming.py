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

"""What a streaming step costs compared with all frames at once: CPU seconds in one process, one thread, random weights.

Run from the checkout: ``python -m benchmarks.streaming [--engine torch] [--repeats N] [--json out.json]``. Steps
of the three networks take turns, so that a busy machine slows all of them alike; medians count. Takes about five
minutes of CPU, with another engine than torch once as much again to export. The forward is always torch's; the limits
are for the engine that ``auto`` takes on a CPU.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from flashocc_ros import CameraRig, Predictor
from flashocc_ros.engine.select import open_backend
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.engine_names import ENGINES
from flashocc_ros.geometry import Geometry
from flashocc_ros.model import build_model, get_variant
from flashocc_ros.pipeline.preprocess import image_transform

VARIANTS = (
    "panoptic-flashocc-r50-depth4d-pano",
    "panoptic-flashocc-r50-depth4d-longterm8f-pano",
    "panoptic-flashocc-r50-depth4d-longterm16f-pano",
)
LIMITS = {
    "8f step / 2f step": 1.15,
    "16f step / 2f step": 1.25,
    "8f step / forward": 1 / 7,
    "16f step / forward": 1 / 13,
}
CAMERAS = 6
STEP_NS = 500_000_000
METRES_PER_STEP = 2.0


def cpu_seconds(call: Callable[[], Any]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def surround_rig() -> CameraRig:
    optical = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    poses = np.tile(np.eye(4), (CAMERAS, 1, 1))
    for pose, yaw in zip(poses, np.arange(CAMERAS) * 2 * np.pi / CAMERAS, strict=True):
        c, s = np.cos(yaw), np.sin(yaw)
        pose[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ optical
        pose[:3, 3] = (1.0 + c, s, 1.5)
    intrinsics = np.tile([[1266.0, 0, 800], [0, 1266.0, 450], [0, 0, 1]], (CAMERAS, 1, 1))
    return CameraRig([f"camera{i}" for i in range(CAMERAS)], intrinsics, poses)


class Stream:
    """One network with a full memory, ready for warm steps."""

    def __init__(self, name: str, engine: str) -> None:
        self.variant = get_variant(name)
        self.model = build_model(self.variant)
        backend = (
            TorchBackend(self.variant, model=self.model, device="cpu")
            if engine == "torch"
            else open_backend(self.variant, None, engine)
        )
        self.predictor = Predictor(self.variant, backend=backend, max_gap_s=60.0)
        self.rig = surround_rig()
        random = np.random.default_rng(0)
        self.images = [random.integers(0, 256, (900, 1600, 3), dtype=np.uint8) for _ in range(CAMERAS)]
        self.index = -1
        self.step()
        (first,) = self.predictor._stream.memory._frames
        while self.index + 1 < self.variant.num_history:  # a full memory without waiting for it
            self.index += 1
            poses = np.tile(self.pose(), (1, CAMERAS, 1, 1))
            geometry = replace(first.geometry, ego2global=poses, key2global=None)
            copied = replace(first, stamp_ns=self.index * STEP_NS, geometry=geometry, bev=copy.deepcopy(first.bev))
            self.predictor._stream.memory.add(copied)
        self.step()

    def pose(self) -> npt.NDArray[np.float64]:
        pose = np.eye(4)
        pose[0, 3] = METRES_PER_STEP * self.index
        return pose

    def step(self) -> None:
        self.index += 1
        self.predictor(self.images, self.rig, np.tile(self.pose(), (CAMERAS, 1, 1)), self.index * STEP_NS)

    def forward(self) -> None:
        frames = self.variant.num_input_frames
        transform = image_transform((900, 1600), self.variant)
        tiles = (frames, CAMERAS)
        geometry = Geometry(
            sensor2ego=np.tile(self.rig.base_from_camera, (frames, 1, 1, 1)),
            ego2global=np.tile(np.eye(4), (*tiles, 1, 1)),
            intrinsics=np.tile(self.rig.intrinsics, (frames, 1, 1, 1)),
            post_rot=np.tile(transform.post_rot, (*tiles, 1, 1)),
            post_tran=np.tile(transform.post_tran, (*tiles, 1)),
            bda=np.eye(3),
        )
        with torch.inference_mode():
            self.model(torch.randn(frames, CAMERAS, 3, *self.variant.input_size), geometry)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="openvino", choices=ENGINES, help="of the steps")
    parser.add_argument("--repeats", type=int, default=5, help="warm steps of each network")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    streams = [Stream(name, options.engine) for name in VARIANTS]
    steps = np.array([[cpu_seconds(stream.step) for stream in streams] for _ in range(options.repeats)])
    two, eight, sixteen = np.median(steps, axis=0)
    ratios = {
        "8f step / 2f step": np.median(steps[:, 1] / steps[:, 0]),
        "16f step / 2f step": np.median(steps[:, 2] / steps[:, 0]),
    }
    print(f"steps, CPU s: {two:.2f} {eight:.2f} {sixteen:.2f}", flush=True)
    forwards = [cpu_seconds(stream.forward) for stream in streams[1:]]
    print(f"forwards, CPU s: {forwards[0]:.1f} {forwards[1]:.1f}")
    ratios |= {"8f step / forward": eight / forwards[0], "16f step / forward": sixteen / forwards[1]}
    for name, ratio in ratios.items():
        verdict = "ok" if ratio <= LIMITS[name] else "TOO SLOW"
        print(f"{name}: {ratio:.3f} = 1/{1 / ratio:.1f} (limit {LIMITS[name]:.3f}) {verdict}")
    if options.json:
        memory_mb = [stream.predictor.memory_nbytes / 1e6 for stream in streams]
        result = {"steps_s": steps.tolist(), "forwards_s": forwards, "ratios": ratios, "memory_mb": memory_mb}
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
