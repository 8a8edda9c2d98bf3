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

"""The TensorRT backend on the API of releases 10 and 11 with onnxruntime underneath: equal to onnxruntime itself."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorrt_stand_in import make_tensorrt

from flashocc_ros.cameras.nominal_rig import nominal_rig
from flashocc_ros.engine.export.calibration import standing_table
from flashocc_ros.engine.export.write import export
from flashocc_ros.engine.onnxruntime_backend import OnnxRuntimeBackend
from flashocc_ros.engine.poolers import numba_pooler
from flashocc_ros.engine.select import open_backend
from flashocc_ros.engine.store.cache import file_sha256
from flashocc_ros.engine.store.signatures import encoder_signature
from flashocc_ros.engine.tensorrt.backend import TensorRTBackend, gpu_problem
from flashocc_ros.errors import EngineError, InputError
from flashocc_ros.geometry.ego_motion import bev_warp_grid
from flashocc_ros.pipeline.backend import Encoded
from flashocc_ros.pipeline.preprocess import image_transform
from flashocc_ros.variants import get_variant

VARIANT = get_variant("synthetic-tiny-4d")
CAMERAS = 2


class WithoutGpu(TensorRTBackend):
    """The backend where there is no GPU to ask for."""

    @classmethod
    def unavailable(cls) -> str | None:
        return None


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    export(VARIANT, None, folder)
    return folder


@pytest.fixture(params=[10, 11])
def backend(request: pytest.FixtureRequest, exported: Path, tmp_path: Path) -> Any:
    trt = make_tensorrt(request.param)
    return WithoutGpu(VARIANT, export_dir=exported, cache_dir=tmp_path, device="cpu", tensorrt=trt)


def scene() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    rig = nominal_rig(CAMERAS)
    moved = np.eye(4)
    moved[0, 3] = 1.5
    return {
        "images": [rng.integers(0, 256, (180, 320, 3), dtype=np.uint8) for _ in range(CAMERAS)],
        "params": rng.standard_normal((CAMERAS, 27)).astype(np.float32),
        "table": standing_table(VARIANT, rig),
        "grids": bev_warp_grid(moved, np.eye(3))[None],
    }


def matched(backend: Any, pixels: Any) -> tuple[Any, Any]:
    """The feature of ``pixels`` and positions in it for stereo to match with."""
    shape = encoder_signature(VARIANT, CAMERAS).inputs["stereo_grid"]
    grid = np.random.default_rng(1).uniform(-1.1, 1.1, shape).astype(np.float32)
    return backend.stereo_feature(pixels), grid


def two_frames(backend: Any) -> list[Any]:
    """Outputs of a key frame without a past and of the next one."""
    given = scene()
    transforms = [image_transform(image.shape[:2], VARIANT) for image in given["images"]]
    pixels = backend.preprocess(given["images"], transforms)
    identity = bev_warp_grid(np.eye(4), np.eye(3))[None]
    stereo = matched(backend, pixels)
    bev = backend.pool(backend.encode(pixels, given["params"], stereo), given["table"])
    first = backend.head(bev, [None], identity)
    bev = backend.pool(backend.encode(pixels * 0.5, given["params"], stereo), given["table"])
    return [first, backend.head(bev, [first.bev_key], given["grids"])]


def test_equal_to_onnxruntime_over_two_frames(backend: Any, exported: Path, tmp_path: Path) -> None:
    expected = two_frames(OnnxRuntimeBackend(VARIANT, export_dir=exported, cache_dir=tmp_path))
    for ours, theirs in zip(two_frames(backend), expected, strict=True):
        assert (ours.labels == theirs.labels).mean() > 0.9999
        np.testing.assert_allclose(ours.heatmap, theirs.heatmap, atol=5e-3)


def test_cached_map_survives_the_next_frame(backend: Any) -> None:
    first, second = two_frames(backend)
    assert isinstance(first.bev_key, torch.Tensor)
    assert first.bev_key.data_ptr() != second.bev_key.data_ptr()
    assert not torch.equal(first.bev_key, second.bev_key)


def test_engines_come_from_the_cache_the_second_time(backend: Any, exported: Path, tmp_path: Path) -> None:
    backend.prepare(CAMERAS)
    trt = make_tensorrt(int(backend.describe().split()[1].split(".")[0]))
    WithoutGpu(VARIANT, export_dir=exported, cache_dir=tmp_path, device="cpu", tensorrt=trt).prepare(CAMERAS)
    assert not [call for call in trt.calls if call[0] == "create_network"]


def test_engine_of_another_release_is_built_again(exported: Path, tmp_path: Path) -> None:
    for major in (10, 11):
        trt = make_tensorrt(major)
        WithoutGpu(VARIANT, export_dir=exported, cache_dir=tmp_path, device="cpu", tensorrt=trt).prepare(CAMERAS)
        assert [call for call in trt.calls if call[0] == "create_network"]


def test_an_engine_this_release_does_not_take_is_built_again_and_said(
    backend: Any, exported: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The cache finds it sound: only TensorRT can tell."""
    backend.prepare(CAMERAS)
    for plan in tmp_path.glob("tensorrt-*/engine.plan"):
        plan.write_bytes(b"of another driver")
        entry = json.loads((plan.parent / "entry.json").read_text())
        entry["files"]["engine.plan"] = {"sha256": file_sha256(plan), "bytes": plan.stat().st_size}
        (plan.parent / "entry.json").write_text(json.dumps(entry))
    trt = make_tensorrt(int(backend.describe().split()[1].split(".")[0]))
    with caplog.at_level("WARNING"):
        WithoutGpu(VARIANT, export_dir=exported, cache_dir=tmp_path, device="cpu", tensorrt=trt).prepare(CAMERAS)
    assert "magic tag" in caplog.text
    assert "building it again" in caplog.text
    assert [call for call in trt.calls if call[0] == "create_network"]


def test_pooling_takes_arrays_of_the_host(backend: Any) -> None:
    given = scene()
    rng = np.random.default_rng(0)
    depth = rng.random(given["table"].frustum_shape, np.float32)
    context = rng.random((CAMERAS, VARIANT.lift_channels, *depth.shape[2:]), np.float32)
    expected = numba_pooler.pool(depth, context, given["table"])
    np.testing.assert_allclose(backend.pool(Encoded(depth, context), given["table"]), expected, atol=1e-4)


def test_wrong_shape_is_refused(backend: Any) -> None:
    pixels = torch.zeros(CAMERAS, 3, *VARIANT.input_size)
    with pytest.raises(InputError, match=r"camera_params has shape \(2, 5\)"):
        backend.encode(pixels, np.zeros((CAMERAS, 5), np.float32), matched(backend, pixels))


def test_logits_are_refused(backend: Any) -> None:
    given = scene()
    bev = torch.zeros(1, VARIANT.map_channels, 200, 200)
    with pytest.raises(InputError, match="labels only"):
        backend.head(bev, [None], given["grids"], with_logits=True)


def test_closed_backend_holds_no_buffers(backend: Any) -> None:
    backend.prepare(CAMERAS)
    engines = [engine for engine, _ in backend._engines.values()]
    backend.close()
    assert all(not engine.inputs and not engine.outputs for engine in engines)


def test_pytorch_without_cuda_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "install a CUDA build" in str(gpu_problem())


def test_an_old_driver_is_named_with_what_pytorch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_available() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old (found version 11040).", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    problem = str(gpu_problem())
    assert "found version 11040" in problem
    assert "update the driver if it is too old for CUDA 13.0" in problem


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_machine_without_tensorrt_or_gpu_says_so() -> None:
    with pytest.raises(EngineError, match=r"tensorrt.*(install|GPU)"):
        open_backend("flashocc-r50-M0", engine="tensorrt")
