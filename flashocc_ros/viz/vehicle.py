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

"""The vehicle as it is drawn."""

from __future__ import annotations

import numpy as np

EGO_BOXES_M = np.array(
    [
        (-0.9, -0.92, 0.35, 3.75, 0.92, 0.85),
        (-0.55, -0.80, 0.85, 2.35, 0.80, 1.30),
        (-0.25, -0.70, 1.30, 1.85, 0.70, 1.62),
    ],
    np.float32,
)
"""A car around the base frame's origin (rear axle): body, windows, roof."""
