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

"""Depth network of the synthetic variants: it reasons at one focal length, whatever the camera."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashocc_ros.model.layers import moved_bins
from flashocc_ros.model.outputs import StereoContext
from flashocc_ros.model.patch_matching import PatchMatching
from flashocc_ros.variants import Variant

FEATURE_STRIDE = 8
"""Input pixels per cell of the neck's feature map in the synthetic variants."""


class CanonicalDepthNet(nn.Module):
    """One hidden layer, then depth probabilities for a camera of the reference focal length and the lifted context.

    Where cells of stride 4 are lifted, the hidden map is upsampled and corrected by what the backbone saw at that
    stride: 20 m away a cell of stride 8 is half a metre wide, more than a voxel.

    A picture of twice the focal length shows the same scene twice as near. In log-spaced bins that is a shift, so
    the probabilities are moved by ``ln(f / f_reference)`` instead of letting the network learn every camera. The last
    bin collects everything beyond the grid and stays where it is.

    With stereo, the logits are joined with those of matching the previous frame, see ``PatchMatching``.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        channels = variant.neck_channels
        self.num_depths, self.finer = variant.depth.count, FEATURE_STRIDE // variant.stride
        self.reference_focal_px = variant.reference_focal_px
        values = variant.depth.values()
        self.bins_per_log = (self.num_depths - 1) / math.log(values[-1] / values[0])
        self.hidden = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.detail: nn.Module | None = None
        if self.finer > 1:
            self.detail = nn.Sequential(
                nn.Conv2d(channels + variant.backbone_width, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            )
        self.out = nn.Conv2d(channels, self.num_depths + variant.lift_channels, 1)
        self.stereo = PatchMatching(self.num_depths, channels) if variant.stereo else None

    def forward(
        self,
        feature: Tensor,
        camera_params: Tensor,
        fine: Tensor,
        matched: Tensor,
        previous: StereoContext | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Depth probabilities (N, D, fH, fW) and context (N, C, fH, fW) of the lifted cells.

        Args:
            feature: (N, C_n, H / 8, W / 8).
            camera_params: (N, 27), see ``geometry.camera_params``.
            fine: (N, c, H / 4, W / 4) of the backbone; read where stride 4 is lifted.
            matched: (N, 16, H, W) descriptions of the pictures; only read by stereo.
            previous: what stereo matches them with; None stands for "no match known".
        """
        hidden = self.hidden(feature)
        if self.detail is not None:
            # Cells span the picture corner to corner, so the corners are what must stay in place.
            hidden = F.interpolate(hidden, scale_factor=self.finer, mode="bilinear", align_corners=True)
            hidden = hidden + self.detail(torch.cat([hidden, fine], dim=1))
        out, shift = self.out(hidden), self.shift_matrix(camera_params)
        logits = out[:, : self.num_depths]
        if self.stereo is not None and previous is not None:
            logits = self.stereo(logits, hidden, matched, previous, shift)
        return moved_bins(shift, logits.softmax(dim=1)), out[:, self.num_depths :]

    def shift_matrix(self, camera_params: Tensor) -> Tensor:
        """(N, D, D): entry (i, j) is the share of canonical bin j that goes to bin i; columns sum to one."""
        # K00 scaled by the first column of post_rot: the focal length in network pixels.
        focal = camera_params[:, 0] * torch.sqrt(camera_params[:, 4].square() + camera_params[:, 7].square())
        shift = torch.log(focal / self.reference_focal_px) * self.bins_per_log
        bins = torch.arange(self.num_depths, device=focal.device, dtype=focal.dtype)
        far = (bins == self.num_depths - 1).to(focal.dtype)
        moved = (bins + shift[:, None] * (1.0 - far)).clamp(0.0, self.num_depths - 1.0)
        return (1.0 - (bins[:, None] - moved[:, None, :]).abs()).clamp(min=0.0)
