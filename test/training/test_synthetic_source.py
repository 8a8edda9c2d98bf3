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

"""Training samples from caches on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.data.synthetic import SyntheticDataset, write_cache
from flashocc_ros.errors import InputError
from flashocc_ros.geometry import Geometry
from flashocc_ros.labels import OCC3D
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid
from flashocc_ros.training.config import SyntheticData
from flashocc_ros.training.sample import Sample
from flashocc_ros.training.synthetic_source import SyntheticSource
from flashocc_ros.variants import get_variant

STEREO = get_variant("synthetic-tiny-4d")
OWN = get_variant(Path(__file__).resolve().parents[2] / "config" / "variant.yaml")


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two places of the same drive, one frame and two frames."""
    folders = [tmp_path_factory.mktemp(name) for name in ("here", "there")]
    write_cache(folders[0], SyntheticDataset([5], frames_per_seed=1))
    write_cache(folders[1], SyntheticDataset([5], frames_per_seed=2, first_frame=6))
    return folders


@pytest.fixture(scope="module")
def source(caches: list[Path]) -> Callable[..., SyntheticSource]:
    def build(**options: bool | int | list[Path]) -> SyntheticSource:
        values = {"kind": "synthetic", "cache": caches, "flip": False, **options}
        return SyntheticSource(SyntheticData.model_validate(values), STEREO)

    return build


def test_caches_are_numbered_one_after_the_other(source: Callable[..., SyntheticSource], caches: list[Path]) -> None:
    both = source()
    assert len(both) == 3
    alone = [source(cache=[folder]) for folder in caches]
    rng = np.random.default_rng(0)
    for index, (part, number) in enumerate([(0, 0), (1, 0), (1, 1)]):
        expected = alone[part].sample(number, rng)
        np.testing.assert_array_equal(both.sample(index, rng).images, expected.images)
    assert not np.array_equal(both.sample(0, rng).semantics, both.sample(1, rng).semantics)


def test_a_past_does_not_reach_into_another_cache(source: Callable[..., SyntheticSource]) -> None:
    rng = np.random.default_rng(0)
    first, second = source().sample(1, rng), source().sample(2, rng)
    np.testing.assert_array_equal(first.images[1], first.images[0])
    np.testing.assert_array_equal(second.images[1], first.images[0])


def test_more_frames_than_there_are_is_refused(source: Callable[..., SyntheticSource]) -> None:
    with pytest.raises(InputError, match=r"3 frames are there, data\.frames asks for 4"):
        source(frames=4)


def test_a_cache_of_another_rig_is_refused(
    source: Callable[..., SyntheticSource], caches: list[Path], tmp_path: Path
) -> None:
    text = (caches[0] / "meta.json").read_text()
    for file in caches[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "meta.json").write_text(text.replace('"scale": 0.5', '"scale": 0.25'))
    with pytest.raises(InputError, match="another scale"):
        source(cache=[caches[0], tmp_path])


def _share_of_surfaces_on_voxels(sample: Sample) -> float:
    """Share of the pixels above the ground whose point lies in or beside an occupied voxel."""
    assert sample.depth_m is not None
    assert sample.labels_2d is not None
    geometry: Geometry = sample.geometry
    occupied = np.pad(sample.semantics != 17, 1)
    hits = []
    for camera in range(6):
        depth, label = sample.depth_m[camera], sample.labels_2d[camera]
        v, u = np.nonzero((depth > 3) & (depth < 25) & ((label < 11) | (label > 14)) & (label != 17))
        pixels = np.stack([u, v, np.ones(len(u))]).astype(float)
        linear, shift = geometry.post_rot[0, camera], geometry.post_tran[0, camera]
        source_pixels = np.linalg.solve(linear, pixels - shift[:, None])
        rays = np.linalg.solve(geometry.intrinsics[0, camera], source_pixels)
        points = np.vstack([rays * depth[v, u], np.ones(len(u))])
        pose = geometry.camera_to_key(0)[camera]
        points = geometry.bda @ (pose @ points)[:3]
        cell = np.floor((points.T - np.array(OCC3D_GRID.origin_m)) / OCC3D_GRID.resolution_m).astype(int)
        cell = cell[((cell >= 0) & (cell < OCC3D_GRID.size)).all(1)] + 1
        near = np.zeros(len(cell), bool)
        for x in (-1, 0, 1):
            for y in (-1, 0, 1):
                near |= occupied[cell[:, 0] + x, cell[:, 1] + y, cell[:, 2]]
        hits.append(near)
    return float(np.concatenate(hits).mean())


def test_enlarged_pictures_still_show_things_where_they_stand(source: Callable[..., SyntheticSource]) -> None:
    plain = _share_of_surfaces_on_voxels(source().sample(2, np.random.default_rng(0)))
    changed = source(augment=True).sample(2, np.random.default_rng(0))
    assert len(np.unique(changed.geometry.post_rot[0, :, 0, 0])) > 1
    assert plain > 0.95
    assert _share_of_surfaces_on_voxels(changed) > plain - 0.02


def test_all_frames_of_a_camera_change_alike(source: Callable[..., SyntheticSource]) -> None:
    geometry = source(augment=True).sample(2, np.random.default_rng(0)).geometry
    np.testing.assert_array_equal(geometry.post_rot[0], geometry.post_rot[2])
    np.testing.assert_array_equal(geometry.post_tran[0], geometry.post_tran[1])


def test_without_a_generator_nothing_is_changed(source: Callable[..., SyntheticSource]) -> None:
    plain = source(augment=True, flip=True).sample(2, None)
    np.testing.assert_array_equal(plain.images, source().sample(2, np.random.default_rng(0)).images)
    np.testing.assert_array_equal(plain.geometry.bda, np.eye(3))


def test_labels_become_classes_of_ones_own(caches: list[Path]) -> None:
    data = SyntheticData.model_validate({"kind": "synthetic", "cache": caches, "flip": False})
    theirs = SyntheticSource(data, STEREO).sample(0, None)
    table = replace(OWN.classes, classes=tuple(replace(c, sources=() if c.name == "plants" else c.sources)
                                               for c in OWN.classes.classes))  # fmt: skip
    ours = SyntheticSource(data, replace(STEREO, name="own", classes=table)).sample(0, None)
    for name, own in (("driveable_surface", table.index("road")), ("free", table.free), ("vegetation", 255)):
        where = theirs.semantics == OCC3D.index(name)
        assert where.any()
        assert (ours.semantics[where] == own).all()
        assert ours.labels_2d is not None
        assert theirs.labels_2d is not None
        assert (ours.labels_2d[theirs.labels_2d == OCC3D.index(name)] == own).all()
    kinds = [OCC3D.detection_names[channel] for channel in theirs.box_labels]
    own_of = {name: c.name for c in table.classes for name in c.sources}
    expected = [own_of[kind] for kind in kinds if own_of[kind] in table.detection_names]
    assert [table.detection_names[channel] for channel in ours.box_labels] == expected
    assert len(ours.boxes) == len(expected) > 0


def test_labels_of_another_grid_are_refused(caches: list[Path]) -> None:
    data = SyntheticData.model_validate({"kind": "synthetic", "cache": caches})
    with pytest.raises(InputError, match=r"holds labels of 200 x 200 x 16.*yard predicts 120 x 80 x 8"):
        SyntheticSource(data, OWN)


def test_a_cache_is_drawn_on_a_grid_of_ones_own_and_mirrored_where_that_is_possible(tmp_path: Path) -> None:
    grid = VoxelGrid(0.8, (-8.0, -9.6, -1.0), (40, 24, 5))  # as far left as right, but not as far back as ahead
    write_cache(tmp_path / "own", SyntheticDataset([5], frames_per_seed=1, grid=grid))
    data = SyntheticData.model_validate({"kind": "synthetic", "cache": tmp_path / "own"})
    source = SyntheticSource(data, replace(OWN, grid=grid))
    plain = source.sample(0, None)
    assert plain.semantics.shape == grid.size
    rng = np.random.default_rng(0)
    mirrored = {tuple(np.diag(source.sample(0, rng).geometry.bda)) for _ in range(8)}
    assert mirrored == {(1.0, 1.0, 1.0), (1.0, -1.0, 1.0)}
