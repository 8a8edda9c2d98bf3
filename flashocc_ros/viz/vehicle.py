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
