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

"""The procedural world: determinism, plausible motion, and plenty of every class."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from flashocc_ros.data.synthetic import Drive, KeyFrame, World
from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import CLASS_NAMES, FREE

SMALL = (99, 176)


@lru_cache(maxsize=16)
def key_frame(seed: int) -> KeyFrame:
    return Drive(seed, 1.5, image_size=SMALL, threads=1).key_frame(2)


def assert_same(a: KeyFrame, b: KeyFrame) -> None:
    for name in ("semantics", "instances", "mask_camera", "mask_lidar", "depth", "labels_2d", "odom_from_base"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    np.testing.assert_array_equal(np.stack(a.images), np.stack(b.images))
    assert a.stamps_ns == b.stamps_ns


def test_same_seed_gives_the_same_bytes_whatever_the_number_of_threads() -> None:
    assert_same(key_frame(3), Drive(3, 1.5, image_size=SMALL, threads=2).key_frame(2))


def test_frames_do_not_depend_on_the_order_in_which_they_are_drawn() -> None:
    drive = Drive(3, 1.5, image_size=SMALL, threads=1)
    frames = list(drive)
    assert [f.index for f in frames] == [0, 1, 2]
    assert_same(frames[2], key_frame(3))


def test_other_seeds_give_other_worlds() -> None:
    assert (key_frame(3).semantics != key_frame(4).semantics).mean() > 0.01


def test_vehicle_follows_its_heading_at_a_street_speed() -> None:
    world = World(8, 10.0)
    poses = np.stack([world.ego_pose(t) for t in np.arange(0, 10, 0.1)])
    steps = np.diff(poses[:, :3, 3], axis=0) / 0.1
    speed = np.linalg.norm(steps, axis=1)
    assert 0 <= speed.min() < speed.max() < 16
    moving = speed > 0.5
    heading = poses[:-1, :3, 0][moving]
    cosine = (steps[moving] * heading).sum(1) / speed[moving]
    assert cosine.min() > np.cos(np.deg2rad(4))
    assert np.abs(np.diff(speed)).max() / 0.1 < 8


def test_poses_are_rigid_and_each_camera_has_the_one_of_its_own_shutter() -> None:
    s = key_frame(3)
    rotation = s.odom_from_base[:, :3, :3]
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (6, 1, 1)), atol=1e-9)
    world = World(3, 1.5)
    for pose, stamp in zip(s.odom_from_base, s.stamps_ns, strict=True):
        np.testing.assert_allclose(pose, world.ego_pose(1.0 + (stamp - s.stamps_ns[0]) * 1e-9), atol=1e-6)
    assert s.stamp_ns == s.stamps_ns[0] == min(s.stamps_ns)
    assert 0.02 < (max(s.stamps_ns) - s.stamp_ns) * 1e-9 < 0.08


@pytest.mark.parametrize("seed", [3, 4, 5, 6])
def test_nothing_stands_where_the_vehicle_is(seed: int) -> None:
    drive = Drive(seed, 4.0, image_size=SMALL)
    for t in (0.0, 2.0, 3.9):
        inside = drive.truth(t).semantics[98:109, 98:102, 4:7]  # x -0.8..3.6, y -0.8..0.8, z 0.6..1.8
        assert (inside == FREE).all()


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_moving_vehicles_of_a_street_never_overlap(seed: int) -> None:
    world = World(seed, 8.0)
    names = ("car", "truck", "bus")
    for t in (0.0, 4.0, 8.0):
        boxes = world.boxes(t, np.linalg.inv(world.ego_pose(t)), 80.0)
        vehicle = np.isin(boxes.label, [CLASS_NAMES.index(n) for n in names])
        moving = vehicle & (np.hypot(*boxes.velocity.T) > 1.0)
        center, size = boxes.center[moving], boxes.size[moving]
        heading = np.stack([np.cos(boxes.yaw[moving]), np.sin(boxes.yaw[moving])], 1)
        offset = center[:, None, :2] - center[None, :, :2]
        along = np.abs((offset * heading[:, None]).sum(-1))
        across = np.abs(offset[..., 1] * heading[:, None, 0] - offset[..., 0] * heading[:, None, 1])
        clash = (along < 0.45 * (size[:, None, 0] + size[None, :, 0])) & (
            across < 0.45 * (size[:, None, 1] + size[None, :, 1])
        )
        np.fill_diagonal(clash, False)
        assert not clash.any()


def test_velocity_of_a_box_is_how_it_moves() -> None:
    world = World(4, 3.0)
    base_from_world = np.linalg.inv(world.ego_pose(1.0))
    now, later = world.boxes(1.0, base_from_world), world.boxes(1.2, base_from_world)
    common = np.intersect1d(now.instance, later.instance)
    a, b = np.searchsorted(now.instance, common), np.searchsorted(later.instance, common)
    moved = (later.center[b, :2] - now.center[a, :2]) / 0.2
    np.testing.assert_allclose(moved, now.velocity[a], atol=0.3)
    assert (np.hypot(*now.velocity.T) > 1).any()


def test_every_class_is_seen_and_small_things_are_plenty() -> None:
    seeds = range(3, 15)
    drives = [Drive(seed, 1.0, image_size=SMALL, threads=1) for seed in seeds]
    truths = [drive.truth(0.0) for drive in drives]
    seen = np.array([np.bincount(t.semantics[t.mask_camera > 0], minlength=18) for t in truths])
    assert (seen.sum(0) > 0).all(), [n for n, v in zip(CLASS_NAMES, seen.sum(0), strict=True) if v == 0]
    for name in ("bicycle", "motorcycle", "pedestrian", "traffic_cone"):
        assert (seen[:, CLASS_NAMES.index(name)] > 0).mean() > 0.7, name
    assert seen[:, CLASS_NAMES.index("pedestrian")].mean() > 40


@pytest.mark.parametrize(("seed", "duration"), [(-1, 2.0), (0, 0.0), (0, 601.0)])
def test_bad_seed_or_duration_is_refused(seed: int, duration: float) -> None:
    with pytest.raises(ConfigError, match=str(seed if seed < 0 else f"{duration:g}")):
        Drive(seed, duration)


def test_a_frame_beyond_the_end_is_refused() -> None:
    with pytest.raises(IndexError):
        Drive(0, 1.0, image_size=SMALL).key_frame(2)
