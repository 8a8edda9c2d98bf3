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
