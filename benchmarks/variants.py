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

"""Prints the table of docs/variants.md; CPU seconds are of one streaming step in PyTorch, one run each.

    python -m benchmarks.variants [NAME ...] [> rows.md]

A step is: one frame of six cameras through the image branch, pooling, warping of all cached maps, BEV encoder, heads.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from flashocc_ros.geometry import Geometry, bev_warp_grid, camera_params, lift_table, stereo_grid
from flashocc_ros.model import VARIANTS, build_model
from flashocc_ros.model.outputs import StereoContext
from flashocc_ros.variants import Variant

CAMERAS = 6


def moving_rig(variant: Variant, motion_m: float) -> Geometry:
    """Six cameras around the vehicle, 1600x900 pictures: key frame and the one before it."""
    forward = np.array([[0, 0, 1, 0.8], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]], np.float64)
    poses = []
    for camera in range(CAMERAS):
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("z", 60 * camera, degrees=True).as_matrix()
        poses.append(turn @ forward)
    height, width = variant.input_size
    scale = width / 1600
    intrinsics = np.array([[1260.0, 0, 800], [0, 1260, 450], [0, 0, 1]])
    post_rot = np.diag([scale, scale, 1.0])
    post_tran = np.array([0.0, height - int(900 * scale), 0.0])
    ego = np.tile(np.eye(4), (2, CAMERAS, 1, 1))
    ego[1, :, 0, 3] = -motion_m
    rest = (np.broadcast_to(a, (2, CAMERAS, *a.shape)) for a in (intrinsics, post_rot, post_tran))
    return Geometry(np.stack([poses, poses]), ego, *rest, np.eye(3))


def step_cpu_s(variant: Variant) -> float:
    """CPU seconds of one streaming step."""
    model = build_model(variant)
    geometry = moving_rig(variant, 0.5)
    images = torch.randn(CAMERAS, 3, *variant.input_size)
    volume = (variant.lift_z_bins,) if variant.volumetric else ()
    past = torch.randn(1, variant.encoder_in_channels // variant.num_frames, *volume, 200, 200)
    feature = torch.zeros(1)
    if variant.stereo:
        feature = torch.rand(CAMERAS, *variant.stereo_shape)
    started = time.process_time()
    with torch.inference_mode():
        previous = None
        if variant.stereo:
            previous = StereoContext(feature, torch.from_numpy(stereo_grid(variant, geometry)))
        encoded = model.encode_images(images, torch.from_numpy(camera_params(geometry)), previous)
        key = model.preprocess_bev(model.pool(encoded.depth, encoded.context, lift_table(variant, geometry)))
        grid = torch.from_numpy(bev_warp_grid(geometry.key_from_previous(1)))[None]
        warped = [model.warp(past, grid) for _ in range(variant.num_history)]
        model.bev_head(model.concatenate(key, warped)).occ_logits.argmax(-1)
    return time.process_time() - started


def main(names: list[str]) -> None:
    step_cpu_s(VARIANTS["synthetic-tiny"])
    for name in names or list(VARIANTS):
        variant = VARIANTS[name]
        counted = "-" if variant.gmacs is None else f"{variant.gmacs:.4f}"
        cpu_s = step_cpu_s(variant)
        peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"| `{name}` | {variant.stands_for} | {variant.num_frames} | {variant.params_m:.4f} | {counted} "
            f"| {variant.gmacs_per_frame:.1f} | {4 * variant.params_m:.0f} | {variant.memory_mb:.1f} | {cpu_s:.1f} |",
            flush=True,
        )
        print(f"{name}: {cpu_s:.1f} CPU s, peak so far {peak_gb:.1f} GB", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
