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

"""What a benchmark counts: a device's work to its end, decoding where it happens, the device's own clock."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flashocc_ros import Predictor
from flashocc_ros.checks.speed import bench
from flashocc_ros.errors import ConfigError, EngineError
from flashocc_ros.pipeline.backend import Backend, Encoded, HeadOutput
from flashocc_ros.variants import get_variant

VARIANT = get_variant("flashocc-r50-M0")


class Recorder(Backend):
    """Computes nothing and notes its calls."""

    name = "recorder"
    variant = VARIANT

    def __init__(self, decodes_jpeg: bool = False) -> None:
        self.decodes_jpeg = decodes_jpeg
        self.calls: list[str] = []

    def prepare(self, cameras: int) -> None:
        self.calls.append(f"prepare {cameras}")

    def preprocess(self, images: Any, transforms: Any) -> Any:
        self.calls.append(f"preprocess {type(images[0]).__name__}")

    def encode(self, pixels: Any, camera_params: Any = None, stereo: Any = None) -> Encoded:
        self.calls.append("encode")
        return Encoded(None, None)

    def pool(self, encoded: Encoded, table: Any) -> Any:
        self.calls.append("pool")

    def head(self, bev: Any, history: Any = (), grids: Any = None, *, with_logits: bool = False) -> HeadOutput:
        self.calls.append("head")
        return HeadOutput(np.zeros((200, 200, 16), np.uint8))

    def synchronize(self) -> None:
        self.calls.append("synchronize")

    def engine_only_ms(self, cameras: int) -> dict[str, float] | None:
        return {"image_encoder": 1.25, "bev_head": 0.5}

    def describe(self) -> str:
        return "recorder"


def measured(backend: Recorder) -> dict[str, Any]:
    return bench(Predictor(VARIANT, backend=backend), runs=1)


def test_every_stage_waits_for_the_device() -> None:
    backend = Recorder()
    measured(backend)
    stages = ["preprocess ndarray", "encode", "pool", "head"]
    frame = [call for stage in stages for call in (stage, "synchronize")]
    assert backend.calls == ["prepare 6", *["synchronize", *frame] * 2]


def test_an_engine_that_decodes_gets_the_files() -> None:
    backend = Recorder(decodes_jpeg=True)
    measured(backend)
    assert "preprocess bytes" in backend.calls


def test_the_device_s_own_times_are_reported() -> None:
    assert measured(Recorder())["device_ms"] == {"image_encoder": 1.25, "bev_head": 0.5}


def test_the_predictor_stays_as_it_is_when_the_engine_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Recorder()
    predictor = Predictor(VARIANT, backend=backend)
    with monkeypatch.context() as broken:
        broken.setattr(backend, "pool", fail)
        with pytest.raises(EngineError):
            bench(predictor, runs=1)
    assert predictor.backend is backend
    assert bench(predictor, runs=1)["runs"] == 1
    assert predictor.memory_events["backward"] == 0


def fail(*_: Any) -> None:
    raise EngineError("the device is gone")


def test_no_runs_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be at least 1"):
        bench(Predictor(VARIANT, backend=Recorder()), runs=0)
