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

"""The height of the ground in every column of voxels, also where something stands on it or no ray came."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
from scipy import ndimage

Float32 = npt.NDArray[np.float32]

LOW_M, HIGH_M, STEP_M = -1.6, 2.0, 0.05
"""Heights that are looked at, relative to what `around` says, and how finely."""
_OPENING_M = 3.6
"""What is narrower stands on the ground: no bus is as wide."""
_BAND_M = (-0.15, 0.2)
"""Of hits of one column around the smooth ground; kerbs lie in it."""
_SHARE = 0.02
_FILL_M = 1.3


def bins_for(size: tuple[int, int, int]) -> npt.NDArray[np.uint16]:
    """Empty histograms (X, Y, B) for `kernels.ground_heights`."""
    return np.zeros((size[0], size[1], round((HIGH_M - LOW_M) / STEP_M)), np.uint16)


def heights(
    bins: npt.NDArray[np.uint16], low_m: float, cell_m: float, by_class: bool
) -> tuple[Float32, npt.NDArray[np.bool_]]:
    """Height of the ground (X, Y) in metres, NaN where it is unknown, and where hits of this very column tell it.

    Args:
        bins: (X, Y, B) hits per column and height.
        low_m: height of the first bin.
        by_class: all hits are known to be of the ground.
    """
    lowest = _lowest(bins, low_m)
    if np.isnan(lowest).all():
        return lowest, np.zeros(lowest.shape, bool)
    smooth = _fill(lowest)
    if not by_class:
        smooth = np.maximum(smooth, ndimage.median_filter(smooth, 9) - 0.3)  # echoes from below the ground
        smooth = ndimage.grey_opening(smooth, size=(round(_OPENING_M / cell_m),) * 2)
    mean = _mean_near(bins, low_m, smooth, not by_class)
    known = ~np.isnan(mean)
    if not known.any():
        return mean, known
    height = _fill(mean)
    far = ndimage.distance_transform_edt(~known) * cell_m > _FILL_M
    height[far] = np.nan
    return height.astype(np.float32), known


@numba.njit(cache=True, nogil=True)
def _lowest(bins, low_m):  # type: ignore[no-untyped-def]
    """(X, Y) height that few hits lie below, NaN without hits."""
    out = np.full(bins.shape[:2], np.nan, np.float32)
    for ix in range(bins.shape[0]):
        for iy in range(bins.shape[1]):
            total, below = 0, 0
            for k in range(bins.shape[2]):
                total += bins[ix, iy, k]
            if total == 0:
                continue
            for k in range(bins.shape[2]):
                below += bins[ix, iy, k]
                if below >= max(1.0, _SHARE * total):
                    out[ix, iy] = low_m + (k + 0.5) * STEP_M
                    break
    return out


@numba.njit(cache=True, nogil=True)
def _mean_near(bins, low_m, smooth, lowest_layer):  # type: ignore[no-untyped-def]
    """(X, Y) mean of the hits near ``smooth``, of several layers of the lowest that is dense; NaN without."""
    out = np.full(bins.shape[:2], np.nan, np.float32)
    for ix in range(bins.shape[0]):
        for iy in range(bins.shape[1]):
            first = max(int(np.ceil((smooth[ix, iy] + _BAND_M[0] - low_m) / STEP_M - 0.5)), 0)
            last = min(int(np.floor((smooth[ix, iy] + _BAND_M[1] - low_m) / STEP_M - 0.5)), bins.shape[2] - 1)
            if lowest_layer:
                most = 0
                for k in range(first, last + 1):
                    most = max(most, bins[ix, iy, k])
                for k in range(first, last + 1):
                    if most and bins[ix, iy, k] >= max(1.0, 0.25 * most):
                        first, last = max(k - 1, first), min(k + 2, last)
                        break
            count, total = 0, 0.0
            for k in range(first, last + 1):
                count += bins[ix, iy, k]
                total += bins[ix, iy, k] * (low_m + (k + 0.5) * STEP_M)
            if count:
                out[ix, iy] = total / count
    return out


def _fill(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """NaN replaced by the nearest number."""
    nearest = ndimage.distance_transform_edt(np.isnan(values), return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)], np.float64)
