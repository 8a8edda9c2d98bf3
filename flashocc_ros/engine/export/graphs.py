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

"""The graphs that are exported, as modules with plain tensors in and out; names are those inside the ONNX files."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashocc_ros.engine.export import tree16
from flashocc_ros.engine.store.signatures import cached_shape, encoder_signature, head_signature
from flashocc_ros.model.heads import CenterHead
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.model.outputs import StereoContext


class ImageEncoderGraph(nn.Module):
    """See ``encoder_signature``."""

    def __init__(self, model: FlashOcc) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        images: Tensor,
        camera_params: Tensor | None = None,
        previous_feature: Tensor | None = None,
        stereo_grid: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        previous = None
        if previous_feature is not None and stereo_grid is not None:
            previous = StereoContext(previous_feature, stereo_grid)
        encoded = self.model.encode_images(images, camera_params, previous)
        if encoded.stereo_feature is None:
            return encoded.depth, encoded.context
        return encoded.depth, encoded.context, encoded.stereo_feature


class StereoFeatureGraph(nn.Module):
    """See ``stereo_signature``."""

    def __init__(self, model: FlashOcc) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model.stereo_feature(images)


class BevHeadGraph(nn.Module):
    """See ``head_signature``; returns the class logits too, as second output."""

    def __init__(self, model: FlashOcc) -> None:
        super().__init__()
        self.model = model
        layers = cast(nn.Sequential, model.occ_head.predicter)
        linear = [cast(nn.Linear, layers[i]) for i in (0, 2)]
        self.predicter = nn.Sequential(
            _pointwise(linear[0], model.variant.volumetric),
            nn.Softplus(),
            _pointwise(linear[1], model.variant.volumetric),
        )

    def forward(self, bev: Tensor, grids: Tensor | None = None, *history: Tensor) -> tuple[Tensor, ...]:
        model = self.model
        key = model.preprocess_bev(bev)
        maps = key
        if grids is not None:
            shape = cached_shape(model.variant)
            warped = [
                # Height slices ride along as channels: one 4D sampling for flat and volumetric maps alike.
                F.grid_sample(
                    past.reshape(1, -1, *shape[-2:]), grids[age : age + 1], padding_mode="zeros", align_corners=True
                ).reshape(shape)
                for age, past in enumerate(history)
            ]
            maps = model.concatenate(key, warped)
        bev_out = model.encode_bev(maps)
        logits = self.predicter(cast(nn.Module, model.occ_head.final_conv)(bev_out))
        outputs = [self._labels(logits), logits]
        if grids is not None:
            outputs.append(key)
        if model.aux_centerness_head is not None:
            centers = model.aux_centerness_head(bev_out)
            outputs += [centers[name] for name in CenterHead.INFERENCE]
        return tuple(outputs)

    def _labels(self, logits: Tensor) -> Tensor:
        """(Dx, Dy, Dz) uint8. Only labels are brought to x first, not the logits, of which there are 45 MB."""
        variant = self.model.variant
        if variant.volumetric:
            labels = logits.argmax(dim=1).squeeze(0)
        else:
            shape = (variant.grid.size[2], len(variant.classes), *variant.map_size)
            labels = logits.reshape(shape).argmax(dim=1)
        return labels.permute(2, 1, 0).to(torch.uint8)


def _pointwise(linear: nn.Linear, volumetric: bool) -> nn.Module:
    """The linear layer as a 1x1 convolution on channels-first maps."""
    kind = nn.Conv3d if volumetric else nn.Conv2d
    conv = kind(linear.in_features, linear.out_features, 1)
    conv.weight.data = linear.weight.data.reshape(conv.weight.shape).clone()
    assert conv.bias is not None
    conv.bias.data = linear.bias.data.clone()
    return conv


class FusedGraph(nn.Module):
    """Pictures to labels in one plugin-free graph: encoder, ``tree16`` pooling, head."""

    def __init__(self, model: FlashOcc, names: tuple[str, ...], grid_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.encoder, self.head = ImageEncoderGraph(model), BevHeadGraph(model)
        self.variant, self.names, self.grid_shape = model.variant, names, grid_shape

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        inputs = dict(zip(self.names, tensors, strict=True))
        encoder_names = encoder_signature(self.variant, 1).inputs
        depth, context, *stereo = self.encoder(*(inputs[name] for name in encoder_names))
        tables = {name: inputs[name].long() for name in tree16.INPUT_NAMES}
        bev = tree16.pool(depth, context, **tables, grid_shape=self.grid_shape, volumetric=self.variant.volumetric)
        past = [inputs[name] for name in head_signature(self.variant).inputs if name != "bev"]
        return (*self.head(bev, *past), *stereo)
