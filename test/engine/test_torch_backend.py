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

"""The torch engine: stage by stage equal to the network's own forward, weights loaded from a file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.errors import CheckpointError, EngineError
from flashocc_ros.geometry import Geometry, bev_warp_grid, camera_params, lift_table
from flashocc_ros.model import build_model, get_variant
from flashocc_ros.variants import Variant

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


def test_stages_compose_to_the_forward_of_the_network() -> None:
    """Bit for bit: the reference runs the network as it stands."""
    variant = get_variant(TINY)
    model = build_model(variant)
    backend = TorchBackend(variant, model=model, device="cpu")
    pixels = np.random.default_rng(0).normal(size=(CAMERAS, 3, *variant.input_size)).astype(np.float32)
    scene = geometry(1)
    with torch.inference_mode():
        expected = model(torch.from_numpy(pixels)[None], scene)
    encoded = backend.encode(pixels, camera_params(scene))
    bev = backend.pool(encoded, lift_table(variant, scene))
    output = backend.head(bev, with_logits=True)
    assert output.logits is not None
    np.testing.assert_array_equal(output.logits, expected.occ_logits.numpy())
    np.testing.assert_array_equal(output.labels, output.logits.argmax(-1))
    assert output.labels.dtype == np.uint8
    assert output.heatmap is not None
    assert expected.heatmap is not None
    np.testing.assert_array_equal(output.heatmap, expected.heatmap.numpy())
    assert output.bev_key is None  # nothing to remember for a single frame


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
    backend = TorchBackend(variant, tmp_path / "weights.safetensors", device="cpu")
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


SHORT_OF_MEMORY = """
import resource
from flashocc_ros.engine.torch_backend import TorchBackend
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 100_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(TorchBackend.unavailable())
"""


def test_a_process_too_small_for_pytorch_is_told_that_memory_is_short() -> None:
    ended = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY], capture_output=True, text=True, timeout=120)
    assert "the process is short of memory" in ended.stdout, ended.stdout + ended.stderr
    assert "not installed" not in ended.stdout


def test_pytorch_that_is_not_there_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "which is not installed; pip install" in str(TorchBackend.unavailable())
