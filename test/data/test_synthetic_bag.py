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

"""A drive as a recording: complete sets, exact poses, the truth, and the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.bags import BagReader, read_messages, read_sets
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import TRUTH_TOPIC, write_bag
from flashocc_ros.errors import BagError, ConfigError
from flashocc_ros.labels import FREE

SMALL = (99, 176)


def drive() -> Drive:
    return Drive(1003, 1.5, image_size=SMALL)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "drive"
    assert write_bag(path, drive(), rate_hz=4) == 6
    return path


def test_same_drive_gives_the_same_bytes(bag: Path, tmp_path: Path) -> None:
    write_bag(tmp_path / "drive", drive(), rate_hz=4)
    for name in ("drive.mcap", "metadata.yaml"):
        assert (bag / name).read_bytes() == (tmp_path / "drive" / name).read_bytes()


def test_every_set_is_complete_with_the_poses_of_the_drive(bag: Path) -> None:
    sets = list(read_sets(bag))
    assert len(sets) == 6
    source = drive()
    for number, found in enumerate(sets):
        pictures = source.pictures(number / 4, noise_seed=number)
        assert found.names == tuple(source.rig.cameras.names)
        assert tuple(found.stamps_ns) == pictures.stamps_ns
        np.testing.assert_allclose(found.odom_from_base, pictures.odom_from_base, atol=2e-3)
        np.testing.assert_allclose(found.rig.intrinsics, source.rig.cameras.intrinsics)
        np.testing.assert_allclose(found.rig.base_from_camera, source.rig.cameras.base_from_camera, atol=1e-9)
        difference = np.abs(np.stack(found.images).astype(int) - np.stack(pictures.images))
        assert difference.mean() < 6


def test_the_truth_is_in_the_recording_at_key_frames(bag: Path) -> None:
    messages = list(read_messages(bag, TRUTH_TOPIC))
    assert len(messages) == 3
    message = messages[1][-1]
    truth = drive().truth(0.5)
    labels = np.asarray(message.occupancy.labels).reshape(200, 200, 16)
    np.testing.assert_array_equal(labels, truth.semantics)
    np.testing.assert_array_equal(np.asarray(message.mask_camera).reshape(labels.shape), truth.mask_camera)
    np.testing.assert_array_equal(np.asarray(message.mask_lidar).reshape(labels.shape), truth.mask_lidar)
    instances = np.asarray(message.occupancy.instances).reshape(labels.shape)
    np.testing.assert_array_equal(instances >= 18, truth.instances > 0)
    assert (instances[labels == FREE] == FREE).all()
    stamp = message.occupancy.header.stamp
    assert stamp.sec * 10**9 + stamp.nanosec == drive().stamp_ns(0.5)


def test_odometry_twist_is_the_speed_of_the_vehicle(bag: Path) -> None:
    with BagReader(bag) as reader:
        assert reader.topics["/odom"].count >= 50
        poses = [m for _, _, m in read_messages(bag, "/odom")]
    a, b = poses[10].pose.pose.position, poses[11].pose.pose.position
    speed = np.linalg.norm([b.x - a.x, b.y - a.y, b.z - a.z]) / 0.02
    assert poses[10].twist.twist.linear.x == pytest.approx(speed, rel=0.02, abs=0.02)


@pytest.mark.parametrize("rate", [0.1, 31.0])
def test_a_rate_out_of_range_is_refused(tmp_path: Path, rate: float) -> None:
    with pytest.raises(ConfigError, match=f"{rate:g}"):
        write_bag(tmp_path / "drive", drive(), rate_hz=rate)
    assert not (tmp_path / "drive").exists()


def test_an_interrupted_drive_leaves_nothing_in_the_way_of_the_next(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bag(tmp_path / "drive", Drive(1001, 0.5, image_size=(90, 160)), 2.0, progress=interrupt)
    assert not (tmp_path / "drive").exists()


def test_a_folder_that_exists_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    with pytest.raises(BagError, match="exists already"):
        write_bag(tmp_path / "drive", Drive(1001, 0.5, image_size=(90, 160)), 2.0)
    assert (tmp_path / "drive").exists()
