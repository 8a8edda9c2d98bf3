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

"""Parameters and multiply-adds, counted as the reference's tool does, so that published figures can be compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from flashocc_ros.geometry.camera_params import NUM_CAMERA_PARAMS
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.model.outputs import StereoContext
from flashocc_ros.model.swin import Swin, SwinStage
from flashocc_ros.variants import Variant

REFERENCE_PICTURES = 6
"""The reference's tool always feeds six pictures; a model of F frames takes them as 6 / F cameras."""


def count_parameters_m(model: nn.Module) -> float:
    """Learned parameters in millions."""
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


def count_gmacs(variant: Variant) -> float | None:
    """1e9 multiply-adds of the reference's counting run; None where it fails: six pictures cannot be F frames."""
    frames = variant.num_input_frames
    if REFERENCE_PICTURES % frames:
        return None
    return _count(variant, cameras=REFERENCE_PICTURES // frames, frames=variant.num_frames, streaming=False)


def count_gmacs_per_frame(variant: Variant, cameras: int = 6) -> float:
    """1e9 multiply-adds of one streaming step: one frame through the image branch, all maps through the BEV encoder."""
    return _count(variant, cameras=cameras, frames=1, streaming=True)


def _count(variant: Variant, cameras: int, frames: int, *, streaming: bool) -> float:
    """Runs shapes only, on the meta device, with counting hooks on every leaf module."""
    with torch.device("meta"):
        model = FlashOcc(variant).eval()
        total = _Counter(model)
        images = torch.zeros(cameras, 3, *variant.input_size)
        numbers = torch.zeros(cameras, NUM_CAMERA_PARAMS)
        volume = (variant.lift_z_bins,) if variant.volumetric else ()
        bev = torch.zeros(1, variant.map_channels, *volume, *variant.map_size)
        previous = None
        if variant.stereo:
            quarter = (variant.input_size[0] // 4, variant.input_size[1] // 4)
            feature = torch.zeros(cameras, *variant.stereo_shape)
            previous = StereoContext(feature, torch.zeros(cameras, variant.depth.count, *quarter, 2))
            if not streaming:
                feature = model.stereo_feature(images)
                if isinstance(model.img_backbone, Swin):
                    # The reference runs the whole first stage, the unused patch merging included.
                    merge = cast(SwinStage, model.img_backbone.stages[0]).downsample
                    cast(nn.Module, merge)(feature.permute(0, 2, 3, 1))
        for _ in range(frames):
            model.encode_images(images, numbers, previous)
            cached = model.preprocess_bev(bev)
        # The reference's tool never calls the centre head.
        model.occ_head(model.encode_bev(model.concatenate(cached, [cached] * variant.num_history)))
    return total.macs / 1e9


class _Counter:
    """Sums what leaf modules cost: 1 multiply-add = 1, functional calls are not seen, as in the reference's tool."""

    def __init__(self, model: nn.Module) -> None:
        self.macs = 0
        for module in model.modules():
            rule = next((rule for kinds, rule in _RULES if isinstance(module, kinds)), None)
            if rule is not None:
                module.register_forward_hook(self._hook(rule))

    def _hook(self, rule: Callable[[Any, Tensor, Tensor], int]) -> Callable[..., None]:
        def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self.macs += rule(module, inputs[0], output)

        return add


def _convolution(module: nn.Conv2d | nn.Conv3d, _: Tensor, output: Tensor) -> int:
    taps = module.weight[0].numel()
    return output.numel() * taps + (output.numel() if module.bias is not None else 0)


def _linear(module: nn.Linear, _: Tensor, output: Tensor) -> int:
    return output.numel() * module.in_features


def _norm(_: nn.Module, x: Tensor, __: Tensor) -> int:
    return 2 * x.numel()


_RULES: tuple[tuple[tuple[type[nn.Module], ...], Callable[[Any, Tensor, Tensor], int]], ...] = (
    ((nn.Conv2d, nn.Conv3d), _convolution),
    ((nn.Linear,), _linear),
    ((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm), _norm),
    ((nn.ReLU, nn.MaxPool2d, nn.AdaptiveAvgPool2d), lambda _, x, __: x.numel()),
    # The reference's counter looks at the first picture of a batch only.
    ((nn.Upsample,), lambda _, __, output: output[0].numel()),
)
