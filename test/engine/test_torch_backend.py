"""The torch engine: stage by stage equal to the network's own forward, weights loaded from a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import save_file

from flashocc_ros.engine.rewrite.upsample_conv import with_cheap_upsampling
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.errors import CheckpointError, EngineError
from flashocc_ros.geometry import Geometry, bev_warp_grid, camera_params, lift_table, stereo_grid
from flashocc_ros.model import build_model, get_variant
from flashocc_ros.variants import Backbone, Variant

TINY = "synthetic-tiny"
CAMERAS = 2


def geometry(frames: int) -> Geometry:
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    pose[2, 3] = 1.5
    tiles = (frames, CAMERAS)
    return Geometry(
        sensor2ego=np.tile(pose, (*tiles, 1, 1)),
        ego2global=np.tile(np.eye(4), (*tiles, 1, 1)),
        intrinsics=np.tile([[200.0, 0, 176], [0, 200.0, 99], [0, 0, 1]], (*tiles, 1, 1)),
        post_rot=np.tile(np.eye(3), (*tiles, 1, 1)),
        post_tran=np.zeros((*tiles, 3)),
        bda=np.eye(3),
    )


def small(name: str) -> Variant:
    """The same network with few channels, so that a test takes a second."""
    return replace(
        get_variant(name),
        name="small",
        input_size=(64, 176),
        backbone="resnet18",
        backbone_width=16,
        neck_channels=32,
        lift_channels=8,
        encoder_channels=(8, 8, 8),
        head_channels=8,
    )


@pytest.mark.parametrize(("fold", "tolerance_std"), [(False, 1e-5), (True, 1e-3)])
def test_stages_compose_to_the_forward_of_the_network(fold: bool, tolerance_std: float) -> None:
    variant = get_variant(TINY)
    model = build_model(variant)
    backend = TorchBackend(variant, model=model, device="cpu", fold=fold)
    pixels = np.random.default_rng(0).normal(size=(CAMERAS, 3, *variant.input_size)).astype(np.float32)
    scene = geometry(1)
    with torch.inference_mode():
        expected = model(torch.from_numpy(pixels)[None], scene)
    inputs = (scene.camera_to_key(0), scene.intrinsics[0], scene.post_rot[0], scene.post_tran[0], scene.bda)
    encoded = backend.encode(pixels, camera_params(*inputs))
    bev = backend.pool(encoded, lift_table(variant, *inputs))
    output = backend.head(bev, with_logits=True)
    assert output.logits is not None
    np.testing.assert_allclose(
        output.logits, expected.occ_logits.numpy(), atol=tolerance_std * expected.occ_logits.std().item()
    )
    np.testing.assert_array_equal(output.labels, output.logits.argmax(-1))
    assert output.labels.dtype == np.uint8
    assert output.heatmap is not None
    assert expected.heatmap is not None
    scale = expected.heatmap.std().item()
    np.testing.assert_allclose(output.heatmap, expected.heatmap.numpy(), atol=tolerance_std * scale)
    assert output.bev_key is None  # nothing to remember for a single frame


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("panoptic-flashocc-r50-depth4d-pano", "resnet18"),
        ("flashocc-r50-4d-stereo", "resnet18"),
        ("bevdet-occ-r50-4d-stereo", "resnet18"),
        ("flashocc-stbase-4d-stereo-512x1408_4x4_2e-4", "swin-b"),
    ],
)
def test_on_a_cpu_cheaper_equivalents_run_by_default(name: str, backbone: Backbone) -> None:
    """Wide enough that every rewrite takes part; the second frame, so that the first is its past."""
    variant = get_variant(name)
    variant = replace(
        small(name),
        backbone=backbone,
        input_size=(64, 192),
        neck_channels=256,
        lift_channels=4 if variant.volumetric else 8,
        encoder_channels=(4, 8, 8) if variant.volumetric else (16, 16, 16),
        head_channels=4 if variant.volumetric else 256,
    )
    model = build_model(variant)
    logits: list[npt.NDArray[np.float32]] = []
    for backend in (
        TorchBackend(variant, model=model, device="cpu", fold=False),
        TorchBackend(variant, model=model, device="cpu"),
    ):
        pixels = torch.randn(2, CAMERAS, 3, *variant.input_size, generator=torch.Generator().manual_seed(0))
        scene = geometry(2)
        inputs = (scene.camera_to_key(0), scene.intrinsics[0], scene.post_rot[0], scene.post_tran[0], scene.bda)
        stereo = None
        if variant.stereo:
            grid = stereo_grid(variant, scene.previous_camera_from_camera(0), *inputs[1:4])
            stereo = (backend.stereo_feature(pixels[1]), grid)
        table = lift_table(variant, *inputs)
        moved = np.eye(4)
        moved[:2, 3] = -2.0, 0.5
        past = backend.head(
            backend.pool(backend.encode(pixels[1], camera_params(*inputs), stereo), table),
            [None],
            bev_warp_grid(np.eye(4))[None],
        ).bev_key
        bev = backend.pool(backend.encode(pixels[0], camera_params(*inputs), stereo), table)
        output = backend.head(bev, [past], bev_warp_grid(moved)[None], with_logits=True)
        assert output.logits is not None
        logits.append(output.logits)
    plain, cheap = logits
    assert 0 < np.abs(cheap - plain).max() < 1e-3 * plain.std()  # untrained networks magnify rounding


def test_logits_are_returned_only_when_asked_for() -> None:
    variant = get_variant("synthetic-tiny-4d")
    backend = TorchBackend(variant, device="cpu")
    bev = np.zeros((1, variant.map_channels, 200, 200), np.float32)
    assert backend.head(bev, [None], bev_warp_grid(np.eye(4))[None]).logits is None


def test_a_missing_past_is_the_key_map_itself() -> None:
    variant = small("panoptic-flashocc-r50-depth4d")
    backend = TorchBackend(variant, model=build_model(variant), device="cpu")
    rng = np.random.default_rng(1)
    bev = rng.normal(size=(1, variant.map_channels, 200, 200)).astype(np.float32)
    still = bev_warp_grid(np.eye(4))[None]
    alone = backend.head(bev, [None], still, with_logits=True)
    itself = backend.head(bev, [alone.bev_key], still, with_logits=True)
    other = backend.head(bev, [alone.bev_key * 0], still, with_logits=True)
    assert alone.logits is not None
    assert other.logits is not None
    np.testing.assert_array_equal(alone.logits, itself.logits)
    assert np.abs(alone.logits - other.logits).max() > 1e-3
    assert backend.nbytes(alone.bev_key) == bev.nbytes


def test_cheap_upsampling_equals_upsampling_and_convolving() -> None:
    conv = torch.nn.Conv2d(6, 5, 3, padding=1)
    plain = torch.nn.Sequential(
        torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        conv,
        torch.nn.Identity(),
        torch.nn.ReLU(),
        torch.nn.Conv2d(5, 4, 1),
    )
    x = torch.randn(1, 6, 11, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(with_cheap_upsampling(plain)(x), plain(x), rtol=0, atol=1e-5)


def test_a_cached_map_is_not_overwritten_by_later_calls() -> None:
    variant = small("panoptic-flashocc-r50-depth4d")
    backend = TorchBackend(variant, model=build_model(variant), device="cpu")
    rng = np.random.default_rng(2)
    still = bev_warp_grid(np.eye(4))[None]
    first = backend.head(rng.normal(size=(1, 8, 200, 200)).astype(np.float32), [None], still).bev_key
    before = first.numpy().copy()
    backend.head(rng.normal(size=(1, 8, 200, 200)).astype(np.float32), [first], still)
    np.testing.assert_array_equal(first.numpy(), before)


def test_weights_come_from_the_checkpoint(tmp_path: Path) -> None:
    variant = get_variant(TINY)
    other = build_model(variant, seed=5)
    save_file(other.state_dict(), tmp_path / "weights.safetensors")
    backend = TorchBackend(variant, tmp_path / "weights.safetensors", device="cpu", fold=False)
    for key, value in other.state_dict().items():
        torch.testing.assert_close(backend.model.state_dict()[key], value, rtol=0, atol=0)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file(build_model("synthetic-tiny-4d").state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="synthetic-tiny-4d"):
        TorchBackend(get_variant(TINY), tmp_path / "weights.safetensors", device="cpu")


def test_other_precisions_are_refused() -> None:
    with pytest.raises(EngineError, match="fp32 only"):
        TorchBackend(get_variant(TINY), precision="int8")


def test_a_device_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EngineError, match="torch cannot use device cuda"):
        TorchBackend(get_variant(TINY), device="cuda")
