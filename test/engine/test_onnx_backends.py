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

"""OpenVINO and onnxruntime against torch on the same weights, and how they start from the cache."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flashocc_ros import weights
from flashocc_ros.cameras.nominal_rig import nominal_rig
from flashocc_ros.data.frames import read_frames
from flashocc_ros.engine.export.calibration import standing_table
from flashocc_ros.engine.openvino_backend import stream_count
from flashocc_ros.engine.select import backend_class, open_backend
from flashocc_ros.engine.store.cache import file_sha256
from flashocc_ros.errors import EngineError, InputError
from flashocc_ros.geometry import bev_warp_grid, camera_params, stereo_grid
from flashocc_ros.pipeline.backend import Backend, HeadOutput
from flashocc_ros.pipeline.preprocess import image_transform
from flashocc_ros.pipeline.set_geometry import rig_geometry
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import Variant, get_variant

pytest.importorskip("torch")

ENGINES = ["openvino", "onnxruntime"]
SHIPPED = weights.export_dir("synthetic-tiny")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine_cache")


def opened(engine: str, name: str, cache: Path, precision: str = "fp32") -> Backend:
    if backend_class(engine).unavailable() is not None:
        pytest.skip(f"{engine} is not installed")
    return open_backend(name, None, engine, precision, cache)


def run(backend: Backend, rig: CameraRig, moved_m: float | None = None, images: Any = None) -> HeadOutput:
    """One frame, of noise unless there are pictures; with ``moved_m`` a second one that far behind."""
    variant = backend.variant
    rng = np.random.default_rng(0)
    if images is None:
        images = [rng.integers(0, 256, (90, 160, 3), np.uint8) for _ in rig.names]
        rig = CameraRig(rig.names, rig.intrinsics * np.array([0.1, 0.1, 1])[:, None], rig.base_from_camera)
    size = images[0].shape[:2]
    transforms = [image_transform(size, variant)] * rig.num_cameras
    geometry = rig_geometry(rig, [size] * rig.num_cameras, variant)
    pixels, stereo = backend.preprocess(images, transforms), None
    if variant.stereo:
        behind = np.tile(np.eye(4), (rig.num_cameras, 1, 1))
        behind[:, 0, 3] = -1.0
        past = rig_geometry(rig, [size] * rig.num_cameras, variant, behind)
        stereo = backend.stereo_feature(pixels), stereo_grid(variant, geometry.with_past(past))
    encoded = backend.encode(pixels, camera_params(geometry), stereo)
    bev = backend.pool(encoded, standing_table(variant, rig, size))
    if not variant.num_history:
        return backend.head(bev, with_logits=True)
    grid = bev_warp_grid(np.eye(4))[None]
    first = backend.head(bev, [None], grid, with_logits=True)
    if moved_m is None:
        return first
    pose = np.eye(4)
    pose[0, 3] = moved_m
    return backend.head(bev, [first.bev_key], bev_warp_grid(pose)[None], with_logits=True)


def relative_error(got: Any, expected: Any) -> float:
    return float(np.abs(got - expected).max() / np.std(expected))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "moved_m"), [("synthetic-tiny", None), ("synthetic-tiny-4d", -1.3)])
@pytest.mark.parametrize("cameras", [6, 3])
def test_engine_equals_torch(engine: str, name: str, moved_m: float | None, cameras: int, cache: Path) -> None:
    rig = nominal_rig(cameras)
    expected = run(open_backend(name, None, "torch"), rig, moved_m)
    result = run(opened(engine, name, cache), rig, moved_m)
    assert relative_error(result.logits, expected.logits) < 2e-3
    assert (result.labels == expected.labels).mean() >= 0.9999
    for output in ("heatmap", "reg", "height"):
        assert relative_error(getattr(result, output), getattr(expected, output)) < 2e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_labels_are_the_argmax_of_the_logits(engine: str, cache: Path) -> None:
    result = run(opened(engine, "synthetic-tiny", cache), nominal_rig(3))
    assert result.logits is not None
    np.testing.assert_array_equal(result.labels, result.logits.argmax(-1))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_cached_survives_the_next_frame(engine: str, cache: Path) -> None:
    """Engines reuse their output buffers; a remembered map must not change under the predictor."""
    backend = opened(engine, "synthetic-tiny-4d", cache)
    first = run(backend, nominal_rig(3)).bev_key
    kept = first.copy()
    run(backend, nominal_rig(2))
    np.testing.assert_array_equal(first, kept)


def test_missing_past_is_the_key_frames_own_map(cache: Path) -> None:
    backend = opened("openvino", "synthetic-tiny-4d", cache)
    variant: Variant = backend.variant
    bev = np.random.default_rng(0).standard_normal((1, variant.map_channels, 200, 200)).astype(np.float32)
    grid = bev_warp_grid(np.eye(4))[None]
    first = backend.head(bev, [None], grid, with_logits=True)
    again = backend.head(bev, [first.bev_key], grid, with_logits=True)
    np.testing.assert_allclose(first.logits, again.logits, atol=1e-4)  # type: ignore[arg-type]


def test_wrong_history_is_one_sentence(cache: Path) -> None:
    backend = opened("openvino", "synthetic-tiny-4d", cache)
    bev = np.zeros((1, backend.variant.map_channels, 200, 200), np.float32)
    with pytest.raises(InputError, match="needs 1 past maps and their grids, got 0"):
        backend.head(bev)


def test_table_of_another_rig_is_one_sentence(cache: Path) -> None:
    backend = opened("openvino", "synthetic-tiny", cache)
    variant = backend.variant
    depth = np.zeros((2, variant.depth.count, *variant.feature_size), np.float32)
    context = np.zeros((2, variant.lift_channels, *variant.feature_size), np.float32)
    from flashocc_ros.pipeline.backend import Encoded

    with pytest.raises(InputError, match="the lift table is for"):
        backend.pool(Encoded(depth, context), standing_table(variant, nominal_rig(3)))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("Exception from core.cpp:165:\nstd::bad_alloc\n")])
def test_a_process_short_of_memory_keeps_the_built_engines(
    cache: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    opened("openvino", "synthetic-tiny", cache).prepare(2)
    before = {path: path.stat().st_ino for path in cache.glob("openvino-*/engine.blob")}
    assert before

    def refuse(*_: object) -> None:
        raise error

    backend = opened("openvino", "synthetic-tiny", cache)
    monkeypatch.setattr(backend, "_imported", refuse)
    with pytest.raises(EngineError, match=r"OpenVINO got no memory to load .*; close other programs") as refusal:
        backend.prepare(2)
    assert "\n" not in str(refusal.value)
    assert {path: path.stat().st_ino for path in cache.glob("openvino-*/engine.blob")} == before


WITHOUT_MEMORY = """
import resource, sys
import openvino
from flashocc_ros import Predictor
openvino.Core()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (200 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
Predictor("synthetic-tiny", engine="openvino", cache_dir=sys.argv[1]).prepare(6)
"""


def test_a_process_that_may_take_no_more_memory_ends_with_a_sentence(cache: Path) -> None:
    """OpenVINO itself crashes or waits for ever, depending on which allocation fails."""
    command = [sys.executable, "-c", WITHOUT_MEMORY, str(cache)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1, ended.stderr
    assert "EngineError: OpenVINO got no memory to load a network" in ended.stderr
    assert "400 MB are needed; raise the limit" in ended.stderr


def test_int8_that_was_never_built_names_the_command(cache: Path) -> None:
    backend = opened("openvino", "synthetic-tiny", cache, "int8")
    with pytest.raises(EngineError, match="flashocc build --variant synthetic-tiny --precision int8 --calibration BAG"):
        backend.prepare(6)
    with pytest.raises(EngineError, match="flashocc build --variant synthetic-tiny --precision int8 --calibration BAG"):
        opened("onnxruntime", "synthetic-tiny", cache, "int8")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_engine_raises_while_it_runs_is_one_sentence(engine: str, cache: Path) -> None:
    backend = opened(engine, "synthetic-tiny", cache)
    wrong = np.zeros((1, 2), np.float32)
    with pytest.raises(
        EngineError, match=rf"^engine {engine} cannot run bev_head of synthetic-tiny: .*; see"
    ) as caught:
        backend.head(wrong)
    assert "\n" not in str(caught.value)
    assert "Exception from" not in str(caught.value)  # where in its sources OpenVINO noticed


@pytest.mark.parametrize("engine", ENGINES)
def test_a_graph_an_engine_does_not_take_is_one_sentence(engine: str, tmp_path: Path) -> None:
    """Checked files of an export made on demand that are damaged later, or of an operation the engine has not."""
    cls: Any = backend_class(engine)
    if cls.unavailable() is not None:
        pytest.skip(f"{engine} is not installed")
    assert SHIPPED is not None
    export = tmp_path / "export"
    shutil.copytree(SHIPPED, export)
    for graph in export.glob("*.onnx"):
        graph.write_bytes(graph.read_bytes()[:5000])
    backend = cls(get_variant("synthetic-tiny"), export, cache_dir=tmp_path / "cache", from_export=False)
    with pytest.raises(EngineError, match=r"cannot (compile|load) .*\.onnx: .*; export it again") as caught:
        backend.prepare(6)
    assert "\n" not in str(caught.value)


def test_an_unknown_provider_is_refused(cache: Path) -> None:
    ort = pytest.importorskip("flashocc_ros.engine.onnxruntime_backend")
    with pytest.raises(EngineError, match="has no provider 'rocket'"):
        ort.OnnxRuntimeBackend(get_variant("synthetic-tiny"), SHIPPED, cache_dir=cache, provider="rocket")


START = """
import sys
from pathlib import Path
from flashocc_ros.engine.select import open_backend
backend = open_backend("synthetic-tiny", None, "openvino", "fp32", Path(sys.argv[1]))
backend.prepare(6)
print(sorted({"torch", "onnx", "rclpy"} & set(sys.modules)))
"""


def test_a_filled_cache_needs_neither_torch_nor_onnx(cache: Path) -> None:
    opened("openvino", "synthetic-tiny", cache).prepare(6)
    done = subprocess.run(
        [sys.executable, "-c", START, str(cache)], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_damaged_engine_in_the_cache_is_built_again_and_said(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    opened("openvino", "synthetic-tiny", cache).prepare(6)
    for blob in cache.glob("openvino-synthetic-tiny-*/engine.blob"):
        blob.write_bytes(blob.read_bytes()[:1000])
    with caplog.at_level("WARNING"):
        result = run(opened("openvino", "synthetic-tiny", cache), nominal_rig(6))
    assert "engine.blob is not the file that was written; building it again" in caplog.text
    assert result.labels.shape == (200, 200, 16)


def test_an_engine_openvino_does_not_take_is_built_again_and_said(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The cache finds it sound: only OpenVINO can tell."""
    opened("openvino", "synthetic-tiny", cache).prepare(6)
    for blob in cache.glob("openvino-synthetic-tiny-*/engine.blob"):
        blob.write_bytes(b"of another build")
        entry = json.loads((blob.parent / "entry.json").read_text())
        entry["files"]["engine.blob"] = {"sha256": file_sha256(blob), "bytes": blob.stat().st_size}
        (blob.parent / "entry.json").write_text(json.dumps(entry))
    with caplog.at_level("WARNING"):
        result = run(opened("openvino", "synthetic-tiny", cache), nominal_rig(6))
    assert "building it again" in caplog.text
    assert result.labels.shape == (200, 200, 16)


@pytest.mark.parametrize(("cameras", "threads", "streams"), [(6, 2, 2), (1, 8, 1), (3, 2, 1), (6, 8, 2), (6, 1, 1)])
def test_cameras_are_dealt_to_streams_that_end_together(cameras: int, threads: int, streams: int) -> None:
    assert stream_count(cameras, threads) == streams


@pytest.mark.parametrize("asked", [True, False])
def test_a_provider_that_does_not_start_is_never_claimed(
    cache: Path, asked: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """onnxruntime itself goes on with the CPU and only logs it."""
    import onnxruntime

    from flashocc_ros.engine.onnxruntime_backend import OnnxRuntimeBackend

    present = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: present)
    provider = "cuda" if asked else None
    backend = OnnxRuntimeBackend(get_variant("synthetic-tiny"), SHIPPED, cache_dir=cache, provider=provider)
    if asked:
        with pytest.raises(EngineError, match="could not start its provider cuda"):
            backend.prepare(6)
        return
    with caplog.at_level("WARNING"):
        backend.prepare(6)
    assert "the CPU is used" in caplog.text
    assert "on cpu" in backend.describe()


@pytest.mark.parametrize("engine", ENGINES)
def test_int8_after_build_agrees_with_fp32(engine: str, cache: Path, world_folder: Path) -> None:
    from flashocc_ros.engine.build import fill_cache

    if backend_class(engine).unavailable() is not None:
        pytest.skip(f"{engine} is not installed")
    if engine == "openvino":
        pytest.importorskip("nncf")
    levels = {name: logging.getLogger(name).level for name in (None, "nncf")}
    fill_cache("synthetic-tiny", None, engine, "int8", calibration=world_folder, cache_dir=cache)
    assert {name: logging.getLogger(name).level for name in levels} == levels
    frame = next(read_frames(world_folder))
    expected = run(opened(engine, "synthetic-tiny", cache), frame.rig, images=frame.images)
    result = run(opened(engine, "synthetic-tiny", cache, "int8"), frame.rig, images=frame.images)
    assert result.logits is not None
    assert expected.logits is not None
    assert not np.array_equal(result.logits, expected.logits)
    agreement = (result.labels == expected.labels).mean()
    assert agreement >= 0.9, agreement
