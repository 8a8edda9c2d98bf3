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

"""The device's picture transform against the CPU's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flashocc_ros.engine.tensorrt.device_preprocess import DevicePreprocessor
from flashocc_ros.pipeline.preprocess import STD, image_transform, network_input
from flashocc_ros.variants import get_variant


@pytest.mark.parametrize("source_hw", [(900, 1600), (1080, 1920), (300, 1600), (396, 704)])
def test_equal_to_the_cpu_within_one_grey_level(source_hw: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*source_hw, 3), dtype=np.uint8)
    transforms = [image_transform(source_hw, get_variant("flashocc-r50-M0"))]
    expected = network_input([image], transforms)
    result = DevicePreprocessor(torch.device("cpu"))([image], transforms).numpy()
    levels = np.abs(result - expected) * STD[:, None, None]
    assert result.shape == expected.shape
    assert levels.max() < 1.01
    assert (levels > 0.5).mean() < 0.01
