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

"""What the loop hands to an objective, and its pictures as network input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flashocc_ros.geometry import LiftTable
from flashocc_ros.pipeline.preprocess import MEAN, STD
from flashocc_ros.training.sample import Sample


@dataclass(frozen=True, eq=False)
class Prepared:
    """A sample with its lift tables (none where it is not lifted), and the step and slot it was drawn for."""

    sample: Sample
    tables: list[LiftTable]
    step: int
    slot: int


def normalised(images: np.ndarray, device: torch.device) -> Tensor:
    """uint8 RGB (..., H, W, 3) to network input (..., 3, H, W) float32, blue first as the networks expect."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device).flip(-1).float()
    pixels = (pixels - torch.tensor(MEAN, device=device)) * (1.0 / torch.tensor(STD, device=device))
    return pixels.movedim(-1, -3)
