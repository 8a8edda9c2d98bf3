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

"""Training losses, one idea per file; formulas of the FlashOcc, Panoptic-FlashOcc and BEVDet training code."""

from flashocc_ros.training.losses.centers import CenterTargets, center_losses, center_targets
from flashocc_ros.training.losses.cross_entropy import IGNORE, masked_cross_entropy
from flashocc_ros.training.losses.depth import depth_bce, depth_target_bins
from flashocc_ros.training.losses.focal import class_frequency_weights, focal_occupancy, radius_weights
from flashocc_ros.training.losses.lovasz import lovasz_softmax
from flashocc_ros.training.losses.scaling import geometric_scaling, semantic_scaling

__all__ = [
    "IGNORE",
    "CenterTargets",
    "center_losses",
    "center_targets",
    "class_frequency_weights",
    "depth_bce",
    "depth_target_bins",
    "focal_occupancy",
    "geometric_scaling",
    "lovasz_softmax",
    "masked_cross_entropy",
    "radius_weights",
    "semantic_scaling",
]
