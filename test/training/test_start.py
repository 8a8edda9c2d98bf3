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

"""A run starts from what fits of a file: other heads, fewer frames, image backbones of classification."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from flashocc_ros.errors import CheckpointError
from flashocc_ros.model import build_model
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.model.swin import PatchMerging, Swin
from flashocc_ros.training.start import named_like_ours, starting_weights
from flashocc_ros.variants import VARIANTS

M0 = "flashocc-r50-M0"


@pytest.fixture(scope="module")
def other() -> dict[str, Tensor]:
    return build_model(M0, seed=5).state_dict()


@pytest.fixture(scope="module")
def fresh() -> FlashOcc:
    return build_model(M0)


def test_a_detector_with_another_depth_head_gives_what_fits(
    other: dict[str, Tensor], fresh: FlashOcc, tmp_path: Path
) -> None:
    depth = "img_view_transformer.depth_net.weight"
    detector = {key: value for key, value in other.items() if not key.startswith("occ_head")}
    detector[depth] = torch.zeros(59 + 64, *other[depth].shape[1:])
    detector["pts_bbox_head.shared_conv.conv.weight"] = torch.zeros(64, 256, 3, 3)
    torch.save({"meta": {"epoch": 20}, "state_dict": detector, "optimizer": {"state": {}}}, tmp_path / "a.pth")
    start = starting_weights(tmp_path / "a.pth", fresh)
    initial = fresh.state_dict()
    assert torch.equal(start.values["img_backbone.conv1.weight"], other["img_backbone.conv1.weight"])
    assert torch.equal(start.values[depth], initial[depth])
    assert {depth, "occ_head.predicter.0.weight"} <= set(start.left)
    listed = start.listing()
    assert f"not used: {depth} (123, 256, 1, 1) instead of" in listed
    assert "not used: pts_bbox_head.shared_conv.conv.weight" in listed
    assert start.share > 0.8


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_resnet_of_torchvision_fills_the_backbone(
    prefix: str, other: dict[str, Tensor], fresh: FlashOcc, tmp_path: Path
) -> None:
    backbone = {k.removeprefix("img_backbone."): v for k, v in other.items() if k.startswith("img_backbone.")}
    resnet = {prefix + key: value for key, value in backbone.items() if "num_batches_tracked" not in key}
    torch.save({**resnet, "fc.weight": torch.zeros(1000, 2048)}, tmp_path / "resnet50.pth")
    start = starting_weights(tmp_path / "resnet50.pth", fresh)
    assert not [key for key in start.left if key.startswith("img_backbone.")]
    assert torch.equal(start.values["img_backbone.layer4.2.bn3.bias"], other["img_backbone.layer4.2.bn3.bias"])
    assert "fc.weight" in start.listing()


def test_a_file_of_which_almost_nothing_fits_is_refused(fresh: FlashOcc, tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(3), "x": torch.zeros(9)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"fits 0\.0% of flashocc-r50-M0, at least 5% must"):
        starting_weights(tmp_path / "a.safetensors", fresh)


def test_values_that_are_not_finite_are_refused(other: dict[str, Tensor], fresh: FlashOcc, tmp_path: Path) -> None:
    save_file({**other, "img_backbone.bn1.bias": torch.full((64,), torch.nan)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"not finite in img_backbone\.bn1\.bias"):
        starting_weights(tmp_path / "a.safetensors", fresh)


@pytest.mark.parametrize("init_variant", [None, "synthetic-tiny"])
def test_a_network_for_more_frames_starts_as_the_narrow_one(init_variant: str | None, tmp_path: Path) -> None:
    narrow, wide = build_model("synthetic-tiny", seed=1), build_model("synthetic-tiny-4d")
    save_file(narrow.state_dict(), tmp_path / "a.safetensors")
    start = starting_weights(tmp_path / "a.safetensors", wide, init_variant)
    name = "img_view_transformer.depth_net.stereo.smooth.weight"
    assert name not in narrow.state_dict()
    torch.testing.assert_close(start.values[name], wide.state_dict()[name])
    wide.load_state_dict(start.values)
    one = narrow.variant.cached_channels
    maps = torch.randn(1, 2 * one, 200, 200, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, expected = wide.bev_head(maps).occ_logits, narrow.bev_head(maps[:, :one]).occ_logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_where_the_oldest_frame_comes_first_the_new_channels_do_too(tmp_path: Path) -> None:
    key = "img_bev_encoder_backbone.layers.0.0.conv1.weight"
    with torch.device("meta"):
        channels = FlashOcc(VARIANTS["flashocc-r50-4d-stereo"]).state_dict()[key].shape[1]
    wide = build_model("flashocc-r50-4d-stereo")
    values = wide.state_dict()
    narrow = {**values, key: torch.ones_like(values[key][:, : channels // 2])}
    save_file(narrow, tmp_path / "a.safetensors")
    taken = starting_weights(tmp_path / "a.safetensors", wide).values[key]
    assert not taken[:, : channels // 2].any()
    assert (taken[:, channels // 2 :] == 1).all()


def _as_of_the_swin_authors(key: str) -> str:
    for ours, theirs in (
        ("stages.", "layers."),
        (".attn.w_msa.", ".attn."),
        (".ffn.layers.0.0.", ".mlp.fc1."),
        (".ffn.layers.1.", ".mlp.fc2."),
        ("patch_embed.projection.", "patch_embed.proj."),
    ):
        key = key.replace(ours, theirs)
    return key


@pytest.mark.parametrize("timm", [False, True], ids=["authors", "timm"])
def test_the_names_of_an_imagenet_swin_are_understood(timm: bool) -> None:
    ours = {k: v for k, v in Swin(12, (1, 1, 1, 1), (1, 2, 4, 8), 0.0).state_dict().items() if "norm" not in k[:5]}
    theirs = {_as_of_the_swin_authors(key): value for key, value in ours.items()}
    if timm:
        theirs = {
            key.replace(f"layers.{stage}.downsample", f"layers.{stage + 1}.downsample"): value
            for key, value in theirs.items()
            for stage in [int(key.split(".")[1]) if "downsample" in key else 0]
        }
    named = named_like_ours(theirs)
    assert set(named) == {f"img_backbone.{key}" for key in ours}
    for key, value in ours.items():
        if "downsample" not in key:
            assert torch.equal(named[f"img_backbone.{key}"], value), key


def test_the_merging_of_an_imagenet_swin_computes_the_same_here() -> None:
    generator = torch.Generator().manual_seed(0)
    channels = 3
    reduction = torch.randn(2 * channels, 4 * channels, generator=generator)
    scale, shift = torch.randn(2, 4 * channels, generator=generator)
    x = torch.randn(1, 4, 6, channels, generator=generator)
    # As its authors write it.
    parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
    joined = torch.nn.functional.layer_norm(torch.cat(parts, -1), (4 * channels,), scale, shift)
    expected = joined @ reduction.T
    theirs = {"patch_embed.proj.weight": torch.zeros(1), "layers.0.downsample.reduction.weight": reduction,
              "layers.0.downsample.norm.weight": scale, "layers.0.downsample.norm.bias": shift}  # fmt: skip
    prefix = "img_backbone.stages.0.downsample."
    merging = PatchMerging(channels)
    merging.load_state_dict({k.removeprefix(prefix): v for k, v in named_like_ours(theirs).items() if prefix in k})
    torch.testing.assert_close(merging(x), expected)
