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

"""Features to pool, for the engine tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flashocc_ros.geometry.lift import LiftTable


def random_features(
    table: LiftTable, channels: int, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A depth distribution (N, D, fH, fW) that sums to one over D, and a context (N, C, fH, fW)."""
    rng = np.random.default_rng(seed)
    logits = np.exp(rng.standard_normal(table.frustum_shape).astype(np.float32))
    cameras, _, height, width = table.frustum_shape
    context = rng.standard_normal((cameras, channels, height, width)).astype(np.float32)
    return logits / logits.sum(1, keepdims=True), context
