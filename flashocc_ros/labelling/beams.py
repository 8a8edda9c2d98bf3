"""Where the rays of an organised cloud went that gave no return: free space is seen along them too."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_TOLERANCE_RAD = np.deg2rad(0.6)
_LEAST = 0.2
"""Share of the rays that must return for the directions to be known."""


def complete_directions(points: Float32, shape: tuple[int, int]) -> Float32 | None:
    """Unit directions (M, 3) of all rays, frame of the lidar; None where the grid is none of rows and columns of beams.

    Every row has one elevation and one offset in azimuth, every column one azimuth, or the other way round; the rays
    that returned tell them.

    Args:
        points: (M, 3) metres, NaN without return; M = H W.
        shape: (H, W).
    """
    grid = points.reshape(*shape, 3).astype(np.float64)
    length = np.linalg.norm(grid, axis=2)
    known = np.isfinite(length)
    if known.mean() < _LEAST:
        return None
    elevation = np.arcsin(np.clip(np.divide(grid[..., 2], length, where=known, out=np.zeros(shape)), -1, 1))
    azimuth = np.arctan2(grid[..., 1], grid[..., 0])
    if _spread(elevation, known, 1) > _spread(elevation, known, 0):  # columns are the beams
        found = _model(elevation.T, azimuth.T, known.T)
        found = None if found is None else (found[0].T, found[1].T)
    else:
        found = _model(elevation, azimuth, known)
    if found is None:
        return None
    up, around = found
    directions = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1)
    directions[known] = grid[known] / length[known][:, None]
    return directions.reshape(-1, 3).astype(np.float32)


def _spread(elevation: Float64, known: npt.NDArray[np.bool_], axis: int) -> float:
    """Mean spread of the elevations along an axis."""
    count = np.maximum(known.sum(axis), 1)
    mean = np.where(known, elevation, 0).sum(axis) / count
    square = np.where(known, elevation**2, 0).sum(axis) / count
    return float(np.mean(np.sqrt(np.maximum(square - mean**2, 0))[known.any(axis)]))


def _model(elevation: Float64, azimuth: Float64, known: npt.NDArray[np.bool_]) -> tuple[Float64, Float64] | None:
    """Elevation and azimuth (H, W) of all rays of H beams, or None where they do not follow rows and columns."""
    beams, columns = np.arange(len(elevation)), np.arange(elevation.shape[1])
    count = known.sum(1)
    up = np.where(known, elevation, 0).sum(1) / np.maximum(count, 1)
    up = np.interp(beams, beams[count > 0], up[count > 0])
    turns = np.where(known, np.exp(1j * azimuth), 0)
    middle = turns.sum(0)
    seen = np.abs(middle) > 0.5
    if not seen.any():
        return None
    around = np.zeros(len(columns))
    around[seen] = np.unwrap(np.angle(middle[seen]))
    around = np.interp(columns, columns[seen], around[seen])
    offset = np.angle((turns * np.exp(-1j * around)).sum(1) + 1e-12)
    model = around + offset[:, None]
    wrong = np.where(known, np.abs(np.angle(np.exp(1j * (azimuth - model)))) + np.abs(elevation - up[:, None]), 0)
    if wrong.sum() / known.sum() > _TOLERANCE_RAD:
        return None
    return np.broadcast_to(up[:, None], elevation.shape).copy(), model
