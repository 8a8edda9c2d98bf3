"""What is run, the most important first. The second lane makes files for the first on idle CPU cores."""

from __future__ import annotations

from flashocc_ros.checks.gpu import kernels, machine, networks, streams
from flashocc_ros.checks.gpu.run import Part

CHECKS: tuple[Part, ...] = (
    Part("machine", "What is this?", machine.describe, 60),
    Part("pooling", "Does the pooling kernel give the sums of the CPU?", kernels.pooling, 120, interpreted=True),
    Part("tables", "Are lift tables and grids made on the device those of the CPU?", kernels.tables, 120),
    Part("pictures", "Do pictures come out of the device as out of the CPU?", kernels.pictures, 60, ("torch", "cv2")),
    Part("goldens", "Do the networks on the device give the reference's outputs?", networks.goldens, 120),
    Part("networks", "Does every network give on the device what it gives on the CPU?", networks.against_cpu, 180),
    Part("streams", "Are streams with memory the same over 20 sets, graphs or not?", streams.with_memory, 150),
    Part("peaks", "What can plain kernels do here?", machine.peaks, 60),
)
