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

"""What is run, the most important first."""

from __future__ import annotations

from flashocc_ros.checks.gpu import ahead, engines, kernels, machine, networks, speed, streams
from flashocc_ros.checks.gpu.run import Part

CHECKS: tuple[Part, ...] = (
    Part("machine", "What is this?", machine.describe, 60),
    Part("pooling", "Does the pooling kernel give the sums of the CPU?", kernels.pooling, 60, interpreted=True),
    Part("tables", "Are lift tables and grids made on the device those of the CPU?", kernels.tables, 60),
    Part("pictures", "Do pictures come out of the device as out of the CPU?", kernels.pictures, 40, ("torch", "cv2")),
    Part("goldens", "Do the networks on the device give the reference's outputs?", networks.goldens, 90),
    *streams.parts()[:2],
    *engines.parts()[:3],
    Part("peaks", "What can plain kernels do here?", machine.peaks, 30),
    *speed.torch_parts()[:2],
    *streams.parts()[2:],
    *speed.torch_parts()[2:],
    *speed.parts()[:1],
    *engines.parts()[3:5],
    *speed.parts()[1:5],
    engines.LIFE,
    engines.parts()[5],
    speed.parts()[5],
    Part("networks", "Does every network give on the device what it gives on the CPU?", networks.against_cpu, 150),
    *ahead.PARTS,
)
"""Engines are built where they are compared, and timed after that."""


def without_gpu() -> tuple[Part, ...]:
    """What needs none, the quickest to show first, then a line for each of the others."""
    first = (CHECKS[0], *ahead.PARTS)
    rest = [part for part in CHECKS if part not in first]
    return (*first, *sorted(rest, key=lambda part: part.gpu))
