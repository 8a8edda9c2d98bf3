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

"""The very checks a GPU gets, on the CPU with onnxruntime in TensorRT's place: what they find equal and what not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_stream import small

from flashocc_ros.cameras.nominal_rig import nominal_rig
from flashocc_ros.checks.gpu import engines, scenes, speed
from flashocc_ros.checks.gpu.setting import Setting
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.geometry import Geometry
from flashocc_ros.variants import get_variant

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine/tensorrt"))
from tensorrt_stand_in import make_tensorrt

SMALL = replace(small("flashocc-r50-4d-stereo"), input_size=(64, 192), trained_on="nothing")
"""Two frames, stereo matching; weights of its own."""


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """Engines are built once and then come out of its cache."""
    return Setting("cpu", tmp_path_factory.mktemp("gpu"))


@pytest.fixture(autouse=True)
def two_cameras(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A third of the work."""
    monkeypatch.setattr(scenes, "CAMERAS", scenes.CAMERAS[:2])
    scenes._files.cache_clear()
    yield
    scenes._files.cache_clear()


def test_an_engine_equal_to_torch_passes_every_stage(setting: Setting) -> None:
    found = list(engines.against_torch(SMALL, ("fp32",), setting, make_tensorrt(11)))
    assert [result.name for result in found if result.status == "failed"] == []
    names = {result.name for result in found if result.status == "ok"}
    assert names >= {"fp32, stereo feature", "fp32, depth", "fp32, labels of the head", "fp32, bev_key", "fp32, stream"}


class ThreePlanesOff(TorchBackend):
    """What a miscompiled plane sweep looks like."""

    def stereo_grid(self, geometry: Geometry) -> np.ndarray:
        return np.roll(super().stereo_grid(geometry), 3, axis=1)


def test_a_plane_sweep_that_is_off_is_found(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights hardly look at it, so these are trained ones."""
    monkeypatch.setattr(scenes, "nominal_rig", lambda count: nominal_rig(1))
    right = engines.reference(setting, get_variant("synthetic-tiny-4d"))
    assert isinstance(right, TorchBackend)
    found = engines.stages("fp16", right, ThreePlanesOff(right.variant, model=right.model, device="cpu"), setting)
    assert {result.name for result in found if result.status == "failed"} == {"fp16, depth"}


def test_engines_that_cannot_be_built_are_named(setting: Setting) -> None:
    trt = make_tensorrt(10)  # no engine of this release is in the cache
    trt.behaviour.build_error = "No implementation for node"
    (found,) = engines.against_torch(SMALL, ("fp32",), setting, trt)
    assert found.status == "failed"
    assert "No implementation for node" in found.text


@pytest.mark.slow
def test_two_engines_and_one_opened_again_are_the_same(setting: Setting) -> None:
    found = list(engines.life(SMALL, "fp32", setting, make_tensorrt(11)))
    assert {result.name: result.status for result in found} == {
        "CUDA graphs and kernel by kernel": "ok",
        "two engines in turns": "ok",
        "the other one": "ok",
        "opened again, out of the cache": "info",
        "opened again": "ok",
        "waits for the device": "ok",
    }


@pytest.mark.slow
def test_an_engine_is_timed_moving_and_standing(setting: Setting) -> None:
    (found,) = speed.tensorrt_engines(SMALL, ("fp32",), setting, make_tensorrt(11))
    assert {"moving p50 ms", "standing p99 ms", "JPEG, moving p50 ms", "sets/s"} <= found.numbers.keys()
    assert all(float(value) > 0 for value in found.numbers.values())


def test_the_ratio_to_the_floor_is_that_of_the_performance_page(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RTX 3090, fp16: 71 tera and 936 GB per second."""
    monkeypatch.setattr(speed, "tera_per_s", lambda setting, kind: 71.0)
    monkeypatch.setattr(speed, "gigabytes_per_s", lambda setting: 936.0)
    floors = speed._Floors(setting)
    for name, floor_ms in (("flashocc-r50-M0", 4.0), ("flashocc-r50-4d-stereo", 21.9)):
        numbers = floors.beside(get_variant(name), "fp16", {"engine ms": 43.8})
        assert numbers["floor ms"] == pytest.approx(floor_ms, abs=0.05)
        assert numbers["engine / floor"] == pytest.approx(43.8 / floor_ms, rel=0.02)
