"""Fixtures of the engine tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.engine.calibration import nominal_rig, standing_table
from flashocc_ros.geometry.lift import LiftTable
from flashocc_ros.model.variants import get_variant
from flashocc_ros.structures import CameraRig


@pytest.fixture(scope="session")
def rig() -> CameraRig:
    return nominal_rig(6)


@pytest.fixture(scope="session")
def table_m0(rig: CameraRig) -> LiftTable:
    """44 depth bins, one height slice: the table of flashocc-r50-M0."""
    return standing_table(get_variant("flashocc-r50-M0"), rig)


@pytest.fixture(scope="session")
def frame_folder(tmp_path_factory: pytest.TempPathFactory, rig: CameraRig) -> Path:
    """A folder with one picture per camera and its calibration."""
    import yaml
    from PIL import Image
    from scipy.spatial.transform import Rotation

    folder = tmp_path_factory.mktemp("frame")
    rng = np.random.default_rng(0)
    cameras = {}
    for name, intrinsic, pose in zip(rig.names, rig.intrinsics, rig.base_from_camera, strict=True):
        small = rng.integers(0, 256, (9, 16, 3), np.uint8)
        Image.fromarray(small).resize((1600, 900)).save(folder / f"{name}.jpg")
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
