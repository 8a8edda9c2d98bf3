"""How far a stream departs from the network given all frames at once when the cameras' poses differ between frames.

Run: ``python test/measure_streaming_deviation.py FOLDER [--variant NAME] [--checkpoint FILE]``; FOLDER as for
``flashocc predict``. The pictures stand still, only the vehicle's poses move: shutters fire one after the other over
45 ms, so each camera has its own ego pose, and the scenarios differ in how these offsets change between frames.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from flashocc_ros import Predictor
from flashocc_ros.data.folder import FolderSet, ImageFolder
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.geometry import Geometry
from flashocc_ros.model import build_model, get_variant, load_checkpoint
from flashocc_ros.preprocess import image_transform, network_input

STEP_S = 0.5
SPREAD_S = 0.045

Motion = Callable[[npt.NDArray[np.float64]], tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]
SCENARIOS: dict[str, tuple[Motion, float]] = {
    # time in s -> (distance along x in m, yaw in rad); second: trigger jitter in s
    "standing": (lambda t: (0 * t, 0 * t), 0.0),
    "10 m/s": (lambda t: (10 * t, 0 * t), 0.0),
    "10 m/s, 20 deg/s": (lambda t: (10 * t, np.radians(20) * t), 0.0),
    "braking from 10 m/s with 4 m/s2": (lambda t: (10 * t - 2 * t * t, 0 * t), 0.0),
    "10 m/s, shutters jitter by 5 ms": (lambda t: (10 * t, 0 * t), 0.005),
    "10 m/s, turning in with 40 deg/s2": (lambda t: (10 * t, np.radians(20) * t * t), 0.0),
}


def poses_at(motion: Motion, stamps_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x, yaw = motion(stamps_s)
    poses = np.tile(np.eye(4), (len(stamps_s), 1, 1))
    poses[:, 0, 3] = x
    poses[:, 0, 0] = poses[:, 1, 1] = np.cos(yaw)
    poses[:, 1, 0], poses[:, 0, 1] = np.sin(yaw), -np.sin(yaw)
    return poses


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
    for name, (motion, jitter_s) in SCENARIOS.items():
        print(f"{name}: {compare(model, given, motion, jitter_s)}", flush=True)


def compare(model: Any, given: FolderSet, motion: Motion, jitter_s: float) -> str:
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
        frames.append(poses_at(motion, shutter + rng.uniform(-jitter_s, jitter_s, cameras)))
        labels = predictor(given.images, given.rig, frames[-1], int(frame * STEP_S * 1e9)).semantics
    transforms = [image_transform(image.shape[:2], variant) for image in given.images]
    pixels = torch.from_numpy(network_input(given.images, transforms))
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
