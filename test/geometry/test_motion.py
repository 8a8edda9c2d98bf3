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

"""Ego motion, camera numbers and stereo sampling, against hand-computed positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.transform import Rotation

from flashocc_ros.errors import InputError
from flashocc_ros.geometry import Geometry, bev_warp_grid, camera_params, stereo_grid
from flashocc_ros.variants import VARIANTS

M2 = VARIANTS["flashocc-r50-4d-stereo"]


def _pose(x_m: float = 0, y_m: float = 0, yaw_deg: float = 0) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("z", yaw_deg, degrees=True).as_matrix()
    pose[:2, 3] = x_m, y_m
    return pose


def _warp(bev: np.ndarray, grid: np.ndarray) -> np.ndarray:
    sampled = F.grid_sample(torch.from_numpy(bev)[None, None], torch.from_numpy(grid)[None], align_corners=True)
    return sampled[0, 0].numpy()


def test_standing_still_leaves_a_map_as_it_is() -> None:
    bev = np.random.default_rng(0).random((200, 200), np.float32)
    np.testing.assert_allclose(_warp(bev, bev_warp_grid(np.eye(4))), bev, atol=1e-4)


def test_driving_forward_moves_the_past_backward() -> None:
    bev = np.zeros((200, 200), np.float32)
    bev[100, 150] = 1  # y = 0, x = 20 m ahead
    # The vehicle has since driven 4 m: the key frame sees the same place 10 cells nearer.
    warped = _warp(bev, bev_warp_grid(np.linalg.inv(_pose(x_m=4))))
    assert np.unravel_index(warped.argmax(), warped.shape) == (100, 140)
    assert warped.max() == pytest.approx(1, abs=1e-3)


def test_moving_left_moves_the_past_right() -> None:
    bev = np.zeros((200, 200), np.float32)
    bev[120, 100] = 1
    warped = _warp(bev, bev_warp_grid(np.linalg.inv(_pose(y_m=2))))
    assert np.unravel_index(warped.argmax(), warped.shape) == (115, 100)


def test_turning_left_by_90_degrees_brings_what_was_ahead_to_the_right() -> None:
    bev = np.zeros((200, 200), np.float32)
    bev[100, 150] = 1
    warped = _warp(bev, bev_warp_grid(np.linalg.inv(_pose(yaw_deg=90))))
    assert np.unravel_index(warped.argmax(), warped.shape) == (50, 100)


def test_a_mirrored_map_moves_the_other_way() -> None:
    bev = np.zeros((200, 200), np.float32)
    bev[100, 150] = 1
    mirror_x = np.diag([-1.0, 1.0, 1.0])
    warped = _warp(bev, bev_warp_grid(np.linalg.inv(_pose(x_m=4)), mirror_x))
    assert np.unravel_index(warped.argmax(), warped.shape) == (100, 160)


def test_places_the_past_did_not_cover_are_zero() -> None:
    warped = _warp(np.ones((200, 200), np.float32), bev_warp_grid(np.linalg.inv(_pose(x_m=8))))
    assert warped[:, :180] == pytest.approx(1, abs=1e-4)
    assert np.abs(warped[:, 181:]).max() == 0


def test_a_mirrored_volume_moves_the_other_way() -> None:
    bev = np.zeros((200, 200), np.float32)
    bev[100, 150] = 1
    mirror_x = np.diag([-1.0, 1.0, 1.0])
    warped = _warp(bev, bev_warp_grid(np.linalg.inv(_pose(x_m=4)), mirror_x))
    assert np.unravel_index(warped.argmax(), warped.shape) == (100, 160)


def _moving_cameras(previous_from_camera: np.ndarray, count: int = 1) -> Geometry:
    """Key frame and the one before it."""
    intrinsics = np.array([[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]])

    def repeat(value: np.ndarray) -> np.ndarray:
        return np.broadcast_to(value, (2, count, *value.shape))

    return Geometry(
        sensor2ego=repeat(np.eye(4)),
        ego2global=np.stack([[previous_from_camera] * count, [np.eye(4)] * count]),
        intrinsics=repeat(intrinsics),
        post_rot=repeat(np.diag([0.44, 0.44, 1.0])),
        post_tran=repeat(np.array([0.0, -140.0, 0.0])),
        bda=np.eye(3),
    )


def test_a_camera_that_did_not_move_matches_every_pixel_with_itself() -> None:
    grid = stereo_grid(M2, _moving_cameras(np.eye(4), count=2))
    assert grid.shape == (2, 88, 64, 176, 2)
    identity = np.stack(np.meshgrid(np.linspace(-1, 1, 176), np.linspace(-1, 1, 64)), -1)
    np.testing.assert_allclose(grid, np.broadcast_to(identity, grid.shape), atol=1e-4)


def test_moving_ahead_pulls_far_points_less_than_near_ones_toward_the_centre() -> None:
    motion = np.eye(4)
    motion[2, 3] = 1.0  # a point is 1 m farther from the previous camera
    grid = stereo_grid(M2, _moving_cameras(motion))[0]
    depths = np.array(M2.depth.values())
    # Pixel offset from the principal point shrinks by d / (d + 1).
    center = 0.44 * 816.3
    left = (grid[:, 32, 0, 0] + 1) / 2 * 703
    np.testing.assert_allclose(left, center - center * depths / (depths + 1), atol=2e-2)


def test_points_behind_the_previous_camera_lie_outside_the_picture() -> None:
    motion = np.eye(4)
    motion[2, 3] = -3.0
    grid = stereo_grid(M2, _moving_cameras(motion))[0]
    near = np.array(M2.depth.values()) < 3
    assert (grid[near] == -2).all()
    assert (grid[~near][1:, 32, 88] > -2).all()


def test_camera_numbers_come_in_the_published_order() -> None:
    pose = np.arange(16, dtype=np.float64).reshape(4, 4) + 100
    k = np.array([[1.0, 0, 3], [0, 2, 4], [0, 0, 1]])
    rotation = np.array([[5.0, 6, 0], [8, 9, 0], [0, 0, 1]])
    bda = np.array([[11.0, 12, 0], [13, 14, 0], [0, 0, 15]])
    pose[3] = 0, 0, 0, 1
    fields = {"sensor2ego": pose, "ego2global": np.eye(4), "intrinsics": k, "post_rot": rotation}
    geometry = Geometry(
        **{name: value[None, None] for name, value in fields.items()}, post_tran=np.array([[[7.0, 10, 0]]]), bda=bda
    )
    numbers = camera_params(geometry)
    np.testing.assert_array_equal(numbers[0], [1, 2, 3, 4, *range(5, 16), *range(100, 112)])


def _geometry(frames: int = 2) -> dict[str, np.ndarray]:
    eye = np.broadcast_to(np.eye(4), (frames, 1, 4, 4))
    return {
        "sensor2ego": eye,
        "ego2global": eye,
        "intrinsics": np.broadcast_to(np.eye(3), (frames, 1, 3, 3)),
        "post_rot": np.broadcast_to(np.eye(3), (frames, 1, 3, 3)),
        "post_tran": np.zeros((frames, 1, 3)),
        "bda": np.eye(3),
    }


def test_a_past_camera_is_placed_by_both_ego_poses() -> None:
    fields = _geometry()
    fields["ego2global"] = np.stack([_pose(x_m=5)[None], _pose(x_m=2)[None]])
    geometry = Geometry(**fields)
    assert geometry.camera_to_key(1)[0, :3, 3] == pytest.approx([-3, 0, 0])
    np.testing.assert_allclose(geometry.key_from_previous(1), _pose(x_m=-3), atol=1e-12)
    np.testing.assert_allclose(geometry.previous_camera_from_camera(0)[0], _pose(x_m=3), atol=1e-12)


def test_the_key_frame_may_be_taken_between_the_shutters() -> None:
    """The key stamp is that of the anchor camera, whichever that is: everything is then seen from there."""
    fields = _geometry(frames=1)
    fields["ego2global"] = np.stack([_pose(x_m=5)[None]])
    geometry = Geometry(**fields, key2global=_pose(x_m=4, y_m=1))
    assert geometry.camera_to_key(0)[0, :3, 3] == pytest.approx([1, -1, 0])
    assert Geometry(**fields).camera_to_key(0)[0, :3, 3] == pytest.approx([0, 0, 0])


def test_frames_are_joined_newest_first() -> None:
    fields = _geometry(frames=1)
    newer, older = (Geometry(**{**fields, "ego2global": _pose(x_m=x)[None, None]}) for x in (5, 2))
    joined = newer.with_past(older)
    assert joined.num_frames == 2
    assert joined.camera_to_key(1)[0, :3, 3] == pytest.approx([-3, 0, 0])
    assert joined.at_key_poses().camera_to_key(1)[0, :3, 3] == pytest.approx([0, 0, 0])


def test_what_lands_in_the_same_cells_lifts_alike_wherever_the_vehicle_is() -> None:
    fields = _geometry(frames=1)
    here = Geometry(**fields)
    there = Geometry(**{**fields, "ego2global": _pose(x_m=500, yaw_deg=30)[None, None]})
    assert here.lifts_like(there, 1e-6)
    # A shutter that fires after the key stamp while the vehicle moves.
    assert not here.lifts_like(Geometry(**fields, key2global=_pose(x_m=0.01)), 1e-6)
    for name in ("sensor2ego", "intrinsics", "post_rot", "post_tran", "bda"):
        changed = np.array(fields[name])
        changed[..., 0] += 1e-5
        assert not here.lifts_like(Geometry(**{**fields, name: changed}), 1e-6)
        assert here.lifts_like(Geometry(**{**fields, name: changed}), 1e-4)


def test_another_number_of_cameras_lifts_otherwise() -> None:
    one = Geometry(**_geometry(frames=1))
    two = Geometry(**{k: np.concatenate([v, v], 1) if k != "bda" else v for k, v in _geometry(frames=1).items()})
    assert not one.lifts_like(two, 1e-6)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bda", np.eye(4)),
        ("post_tran", np.zeros((1, 1, 3))),
        ("bda", np.full((3, 3), np.nan)),
        ("key2global", np.eye(3)),
    ],
)
def test_a_geometry_that_does_not_fit_is_refused(field: str, value: np.ndarray) -> None:
    with pytest.raises(InputError, match=field):
        Geometry(**{**_geometry(), field: value})
