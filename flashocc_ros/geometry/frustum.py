"""The grid of points every camera sees: one per depth bin and feature cell, in network pixels and metres."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from flashocc_ros.model.variants import Variant

Float32 = npt.NDArray[np.float32]


@lru_cache(maxsize=32)
def frustum_axes(variant: Variant, stride: int | None = None) -> tuple[Float32, Float32, Float32]:
    """Columns u (fW,) and rows v (fH,) in network pixels, depths d (D,) in metres, float32.

    ``stride`` None is the stride of the lifted feature map. Cells span the picture corner to corner:
    u = linspace(0, W - 1, fW); the depth of a bin is its lower edge.
    """
    height, width = variant.input_size
    stride = stride or variant.stride
    columns = np.linspace(0, width - 1, width // stride, dtype=np.float32)
    rows = np.linspace(0, height - 1, height // stride, dtype=np.float32)
    depths = np.asarray(variant.depth.values(), np.float32)
    for axis in (columns, rows, depths):
        axis.setflags(write=False)
    return columns, rows, depths
