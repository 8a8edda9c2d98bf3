"""What is run, the most important first. The second lane makes files for the first on idle CPU cores."""

from __future__ import annotations

from flashocc_ros.checks.gpu import kernels, machine
from flashocc_ros.checks.gpu.run import Part

CHECKS: tuple[Part, ...] = (
    Part("machine", "What is this?", machine.describe, 60),
    Part("pooling", "Does the pooling kernel give the sums of the CPU?", kernels.pooling, 120, interpreted=True),
    Part("tables", "Are lift tables and grids made on the device those of the CPU?", kernels.tables, 120),
    Part("pictures", "Do pictures come out of the device as out of the CPU?", kernels.pictures, 60, ("torch", "cv2")),
    Part("peaks", "What can plain kernels do here?", machine.peaks, 60),
)
