"""The height of the ground in every column of voxels, also where something stands on it or no ray came."""

from __future__ import annotations

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
    total = bins.sum(2)
    if not total.any():
        return np.full(bins.shape[:2], np.nan, np.float32), np.zeros(bins.shape[:2], bool)
    level = low_m + (np.arange(bins.shape[2]) + 0.5) * STEP_M
    running = np.cumsum(bins, 2, dtype=np.uint32)
    lowest = level[np.argmax(running >= np.maximum(1, _SHARE * total)[..., None], 2)]
    lowest = np.where(total > 0, lowest, np.nan)
    smooth = _fill(lowest)
    if not by_class:
        smooth = np.maximum(smooth, ndimage.median_filter(smooth, 9) - 0.3)  # echoes from below the ground
        smooth = ndimage.grey_opening(smooth, size=(round(_OPENING_M / cell_m),) * 2)
    around = level - smooth[..., None]
    near = np.where((around > _BAND_M[0]) & (around < _BAND_M[1]), bins, 0)
    if not by_class:  # of several layers the lowest that is dense
        first = np.argmax(near >= np.maximum(1, 0.25 * near.max(2))[..., None], 2)
        place = np.arange(bins.shape[2])
        near = np.where(np.abs(place - first[..., None] - 0.5) <= 1.5, near, 0)
    count = near.sum(2)
    known = count > 0
    mean = (near * level).sum(2) / np.maximum(count, 1)
    height = _fill(np.where(known, mean, np.nan))
    far = ndimage.distance_transform_edt(~known) * cell_m > _FILL_M
    height[far] = np.nan
    return height.astype(np.float32), known


def _fill(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """NaN replaced by the nearest number."""
    nearest = ndimage.distance_transform_edt(np.isnan(values), return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)], np.float64)
