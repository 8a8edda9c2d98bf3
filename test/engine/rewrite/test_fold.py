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

"""Folded networks: the numbers of the network, without its batch norms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_stream import rig, small
from torch import nn

from flashocc_ros.engine.rewrite.fold import folded
from flashocc_ros.geometry import Geometry
from flashocc_ros.model import build_model
from flashocc_ros.variants import Backbone

CAMERAS = 2


def standing(frames: int) -> Geometry:
    """A vehicle that does not move."""
    tiles = (frames, CAMERAS)
    return Geometry(
        sensor2ego=np.tile(rig().base_from_camera, (frames, 1, 1, 1)),
        ego2global=np.tile(np.eye(4), (*tiles, 1, 1)),
        intrinsics=np.tile(rig().intrinsics, (frames, 1, 1, 1)),
        post_rot=np.tile(np.eye(3), (*tiles, 1, 1)),
        post_tran=np.zeros((*tiles, 3)),
        bda=np.eye(3),
    )


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("flashocc-r50-M0", "resnet18"),
        ("panoptic-flashocc-r50-depth4d-pano", "resnet18"),
        ("flashocc-r50-4d-stereo", "resnet18"),
        ("bevdet-occ-r50", "resnet18"),
        ("flashocc-stbase-4d-stereo-512x1408_4x4_2e-4", "swin-b"),
    ],
)
def test_a_folded_network_has_the_logits_of_the_network(name: str, backbone: Backbone) -> None:
    variant = replace(small(name), backbone=backbone, input_size=(64, 192))
    model = build_model(variant)
    frames = variant.num_input_frames
    images = torch.randn(frames, CAMERAS, 3, *variant.input_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, got = (network(images, standing(frames)).occ_logits for network in (model, folded(model)))
    # Untrained networks magnify rounding; equal to the last bit would be no other operations.
    assert 0 < float((got - expected).abs().max()) < 1e-3 * float(expected.std())


def test_no_batch_norm_is_left_and_the_given_network_keeps_its_own() -> None:
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    model = build_model(small("panoptic-flashocc-r50-depth4d-pano"))
    assert not [name for name, module in folded(model).named_modules() if isinstance(module, norms)]
    assert [name for name, module in model.named_modules() if isinstance(module, norms)]
