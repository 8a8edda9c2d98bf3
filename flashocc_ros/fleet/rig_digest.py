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
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DECIMALS = 6


def rig_digest(names: Sequence[str], intrinsics: npt.ArrayLike, base_from_camera: npt.ArrayLike) -> str:
    """16 hexadecimal digits of names, intrinsics (N, 3, 3) and mounting (N, 4, 4), rounded as rigs are compared."""
    text = "\0".join(names).encode()
    for array in (intrinsics, base_from_camera):
        text += (np.round(np.asarray(array, np.float64), DECIMALS) + 0.0).tobytes()
    return hashlib.sha256(text).hexdigest()[:16]
