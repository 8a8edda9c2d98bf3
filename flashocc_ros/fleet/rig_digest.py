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

"""Which rig a recording is of, for reports by rig."""

from __future__ import annotations

import hashlib

import numpy as np

from flashocc_ros.structures import CameraRig

DECIMALS = 6


def rig_digest(rig: CameraRig) -> str:
    """16 hexadecimal digits of names, lenses, intrinsics and mounting, rounded as rigs are compared."""
    lenses = ((model.kind, *np.round(model.coefficients, DECIMALS).tolist()) for model in rig.models)
    text = "\0".join([*rig.names, *map(str, lenses)]).encode()
    for array in (rig.intrinsics, rig.base_from_camera):
        text += (np.round(np.asarray(array, np.float64), DECIMALS) + 0.0).tobytes()
    return hashlib.sha256(text).hexdigest()[:16]
