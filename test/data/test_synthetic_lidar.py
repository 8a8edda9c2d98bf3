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

"""The lidar of the synthetic world: where its points are, what it loses, and what a recording holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.bags import read_messages
from flashocc_ros.checks.label_truth import true_labels
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import BOXES_TOPIC, LIDAR_TOPIC, write_bag
from flashocc_ros.data.synthetic.lidar import NOISE_M, Sweep, base_from_lidar, make_lidar, scan
from flashocc_ros.labelling.clouds import read_cloud
from flashocc_ros.labels import FREE

SEED = 1003


@pytest.fixture(scope="module")
def drive() -> Drive:
    return Drive(SEED, 1.0, image_size=(99, 176), threads=1)


@pytest.fixture(scope="module")
def sweep(drive: Drive) -> Sweep:
    return scan(drive.world, make_lidar(), 4)


def test_each_point_lies_in_a_voxel_of_its_class_when_moved_by_its_own_time(drive: Drive, sweep: Sweep) -> None:
    lidar = make_lidar()
    middle = sweep.start_s + 0.025
    truth, _ = true_labels(drive, middle, "touch")
    base_from_world = np.linalg.inv(drive.world.ego_pose(middle))
    placed = np.full(sweep.points.shape, np.nan)
    for column, t in enumerate(lidar.times_s):
        pose = base_from_world @ drive.world.ego_pose(sweep.start_s + t) @ base_from_lidar()
        placed[:, column] = sweep.points[:, column] @ pose[:3, :3].T + pose[:3, 3]
    index = np.floor((placed + np.array([40, 40, 1])) / 0.4)
    inside = (np.isfinite(index) & (index >= 0) & (index < (200, 200, 16))).all(-1)
    found = truth[tuple(index[inside].astype(int).T)]
    assert (found != FREE).mean() > 0.9
    assert (found == sweep.labels[inside]).mean() > 0.85


def test_sweeps_are_the_same_every_time_and_noisy(drive: Drive, sweep: Sweep) -> None:
    again = scan(Drive(SEED, 1.0, image_size=(99, 176)).world, make_lidar(), 4)
    np.testing.assert_array_equal(again.points, sweep.points)
    road = np.linalg.norm(sweep.points[2], axis=-1)  # a low beam, on the road nearly everywhere
    second = np.diff(road, 2)
    assert 0.5 * NOISE_M < np.nanmedian(np.abs(second)) / np.sqrt(6) / 0.6745 < 2 * NOISE_M


def test_some_rays_are_lost_and_those_to_the_sky_give_nothing(sweep: Sweep) -> None:
    lost = np.isnan(sweep.points[..., 0])
    assert 0.02 < lost.mean() < 0.3
    assert lost[-1].mean() > lost[0].mean()
    assert (sweep.labels[lost] == FREE).all()


@pytest.mark.parametrize(("kind", "shape"), [("16", (16, 1080)), ("128", (128, 1080)), ("forward", (96, 400))])
def test_other_lidars(drive: Drive, kind: str, shape: tuple[int, int]) -> None:
    found = scan(drive.world, make_lidar(kind), 0)
    assert found.labels.shape == shape
    if kind == "forward":
        assert np.nanmin(found.points[..., 0]) > 0


def test_a_recording_holds_sweeps_with_time_ring_and_class_and_boxes_with_ids(drive: Drive, tmp_path: Path) -> None:
    write_bag(tmp_path / "drive", drive, 1.0, lidar=make_lidar("16"))
    clouds = [message for *_, message in read_messages(tmp_path / "drive", LIDAR_TOPIC)]
    assert len(clouds) == 20
    assert {field.name for field in clouds[0].fields} == {"x", "y", "z", "intensity", "time", "ring", "label"}
    stamp = clouds[3].header.stamp
    cloud = read_cloud(clouds[3], stamp.sec * 10**9 + stamp.nanosec, "label")
    assert cloud.shape == (16, 1080)
    assert cloud.times_s is not None
    assert cloud.times_s.max() == pytest.approx(0.05, abs=1e-3)
    boxes = [message for *_, message in read_messages(tmp_path / "drive", BOXES_TOPIC)]
    assert len(boxes) == 20
    true = drive.world.boxes(0.0, np.linalg.inv(drive.world.ego_pose(0.0)))
    assert [found.id for found in boxes[0].detections] == [str(i) for i in true.instance]
