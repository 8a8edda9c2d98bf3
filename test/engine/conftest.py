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

"""Fixtures of the engine tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from flashocc_ros.cameras.nominal_rig import nominal_rig
from flashocc_ros.engine.export.calibration import standing_table
from flashocc_ros.geometry.lift import LiftTable
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import get_variant


@pytest.fixture(scope="session")
def rig() -> CameraRig:
    return nominal_rig(6)


@pytest.fixture(scope="session")
def table_m0(rig: CameraRig) -> LiftTable:
    """44 depth bins, one height slice: the table of flashocc-r50-M0."""
    return standing_table(get_variant("flashocc-r50-M0"), rig)


def write_frame(folder: Path, images: Sequence[npt.NDArray[np.uint8]], rig: CameraRig) -> Path:
    """One picture per camera and the calibration, as ``data.folder`` reads them."""
    import yaml
    from PIL import Image
    from scipy.spatial.transform import Rotation

    cameras = {}
    for name, image, intrinsic, pose in zip(rig.names, images, rig.intrinsics, rig.base_from_camera, strict=True):
        Image.fromarray(image).save(folder / f"{name}.jpg", quality=95)
        cameras[name] = {
            "image": f"{name}.jpg",
            "K": intrinsic.tolist(),
            "T_base_cam": {
                "translation_xyz": pose[:3, 3].tolist(),
                "rotation_xyzw": Rotation.from_matrix(pose[:3, :3]).as_quat().tolist(),
            },
        }
    (folder / "calibration.yaml").write_text(yaml.safe_dump({"cameras": cameras}, sort_keys=False))
    return folder


@pytest.fixture(scope="session")
def frame_folder(tmp_path_factory: pytest.TempPathFactory, rig: CameraRig) -> Path:
    """A folder with one picture of smooth noise per camera and its calibration."""
    from PIL import Image

    rng = np.random.default_rng(0)
    small = [rng.integers(0, 256, (9, 16, 3), np.uint8) for _ in rig.names]
    images = [np.asarray(Image.fromarray(image).resize((1600, 900))) for image in small]
    return write_frame(tmp_path_factory.mktemp("frame"), images, rig)


@pytest.fixture(scope="session")
def world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with pictures of the synthetic world, which the shipped weights were trained on."""
    from flashocc_ros.data.synthetic import Drive

    key = next(iter(Drive(1000, 0.6)))
    return write_frame(tmp_path_factory.mktemp("world"), key.images, key.rig)
