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

"""From pixels and poses to voxels: pure numpy functions, float64 poses in, float32 or int32 tables out."""

from __future__ import annotations

from flashocc_ros.geometry.camera_params import camera_params
from flashocc_ros.geometry.ego_motion import bev_warp_grid
from flashocc_ros.geometry.frames import Geometry
from flashocc_ros.geometry.lift import LiftTable, lift_table
from flashocc_ros.geometry.stereo import stereo_grid

__all__ = ["Geometry", "LiftTable", "bev_warp_grid", "camera_params", "lift_table", "stereo_grid"]
