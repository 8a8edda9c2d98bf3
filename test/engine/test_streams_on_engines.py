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

"""Stereo, volumetric and long-term networks streamed through OpenVINO and onnxruntime give the labels of torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("onnx")
pytest.importorskip("torch")

from small_stream import STEP_NS, drive, rig, small

from flashocc_ros import Predictor
from flashocc_ros.engine.export.write import export
from flashocc_ros.engine.select import backend_class
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.model import build_model
from flashocc_ros.pipeline.backend import Backend
from flashocc_ros.variants import Variant

Labels = npt.NDArray[np.uint8]
Exported = Callable[[str], tuple[Variant, Path, list[Labels]]]

FRAMES = 3
"""The second has a past of one, which stereo matches again; the third an ordinary one."""

VARIANTS = [
    "bevdet-occ-r50",
    "flashocc-r50-4d-stereo",
    "panoptic-flashocc-r50-depth4d-longterm16f-pano",
    pytest.param("bevdet-occ-r50-4d-stereo", marks=pytest.mark.slow),
    pytest.param("panoptic-flashocc-r50-depth4d-pano", marks=pytest.mark.slow),
]


def stream(backend: Backend) -> list[Labels]:
    """Labels of a drive that turns."""
    predictor = Predictor(backend.variant, backend=backend)
    # Volumes cost sixteen times as much.
    shots = drive(2 if backend.variant.volumetric else FRAMES, (2.0, 0.3, 8.0))
    return [
        predictor(shot.images, rig(), shot.odom_from_base, index * STEP_NS).semantics
        for index, shot in enumerate(shots)
    ]


def assert_agreement(ours: list[Labels], expected: list[Labels], least: float) -> None:
    for labels, torch_labels in zip(ours, expected, strict=True):
        assert len(np.unique(torch_labels)) > 2, "all labels alike would agree whatever the engine does"
        assert (labels == torch_labels).mean() >= least


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The export of a shrunken variant and torch's labels on the drive, made once for all engines."""
    made: dict[str, tuple[Variant, Path, list[Labels]]] = {}

    def get(name: str) -> tuple[Variant, Path, list[Labels]]:
        if name not in made:
            # Exports need sizes that are multiples of 32, as those of all variants are.
            variant = replace(small(name), input_size=(64, 192))
            model = build_model(variant)
            folder = tmp_path_factory.mktemp("export")
            export(variant, None, folder, model=model)
            made[name] = variant, folder, stream(TorchBackend(variant, model=model, device="cpu"))
        return made[name]

    return get


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_stream_has_the_labels_of_torch(name: str, engine: str, exported: Exported, tmp_path: Path) -> None:
    cls: Any = backend_class(engine)
    if cls.unavailable() is not None:
        pytest.skip(f"{engine} is not installed")
    variant, folder, expected = exported(name)
    backend = cls(variant, cache_dir=tmp_path, export_dir=folder)
    backend.prepare(rig().num_cameras)
    assert_agreement(stream(backend), expected, 0.9999)
    backend.close()


def test_a_stereo_network_in_fp16_has_nearly_the_labels_of_torch(tmp_path: Path) -> None:
    onnxruntime_backend = pytest.importorskip("flashocc_ros.engine.onnxruntime_backend")
    variant = replace(small("flashocc-r50-4d-stereo"), input_size=(64, 192))
    model = build_model(variant)
    export(variant, None, tmp_path, "fp16", model=model)
    backend = onnxruntime_backend.OnnxRuntimeBackend(variant, export_dir=tmp_path, precision="fp16")
    backend.prepare(rig().num_cameras)
    expected = stream(TorchBackend(variant, model=model, device="cpu"))
    assert_agreement(stream(backend), expected, 0.995)
    backend.close()
