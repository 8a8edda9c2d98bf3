"""What a streaming step costs compared with all frames at once: CPU seconds in one process, one thread, random weights.

Run from the checkout: ``python test/benchmark_streaming.py [--engine openvino] [--repeats N] [--json out.json]``; takes
about six minutes of CPU, with another engine than torch once as much again to export. The forward is always torch's.
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
import torch

from flashocc_ros import CameraRig, Predictor
from flashocc_ros.engine.select import ENGINES, open_backend
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.geometry import Geometry
from flashocc_ros.model import build_model, get_variant
from flashocc_ros.preprocess import image_transform

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


def measure(name: str, engine: str, with_forward: bool, repeats: int = 1) -> dict[str, float]:
    """CPU seconds of the fastest of ``repeats`` warm steps, and of one forward."""
    variant = get_variant(name)
    model = build_model(variant)
    backend = (
        TorchBackend(variant, model=model, device="cpu", fold=True)
        if engine == "torch"
        else open_backend(variant, None, engine)
    )
    predictor = Predictor(variant, backend=backend, max_gap_s=100.0)
    rig = surround_rig()
    images = [np.random.default_rng(i).integers(0, 256, (900, 1600, 3), dtype=np.uint8) for i in range(CAMERAS)]
    odom = np.tile(np.eye(4), (CAMERAS, 1, 1))

    def step(index: int) -> None:
        odom[:, 0, 3] = 2.0 * index
        predictor(images, rig, odom.copy(), index * STEP_NS)

    step(0)
    (first,) = predictor._memory._frames
    for index in range(1, variant.num_history):  # a full memory without waiting for it
        pose = np.eye(4)
        pose[0, 3] = 2.0 * index
        predictor._memory.add(replace(first, stamp_ns=index * STEP_NS, key_pose=pose, bev=copy.deepcopy(first.bev)))
    start = max(1, variant.num_history)
    step(start)
    result = {"step_s": min(cpu_seconds(lambda k=k: step(start + k)) for k in range(1, repeats + 1))}  # type: ignore[misc]
    result["memory_mb"] = predictor.memory_nbytes / 1e6
    if with_forward:
        frames = variant.num_input_frames
        transform = image_transform((900, 1600), variant)
        tiles = (frames, CAMERAS)
        geometry = Geometry(
            sensor2ego=np.tile(rig.base_from_camera, (frames, 1, 1, 1)),
            ego2global=np.tile(np.eye(4), (*tiles, 1, 1)),
            intrinsics=np.tile(rig.intrinsics, (frames, 1, 1, 1)),
            post_rot=np.tile(transform.post_rot, (*tiles, 1, 1)),
            post_tran=np.tile(transform.post_tran, (*tiles, 1)),
            bda=np.eye(3),
        )
        pixels = torch.randn(frames, CAMERAS, 3, *variant.input_size)
        with torch.inference_mode():
            result["forward_s"] = cpu_seconds(lambda: model(pixels, geometry))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="torch", choices=ENGINES)
    parser.add_argument("--repeats", type=int, default=3, help="warm steps, the fastest counts")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for name in VARIANTS:
        results[name] = measure(name, options.engine, name != VARIANTS[0], options.repeats)
        print(name, {k: round(v, 2) for k, v in results[name].items()}, flush=True)
    two, eight, sixteen = (results[name] for name in VARIANTS)
    ratios = {
        "8f step / 2f step": eight["step_s"] / two["step_s"],
        "16f step / 2f step": sixteen["step_s"] / two["step_s"],
        "8f step / forward": eight["step_s"] / eight["forward_s"],
        "16f step / forward": sixteen["step_s"] / sixteen["forward_s"],
    }
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.3f} (limit {LIMITS[name]:.3f}) {'ok' if ratio <= LIMITS[name] else 'TOO SLOW'}")
    if options.json:
        options.json.write_text(json.dumps({"results": results, "ratios": ratios}, indent=1))


if __name__ == "__main__":
    main()
