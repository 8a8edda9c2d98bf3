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

"""The grid of points every camera sees: one per depth bin and feature cell, in network pixels and metres."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from flashocc_ros.variants import DepthBins, Variant

Float32 = npt.NDArray[np.float32]


@lru_cache(maxsize=32)
def frustum_axes(variant: Variant, stride: int | None = None) -> tuple[Float32, Float32, Float32]:
    """Columns u (fW,) and rows v (fH,) in network pixels, depths d (D,) in metres, float32.

    ``stride`` None is the stride of the lifted feature map. Cells span the picture corner to corner:
    u = linspace(0, W - 1, fW); the depth of a bin is its lower edge.
    """
    height, width = variant.input_size
    stride = stride or variant.stride
    columns = _linspace(width - 1, width // stride)
    rows = _linspace(height - 1, height // stride)
    depths = _depths(variant.depth)
    for axis in (columns, rows, depths):
        axis.setflags(write=False)
    return columns, rows, depths


def _linspace(stop: int, count: int) -> Float32:
    """``count`` float32 numbers from 0 to ``stop``, rounded as torch does: a float32 step, counted from both ends.

    numpy steps in float64 and differs in the last bit, which moves points that lie on a cell border.
    """
    index = np.arange(count, dtype=np.float64)
    step = np.float64(np.float32(stop) / np.float32(count - 1))
    return np.where(index < count // 2, step * index, stop - step * (count - 1 - index)).astype(np.float32)


def _depths(bins: DepthBins) -> Float32:
    """Bin depths in metres; exponents of log-spaced bins are rounded to float32 step by step, as in the reference."""
    if not bins.sid:
        return np.asarray(bins.values(), np.float32)
    span = np.log(np.float32((bins.stop_m - 1) / bins.start_m))
    share = np.arange(bins.count, dtype=np.float32) / np.float32(bins.count - 1)
    return np.exp((np.log(np.float32(bins.start_m)) + share * span).astype(np.float64)).astype(np.float32)
