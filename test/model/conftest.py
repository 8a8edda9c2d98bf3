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

"""The real key frame the golden files were made with, and the weights they were made with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from flashocc_ros.model import build_model
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.pipeline.preprocess import image_transform, network_input
from flashocc_ros.variants import Variant, get_variant

CAMERAS = ("FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_LEFT", "BACK", "BACK_RIGHT")


@pytest.fixture(scope="session")
def golden_pictures(shared_dir: Path) -> Callable[[Variant], npt.NDArray[np.float32]]:
    """Network input (6, 3, H, W) of the real frame for a variant."""
    folder = shared_dir / "data/nuscenes_frame_scene0003"
    images = [np.asarray(Image.open(folder / f"CAM_{camera}.jpg").convert("RGB")) for camera in CAMERAS]

    def prepare(variant: Variant) -> npt.NDArray[np.float32]:
        return network_input(images, [image_transform(image.shape[:2], variant) for image in images])

    return prepare


@pytest.fixture(scope="session")
def named_model(spec_module: Callable[[str], ModuleType]) -> Callable[[str], FlashOcc]:
    """A network filled with weights derived from its key names."""

    def build(name: str) -> FlashOcc:
        model = build_model(get_variant(name))
        model.load_state_dict(spec_module("named_weights").fill_state_dict(model.state_dict()))
        return model

    return build
