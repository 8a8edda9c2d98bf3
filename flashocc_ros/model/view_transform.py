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

"""From an image feature map to depth probabilities and the context that is lifted with them."""

from __future__ import annotations

from torch import Tensor, nn

from flashocc_ros.model.canonical_depth import CanonicalDepthNet
from flashocc_ros.model.depth_net import DepthNet
from flashocc_ros.model.outputs import StereoContext
from flashocc_ros.variants import Variant


class ViewTransform(nn.Module):
    """The depth network: one 1x1 convolution, or the camera-aware one."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.num_depths = variant.depth.count
        channels = variant.neck_channels
        if variant.reference_focal_px:
            self.depth_net: nn.Module = CanonicalDepthNet(variant)
        elif variant.depth_net:
            self.depth_net = DepthNet(channels, self.num_depths, variant.lift_channels, stereo=variant.stereo)
        else:
            self.depth_net = nn.Conv2d(channels, self.num_depths + variant.lift_channels, 1)

    def forward(
        self,
        feature: Tensor,
        camera_params: Tensor | None = None,
        fine: Tensor | None = None,
        matched: Tensor | None = None,
        previous: StereoContext | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Feature (N, C_n, h, w) to depth (N, D, fH, fW), softmaxed over D, and context (N, C, fH, fW).

        ``fine`` is the backbone's stride-4 map, which fine lifts read, ``matched`` what stereo matches.
        """
        if isinstance(self.depth_net, CanonicalDepthNet):
            assert camera_params is not None
            assert fine is not None
            assert matched is not None
            return self.depth_net(feature, camera_params, fine, matched, previous)
        if isinstance(self.depth_net, DepthNet):
            out = self.depth_net(feature, camera_params, matched, previous)
        else:
            out = self.depth_net(feature)
        return out[:, : self.num_depths].softmax(dim=1), out[:, self.num_depths :]
