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

"""A seeded synthetic world with exact ground truth, made to train and to demonstrate without any download."""

from __future__ import annotations

from flashocc_ros.data.synthetic.cache import FrameCache, write_cache
from flashocc_ros.data.synthetic.dataset import NetworkFrame, SyntheticDataset
from flashocc_ros.data.synthetic.drive import Drive, KeyFrame, Pictures, Truth
from flashocc_ros.data.synthetic.rig import SyntheticRig, load_rig, nuscenes_like_rig
from flashocc_ros.data.synthetic.world import Boxes, World

__all__ = [
    "Boxes",
    "Drive",
    "FrameCache",
    "KeyFrame",
    "NetworkFrame",
    "Pictures",
    "SyntheticDataset",
    "SyntheticRig",
    "Truth",
    "World",
    "load_rig",
    "nuscenes_like_rig",
    "write_cache",
]
