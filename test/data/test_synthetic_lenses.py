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

"""The synthetic world through lenses: the same world as through pinholes, depth as the model has it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from flashocc_ros.bags import read_sets
from flashocc_ros.camera_model import CameraModel
from flashocc_ros.data.synthetic import Drive, FrameCache, SyntheticDataset, load_rig, write_cache
from flashocc_ros.data.synthetic.bag import write_bag
from flashocc_ros.data.synthetic.rig import SyntheticRig, surround_rig
from flashocc_ros.data.synthetic.truth import camera_mask
from flashocc_ros.geometry.camera_models import pixels_of_points, rays_of_pixels
from flashocc_ros.training.config import SyntheticData
from flashocc_ros.training.synthetic_source import SyntheticSource
from flashocc_ros.variants import get_variant

SIZE = (100, 200)


def _drive(models: tuple[CameraModel, ...] | None = None) -> Drive:
    rig = surround_rig()
    if models is not None:
        rig = replace(rig, cameras=replace(rig.cameras, models=models))
    return Drive(5, 1.0, rig, SIZE, threads=1)


def test_a_polynomial_without_distortion_draws_what_a_pinhole_does() -> None:
    flat, bent = _drive(()).pictures(0.0), _drive((CameraModel("rational", (0.0,) * 8),) * 4).pictures(0.0)
    assert (np.stack(flat.images) == np.stack(bent.images)).mean() > 0.99
    assert np.isclose(flat.depth, bent.depth, rtol=1e-3).mean() > 0.999  # leaves are decided by the last bit
    assert (flat.labels_2d == bent.labels_2d).mean() > 0.999


def test_a_fisheye_sees_the_points_of_a_pinhole_at_their_range() -> None:
    straight, fish = _drive(()), _drive()
    flat, bent = straight.pictures(0.0), fish.pictures(0.0)
    k, model = fish.rig.cameras.intrinsics[0], fish.rig.cameras.models[0]
    pixels = np.stack(np.meshgrid(np.arange(40, 160), np.arange(20, 90)), -1)
    rays = rays_of_pixels(straight.rig.cameras.models[0], straight.rig.cameras.intrinsics[0], pixels.astype(float))
    z = flat.depth[0][pixels[..., 1], pixels[..., 0]]
    points = (rays * z[..., None])[z > 0]
    u, v = np.rint(pixels_of_points(model, k, points)).astype(int).T
    inside = (u >= 0) & (u < SIZE[1]) & (v >= 0) & (v < SIZE[0])
    ratio = bent.depth[0][v[inside], u[inside]] / np.linalg.norm(points[inside], axis=1)
    assert inside.mean() > 0.9
    assert np.median(np.abs(ratio - 1)) < 0.02  # of neighbouring pixels


def test_nothing_is_drawn_outside_the_image_circle() -> None:
    bent = _drive((CameraModel("equidistant", (-0.25, 0.0, 0.0, 0.0)),) * 4).pictures(0.0)
    assert not np.stack(bent.images)[:, :, :10].any()
    assert not bent.depth[:, :, :10].any()
    assert np.stack(bent.images)[:, :, 80:120].any()


def test_fisheyes_see_the_voxels_that_pinholes_see_and_more() -> None:
    drive = _drive()
    semantics = drive.truth(0.0).semantics
    cameras = drive.rig.cameras
    fish, flat = camera_mask(semantics, cameras, SIZE), camera_mask(semantics, replace(cameras, models=()), SIZE)
    assert (fish[flat > 0]).mean() > 0.95  # the corners of a pinhole reach further
    assert fish.sum() > 1.15 * flat.sum()


def test_the_mask_of_a_lens_without_distortion_is_that_of_a_pinhole() -> None:
    drive = _drive()
    semantics, cameras = drive.truth(0.0).semantics, drive.rig.cameras
    flat = camera_mask(semantics, replace(cameras, models=()), SIZE)
    bent = camera_mask(semantics, replace(cameras, models=(CameraModel("rational", (0.0,) * 5),) * 4), SIZE)
    assert (flat == bent).mean() > 0.9999


def test_a_recording_tells_the_lens_and_gives_either_rays_or_pinholes(tmp_path: Path) -> None:
    drive = _drive()
    write_bag(tmp_path / "drive", drive, rate_hz=1.0)
    (rays,) = read_sets(tmp_path / "drive", fisheye="rays")
    assert rays.rig.models == drive.rig.cameras.models
    np.testing.assert_allclose(rays.rig.intrinsics, drive.rig.cameras.intrinsics)
    (flat,) = read_sets(tmp_path / "drive")
    assert {model.kind for model in flat.rig.models} == {"pinhole"}


def test_a_rig_file_may_name_a_lens(tmp_path: Path) -> None:
    pose = {
        "translation_m": [0, 0, 1],
        "rotation_xyzw": Rotation.from_euler("yx", (90, -90), degrees=True).as_quat().tolist(),
    }
    camera = {"name": "front", "k": np.diag([300.0, 300.0, 1.0]).tolist(), **pose}
    lens = {"distortion_model": "equidistant", "d": [0.1, 0, 0, 0]}
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump({"image_size": [640, 480], "cameras": [{**camera, **lens}]}))
    assert load_rig(tmp_path / "rig.yaml").cameras.models == (CameraModel("equidistant", (0.1, 0, 0, 0)),)


def test_samples_of_a_cache_carry_its_lenses(tmp_path: Path) -> None:
    rig: SyntheticRig = surround_rig()
    write_cache(tmp_path / "cache", SyntheticDataset([1], frames_per_seed=1, rig=rig, source_size=(176, 352)))
    assert FrameCache(tmp_path / "cache").models == rig.cameras.models
    data = SyntheticData(kind="synthetic", cache=tmp_path / "cache")
    sample = SyntheticSource(data, get_variant("synthetic-tiny")).sample(0, None)
    assert sample.geometry.models == rig.cameras.models


@pytest.mark.parametrize("kind", ["equidistant", "rational"])
def test_each_lens_gives_its_depth(kind: str) -> None:
    drive = _drive((CameraModel(kind, (0.0,) * 4),) * 4)  # type: ignore[arg-type]
    depth = drive.pictures(0.0).depth[0]
    rays = rays_of_pixels(drive.rig.cameras.models[0], drive.rig.cameras.intrinsics[0], np.array([[100.0, 80.0]]))[0]
    point = drive.rig.cameras.base_from_camera[0] @ np.append(rays * depth[80, 100], 1.0)
    assert point[2] == pytest.approx(0, abs=0.3)  # the road ahead of the front camera
