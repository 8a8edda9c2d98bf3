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

"""What the networks return."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class StereoContext:
    """The previous frame as stereo matching sees it.

    Attributes:
        feature: (N, c, h, w) of the previous frame, see the variant's ``stereo_shape``.
        grid: (N, D, H/4, W/4, 2) where each pixel at each depth lies in it, see ``geometry.stereo_grid``.
    """

    feature: Tensor
    grid: Tensor


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Result of the image branch for N pictures.

    Attributes:
        depth: (N, D, fH, fW) probabilities over depth bins.
        context: (N, C, fH, fW) features to lift.
        stereo_feature: (N, c, h, w) to match the next frame against; None without stereo.
    """

    depth: Tensor
    context: Tensor
    stereo_feature: Tensor | None


@dataclass(frozen=True, eq=False)
class HeadTensors:
    """Result of BEV encoder and heads for B samples; rows of 2D maps are y, columns x.

    Attributes:
        occ_logits: (B, X, Y, Z, classes) axes x, y, z, class.
        bev_out: (B, C, Dy, Dx) or (B, C, Dz, Dy, Dx), encoder output.
        heatmap: (B, detections, Dy, Dx) logits of object centres per detection class; None without the centre head.
        reg: (B, 2, Dy, Dx) offset of the centre inside its cell, cells.
        height: (B, 1, Dy, Dx) z of the centre, metres.
        dim: (B, 3, Dy, Dx), rot: (B, 2, Dy, Dx), vel: (B, 2, Dy, Dx): only in training mode.
    """

    occ_logits: Tensor
    bev_out: Tensor
    heatmap: Tensor | None = None
    reg: Tensor | None = None
    height: Tensor | None = None
    dim: Tensor | None = None
    rot: Tensor | None = None
    vel: Tensor | None = None


@dataclass(frozen=True, eq=False)
class BatchOutput:
    """All-frames-at-once result for B samples, what training needs.

    Attributes:
        depth: (B, N, D, fH, fW) depth probabilities of the key frames.
        bev_pool: (B, C, Dy, Dx) or (B, C, Dz, Dy, Dx) pooled maps of the key frames.
        head: encoder and head tensors.
    """

    depth: Tensor
    bev_pool: Tensor
    head: HeadTensors


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """All-frames-at-once result for one sample.

    Attributes:
        occ_logits: (X, Y, Z, classes) axes x, y, z, class.
        depth: (N, D, fH, fW) depth probabilities of the key frame.
        bev_pool: (C, Dy, Dx) or (C, Dz, Dy, Dx) pooled map of the key frame.
        bev_out: (C, Dy, Dx) or (C, Dz, Dy, Dx) BEV encoder output.
        heatmap: (detections, Dy, Dx) centre logits, reg: (2, Dy, Dx), height: (1, Dy, Dx); None without that head.
    """

    occ_logits: Tensor
    depth: Tensor
    bev_pool: Tensor
    bev_out: Tensor
    heatmap: Tensor | None
    reg: Tensor | None
    height: Tensor | None
