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

"""The network as a composition of stateless stages, on the small variants where the code path is the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from flashocc_ros.errors import InputError
from flashocc_ros.geometry import Geometry, bev_warp_grid, camera_params, lift_table, stereo_grid
from flashocc_ros.geometry.lift import LiftTable
from flashocc_ros.model import VARIANTS, build_model
from flashocc_ros.model.cost_volume import CostVolume, _sampled_cost, matching_cost
from flashocc_ros.model.outputs import StereoContext
from flashocc_ros.model.pooling import pool
from flashocc_ros.model.swin import relative_position_index, shift_mask
from flashocc_ros.variants import DepthBins, Variant

SMALL = replace(
    VARIANTS["panoptic-flashocc-r50-depth4d-pano"],
    name="small-4d",
    input_size=(64, 96),
    backbone="resnet18",
    backbone_width=16,
    neck_channels=32,
    depth=DepthBins(1.0, 45.0, 4.0),
    lift_channels=8,
    encoder_channels=(8, 16, 16),
    head_channels=16,
    center_channels=8,
)
SMALL_STEREO = replace(SMALL, name="small-stereo", stereo=True, panoptic=False, head="2d")
SMALL_3D = replace(
    SMALL_STEREO, name="small-3d", head="3d", lift_z_bins=16, encoder_blocks=(1, 1, 1), encoder_channels=(4, 8, 8)
)
MOTION = (0.4, 0.15, 1.5)  # metres ahead, metres left, degrees per frame


def _poses(frames: int, cameras: int, motion: tuple[float, float, float] = MOTION) -> np.ndarray:
    poses = []
    for frame in range(frames):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("z", -frame * motion[2], degrees=True).as_matrix()
        pose[:2, 3] = -frame * motion[0], -frame * motion[1]
        poses.append(np.broadcast_to(pose, (cameras, 4, 4)))
    return np.stack(poses)


def _geometry(variant: Variant, cameras: int = 2, motion: tuple[float, float, float] = MOTION) -> Geometry:
    frames = variant.num_input_frames
    forward = np.array([[0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]], np.float64)
    sensors = []
    for camera in range(cameras):
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("z", 360 / cameras * camera, degrees=True).as_matrix()
        sensors.append(turn @ forward)
    height, width = variant.input_size
    intrinsics = np.array([[width * 0.8, 0, width / 2], [0, width * 0.8, height / 2], [0, 0, 1]])

    def repeat(value: np.ndarray) -> np.ndarray:
        return np.broadcast_to(value, (frames, cameras, *value.shape))

    return Geometry(
        sensor2ego=np.broadcast_to(np.stack(sensors), (frames, cameras, 4, 4)),
        ego2global=_poses(frames, cameras, motion),
        intrinsics=repeat(intrinsics),
        post_rot=repeat(np.eye(3)),
        post_tran=repeat(np.zeros(3)),
        bda=np.eye(3),
    )


def _images(variant: Variant, cameras: int = 2, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(variant.num_input_frames, cameras, 3, *variant.input_size, generator=generator)


@pytest.mark.parametrize("variant", [SMALL, SMALL_STEREO, SMALL_3D], ids=lambda v: v.name)
@pytest.mark.parametrize("align", ["warp", "lift"])
def test_output_shapes(variant: Variant, align: str) -> None:
    model = build_model(variant)
    with torch.inference_mode():
        out = model(_images(variant), _geometry(variant), align)
    volume = (16, 200, 200) if variant.volumetric else (200, 200)
    assert out.occ_logits.shape == (200, 200, 16, 18)
    assert out.depth.shape == (2, 11, 4, 6)
    assert out.bev_pool.shape == (8, *volume)
    assert out.bev_out.shape == (16, *volume)
    assert out.depth.sum(1) == pytest.approx(torch.ones(2, 4, 6).numpy(), abs=1e-5)
    if variant.panoptic:
        assert out.heatmap is not None
        assert out.heatmap.shape == (10, 200, 200)
        assert out.reg is not None
        assert out.reg.shape == (2, 200, 200)
        assert out.height is not None
        assert out.height.shape == (1, 200, 200)
    else:
        assert (out.heatmap, out.reg, out.height) == (None, None, None)


@pytest.mark.parametrize("variant", [SMALL, SMALL_STEREO, SMALL_3D], ids=lambda v: v.name)
def test_forward_is_the_composition_of_the_stages(variant: Variant) -> None:
    model = build_model(variant)
    images, geometry = _images(variant), _geometry(variant)
    table = lift_table(variant, geometry)
    numbers = torch.from_numpy(camera_params(geometry))
    maps = []
    with torch.inference_mode():
        feature = model.stereo_feature(images[2]) if variant.stereo else None
        for frame in (1, 0):
            previous = None
            if feature is not None:
                previous = StereoContext(feature, torch.from_numpy(stereo_grid(variant, geometry, frame)))
            encoded = model.encode_images(images[frame], numbers, previous)
            feature = encoded.stereo_feature
            maps.append(model.preprocess_bev(model.pool(encoded.depth, encoded.context, table)))
        grid = torch.from_numpy(bev_warp_grid(geometry.key_from_previous(1)))[None]
        warped = model.warp(maps[0], grid)
        order = [warped, maps[1]] if variant.stereo else [maps[1], warped]
        head = model.bev_head(torch.cat(order, 1))
        expected = model(images, geometry, "warp")
    torch.testing.assert_close(head.occ_logits[0], expected.occ_logits)
    torch.testing.assert_close(head.bev_out[0], expected.bev_out)


def test_both_alignments_agree_where_nothing_moved() -> None:
    model = build_model(SMALL)
    images, geometry = _images(SMALL), _geometry(SMALL, motion=(0.0, 0.0, 0.0))
    with torch.inference_mode():
        warp, lift = model(images, geometry, "warp"), model(images, geometry, "lift")
    torch.testing.assert_close(warp.occ_logits, lift.occ_logits, atol=1e-3, rtol=1e-3)


def test_both_alignments_see_the_past_move() -> None:
    model = build_model(SMALL)
    images = _images(SMALL)
    with torch.inference_mode():
        still = model(images, _geometry(SMALL, motion=(0.0, 0.0, 0.0)), "warp").occ_logits
        for align in ("warp", "lift"):
            moved = model(images, _geometry(SMALL, motion=(4.0, 1.0, 10.0)), align).occ_logits  # type: ignore[arg-type]
            assert (moved - still).abs().max() > 0.1 * still.std()


def test_a_batch_is_its_samples_one_by_one() -> None:
    model = build_model(SMALL_STEREO)
    first, second = _images(SMALL_STEREO, seed=1), _images(SMALL_STEREO, seed=2)
    geometries = [_geometry(SMALL_STEREO), _geometry(SMALL_STEREO, motion=(2.0, 0.0, 5.0))]
    with torch.inference_mode():
        batch = model.forward_batch(torch.stack([first, second]), geometries)
        for index, (images, geometry) in enumerate(zip((first, second), geometries, strict=True)):
            alone = model(images, geometry)
            torch.testing.assert_close(batch.head.occ_logits[index], alone.occ_logits, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(batch.depth[index], alone.depth, atol=1e-5, rtol=1e-4)


def test_every_parameter_is_trained_and_the_past_carries_no_gradient() -> None:
    model = build_model(SMALL).train()
    images = torch.stack([_images(SMALL, seed=1), _images(SMALL, seed=2)]).requires_grad_()
    out = model.forward_batch(images, [_geometry(SMALL)] * 2)
    head = out.head
    tensors = [head.occ_logits, out.depth, head.heatmap, head.reg, head.height, head.dim, head.rot, head.vel]
    sum(t.square().mean() for t in tensors if t is not None).backward()  # type: ignore[union-attr]
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert images.grad is not None
    assert images.grad[:, 0].abs().sum() > 0
    assert images.grad[:, 1].abs().sum() == 0


def _table(points: list[int], cells: list[int]) -> LiftTable:
    """A table over one camera with 2 depths and 2x2 cells, by hand."""
    unique, starts = np.unique(np.array(cells, np.int32), return_index=True)
    return LiftTable(
        point_index=np.array(points, np.int32),
        cell_index=unique,
        cell_start=np.append(starts, len(points)).astype(np.int32),
        grid_shape=(1, 2, 3),
        frustum_shape=(1, 2, 2, 2),
    )


def test_pooling_sums_depth_times_context_per_cell() -> None:
    depth = torch.arange(1.0, 9.0).view(1, 2, 2, 2)
    context = torch.arange(8.0).view(1, 2, 2, 2)
    bev = pool(depth, context, _table([0, 5, 3, 7], [1, 1, 4, 4]))
    expected = torch.zeros(1, 2, 1, 2, 3)
    # Point 0: depth 1, pixel 0. Point 5: depth 6, pixel 1. Points 3 and 7: depths 4 and 8, pixel 3.
    expected[0, :, 0, 0, 1] = torch.tensor([1 * 0 + 6 * 1, 1 * 4 + 6 * 5.0])
    expected[0, :, 0, 1, 1] = torch.tensor([12 * 3, 12 * 7.0])
    torch.testing.assert_close(bev, expected)


def test_pooling_has_the_right_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    depth = torch.rand(1, 2, 2, 2, dtype=torch.float64, generator=generator).requires_grad_()
    context = torch.rand(1, 2, 2, 2, dtype=torch.float64, generator=generator).requires_grad_()
    table = _table([0, 5, 3, 7], [1, 1, 4, 4])
    assert torch.autograd.gradcheck(lambda d, c: pool(d, c, table), (depth, context))


def test_pooling_without_a_point_is_zero() -> None:
    table = LiftTable(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(1, np.int32), (1, 2, 3), (1, 2, 2, 2))
    assert pool(torch.ones(1, 2, 2, 2), torch.ones(1, 3, 2, 2), table).abs().sum() == 0


def test_height_slices_of_a_flat_variant_collapse_into_channels() -> None:
    variant = replace(SMALL, lift_z_bins=4, preprocess_bev=False)
    model = build_model(variant)
    table = lift_table(variant, _geometry(variant))
    depth, context = torch.rand(2, 11, 4, 6), torch.rand(2, 8, 4, 6)
    volume = pool(depth, context, table)
    bev = model.pool(depth, context, table)
    assert bev.shape == (1, 32, 200, 200)
    for z in range(4):
        torch.testing.assert_close(bev[:, 8 * z : 8 * z + 8], volume[:, :, z])


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 2, 3, 64, 64), r"\(64, 96\)"), ((1, 2, 3, 64, 96), "F = 2"), ((2, 3, 64, 96), r"\(F, N, 3, H, W\)")],
)
def test_images_that_do_not_fit_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_model(SMALL)(torch.zeros(shape), _geometry(SMALL))


def test_a_camera_count_that_differs_from_the_geometry_is_refused() -> None:
    with pytest.raises(InputError, match="geometry has 2 frames of 2 cameras"):
        build_model(SMALL)(_images(SMALL, cameras=3), _geometry(SMALL, cameras=2))


def test_an_unknown_alignment_is_refused() -> None:
    with pytest.raises(InputError, match="align is 'both'"):
        build_model(SMALL)(_images(SMALL), _geometry(SMALL), "both")  # type: ignore[arg-type]


def test_fused_and_sampled_matching_cost_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    current = torch.randn(2, 16, 8, 12, generator=generator).relu()
    previous = torch.randn(2, 16, 8, 12, generator=generator).relu()
    grid = torch.rand(2, 5, 8, 12, 2, generator=generator) * 2.6 - 1.3
    grid[0, 0, 0] = -2.0
    last_first = [t.permute(0, 2, 3, 1).contiguous().numpy() for t in (current, previous)]
    fused = matching_cost(last_first[0], last_first[1], grid.numpy())
    np.testing.assert_allclose(fused, _sampled_cost(current, previous, grid).numpy(), rtol=1e-4, atol=1e-4)


def test_features_learn_from_their_matches_as_the_sampled_cost_says() -> None:
    generator = torch.Generator().manual_seed(0)
    grid = torch.rand(2, 5, 8, 12, 2, generator=generator) * 2.6 - 1.3
    grid[0, 0, 0] = -2.0
    features = torch.randn(2, 2, 16, 8, 12, generator=generator).requires_grad_()
    weights = torch.randn(2, 5, 8, 12, generator=generator)
    (CostVolume(gradient=True)(features[0], features[1], grid) * weights).sum().backward()
    fused, features.grad = features.grad, None
    (_sampled_cost(features[0], features[1], grid).neg().softmax(1) * weights).sum().backward()
    assert fused is not None
    assert features.grad is not None
    assert fused.abs().max() > 0.1
    torch.testing.assert_close(fused, features.grad, rtol=1e-3, atol=1e-4)


def test_the_published_cost_volume_carries_no_gradient() -> None:
    feature = torch.rand(1, 8, 4, 6, requires_grad=True)
    assert not CostVolume()(feature, feature, torch.zeros(1, 3, 4, 6, 2)).requires_grad


def test_an_identical_previous_picture_matches_best_where_it_was() -> None:
    feature = torch.rand(1, 8, 4, 6) + 0.5
    identity = torch.stack(torch.meshgrid(torch.linspace(-1, 1, 6), torch.linspace(-1, 1, 4), indexing="xy"), -1)
    grid = torch.stack([identity + 0.4, identity, identity - 0.4])[None]
    assert (CostVolume()(feature, feature, grid).argmax(1) == 1).all()


def test_relative_positions_follow_the_stated_formula() -> None:
    index = relative_position_index()
    for a, b in [(0, 0), (0, 143), (143, 0), (17, 101)]:
        (ya, xa), (yb, xb) = divmod(a, 12), divmod(b, 12)
        assert index[a, b] == (ya - yb + 11) * 23 + (xa - xb + 11)


def test_shifted_windows_are_masked_only_across_seams() -> None:
    mask = shift_mask(24, 24, 6)
    assert mask.shape == (4, 144, 144)
    assert (mask[0] == 0).all()
    right = mask[1].view(12, 12, 12, 12)
    assert (right[:, :6, :, :6] == 0).all()
    assert (right[:, :6, :, 6:] == -100).all()
    below = mask[2].view(12, 12, 12, 12)
    assert (below[:6, :, 6:] == -100).all()
