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

"""NaN and infinity that come up inside a network are refused on every engine; labels alone do not show them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flashocc_ros import CameraRig, Predictor, weights
from flashocc_ros.cameras.nominal_rig import nominal_rig
from flashocc_ros.engine.labels_kernel import labels_from_columns, labels_from_planes
from flashocc_ros.engine.select import backend_class
from flashocc_ros.errors import EngineError
from flashocc_ros.pipeline import stream
from flashocc_ros.pipeline.backend import Backend
from flashocc_ros.variants import get_variant

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

TINY = get_variant("synthetic-tiny")
SHIPPED = weights.export_dir("synthetic-tiny")

DEPTH = "img_view_transformer.depth_net.out.bias"
CLASSES = "predicter.2.bias"
HEAT_MAP = "aux_centerness_head.task_heads.0.heatmap.1.bias"


def on_torch(name: str, place: int, value: float, _: Path) -> Backend:
    from flashocc_ros.engine.torch_backend import TorchBackend
    from flashocc_ros.model import build_model, load_checkpoint

    checkpoint = weights.path(TINY.name)
    assert checkpoint is not None
    model = build_model(TINY)
    state = load_checkpoint(checkpoint, TINY)
    next(tensor for key, tensor in state.items() if key.endswith(name))[place] = value
    model.load_state_dict(state)
    return TorchBackend(TINY, model=model, device="cpu")


def on_graphs(engine: str) -> Callable[[str, int, float, Path], Backend]:
    def opened(name: str, place: int, value: float, folder: Path) -> Backend:
        cls: Any = backend_class(engine)
        if cls.unavailable() is not None:
            pytest.skip(f"{engine} is not installed")
        assert SHIPPED is not None
        export = folder / "export"
        shutil.copytree(SHIPPED, export)
        for path in export.glob("*.onnx"):
            graph = onnx.load(path)
            for tensor in graph.graph.initializer:
                if tensor.name.endswith(name):
                    numbers = onnx.numpy_helper.to_array(tensor).copy()
                    numbers[place] = value
                    tensor.CopyFrom(onnx.numpy_helper.from_array(numbers, tensor.name))
            path.write_bytes(graph.SerializeToString())
        backend: Backend = cls(TINY, export, cache_dir=folder / "cache", from_export=False)
        return backend

    return opened


ENGINES = [
    pytest.param(on_torch, id="torch"),
    *(pytest.param(on_graphs(name), id=name) for name in ("openvino", "onnxruntime")),
]


def one_set() -> tuple[list[np.ndarray], CameraRig, np.ndarray, int]:
    rig = nominal_rig(2)
    rig = CameraRig(rig.names, rig.intrinsics * np.array([0.1, 0.1, 1])[:, None], rig.base_from_camera)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (90, 160, 3), np.uint8) for _ in rig.names]
    return images, rig, np.tile(np.eye(4), (2, 1, 1)), 10**18


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("name", "place", "where"),
    [
        (DEPTH, 0, "depth distribution"),
        (DEPTH, 128, "image features"),
        (CLASSES, 5, "class logits"),
        (HEAT_MAP, 3, "object heat map"),
    ],
)
@pytest.mark.parametrize("opened", ENGINES)
def test_a_set_with_numbers_that_are_none_is_refused(
    opened: Callable[[str, int, float, Path], Backend], name: str, place: int, where: str, value: float, tmp_path: Path
) -> None:
    predictor = Predictor(TINY, backend=opened(name, place, value, tmp_path))
    words = f"engine {predictor.backend.name} gave NaN or infinity in the {where} of synthetic-tiny.*another checkpoint"
    for _ in range(2):  # not only the first time
        with pytest.raises(EngineError, match=words) as caught:
            predictor(*one_set())
        assert "\n" not in str(caught.value)


def test_a_heat_map_that_breaks_later_is_refused_soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stream, "FINITE_EVERY", 3)
    backend: Any = on_torch(HEAT_MAP, 0, 0.0, tmp_path)
    predictor = Predictor(TINY, backend=backend)
    images, rig, poses, stamp_ns = one_set()
    predictor(images, rig, poses, stamp_ns)
    parameter = next(value for key, value in backend.model.named_parameters() if key.endswith(HEAT_MAP))
    with torch.no_grad():
        parameter[0] = np.nan
    for age in (1, 2):
        predictor(images, rig, poses, stamp_ns + age * 10**8)
    with pytest.raises(EngineError, match="object heat map"):
        predictor(images, rig, poses, stamp_ns + 3 * 10**8)


def test_half_precision_is_told_to_be_too_narrow(tmp_path: Path) -> None:
    backend = on_torch(CLASSES, 5, np.inf, tmp_path)
    backend.precision = "fp16"
    with pytest.raises(EngineError, match="fp16 is too narrow for these weights: use precision fp32 or other weights"):
        Predictor(TINY, backend=backend)(*one_set())


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kernel", [labels_from_columns, labels_from_planes])
def test_the_kernels_tell_one_number_that_is_none(kernel: Any, value: float) -> None:
    largest = np.finfo(np.float32).max
    logits = np.random.default_rng(0).choice(np.float32([0.0, -0.0, 1.0, largest, -largest, 1e-45]), (8, 8, 8, 8))
    assert kernel(logits)[1]
    logits[6, 5, 4, 3] = value
    assert not kernel(logits)[1]
