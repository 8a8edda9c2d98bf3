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

"""Choosing an engine: asked ones are opened or refused with the remedy, auto takes the first that works."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from flashocc_ros import weights
from flashocc_ros.engine import select
from flashocc_ros.engine.onnx_backend import OnnxBackend
from flashocc_ros.engine_names import ENGINES, PRECISIONS
from flashocc_ros.errors import CheckpointError, ConfigError, EngineError
from flashocc_ros.pipeline.backend import Backend
from flashocc_ros.variants import get_variant

TINY = "synthetic-tiny"


def make_unavailable(monkeypatch: pytest.MonkeyPatch, *engines: str) -> None:
    for engine in engines:
        monkeypatch.setattr(select.backend_class(engine), "unavailable", classmethod(lambda cls: "not on this machine"))


def test_torch_opens_when_asked_for() -> None:
    backend = select.open_backend(TINY, engine="torch")
    assert backend.name == "torch"
    assert backend.variant == get_variant(TINY)
    assert "torch" in backend.describe()


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_module_imports_without_its_library_and_names_itself(engine: str) -> None:
    cls = select.backend_class(engine)
    assert issubclass(cls, Backend)
    assert cls.name == engine
    assert set(cls.precisions) <= set(PRECISIONS)


def test_auto_takes_the_next_engine_and_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_unavailable(monkeypatch, "tensorrt", "openvino", "onnxruntime")
    with caplog.at_level(logging.INFO, logger="flashocc_ros.engine.select"):
        assert select.open_backend(TINY).name == "torch"
    assert "tensorrt: not on this machine" in caplog.text


def test_auto_without_any_engine_lists_the_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    make_unavailable(monkeypatch, *ENGINES)
    with pytest.raises(EngineError, match=r"no engine can run synthetic-tiny in fp32 here: tensorrt: .*torch: not on"):
        select.open_backend(TINY)


def test_an_asked_engine_that_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    make_unavailable(monkeypatch, "torch")
    with pytest.raises(EngineError, match="not on this machine"):
        select.open_backend(TINY, engine="torch")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"engine": "tpu"}, ConfigError, "unknown engine 'tpu'; choose auto, tensorrt"),
        ({"precision": "fp8"}, ConfigError, "unknown precision 'fp8'; choose auto, fp32"),
        ({"engine": "torch", "precision": "int8"}, EngineError, "engine torch has no precision 'int8'; it has fp32"),
        ({"checkpoint": "/nowhere/x.pth"}, CheckpointError, r"/nowhere/x\.pth does not exist"),
    ],
)
def test_bad_choices_are_refused(options: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        select.open_backend(TINY, **options)  # type: ignore[arg-type]


def test_unknown_variants_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown variant"):
        select.open_backend("flashocc-M9")


def test_a_given_checkpoint_comes_before_the_shipped_one(tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.touch()
    assert select.find_checkpoint(TINY, mine) == mine
    assert select.find_checkpoint("flashocc-r50-M0", None) is None


def test_the_folder_of_an_export_is_run_as_it_is() -> None:
    folder = weights.export_dir(TINY)
    assert folder is not None
    backend = select.open_backend(TINY, folder, "onnxruntime")
    assert isinstance(backend, OnnxBackend)
    assert backend.from_export
    assert backend.folder == folder
    assert select.trained_on(TINY, folder) is not None


def test_an_export_is_run_in_its_own_precision(tmp_path: Path) -> None:
    folder = weights.export_dir(TINY)
    assert folder is not None
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    meta = tmp_path / "meta.json"
    meta.write_text(meta.read_text().replace('"precision": "fp32"', '"precision": "int8"'))
    assert select.open_backend(TINY, tmp_path, "onnxruntime").precision == "int8"  # type: ignore[attr-defined]
    assert select.resolved_precision(tmp_path, "auto") == "int8"
    with pytest.raises(
        EngineError, match=r"is an export in int8, asked for fp32; .* or leave the precision to the export"
    ):
        select.open_backend(TINY, tmp_path, "onnxruntime", "fp32")


def test_weights_are_run_in_fp32_unless_told_otherwise() -> None:
    assert select.resolved_precision(None, "auto") == "fp32"
    assert select.resolved_precision(weights.path(TINY), "fp16") == "fp16"


def test_an_export_is_refused_where_it_does_not_fit() -> None:
    folder = weights.export_dir(TINY)
    with pytest.raises(EngineError, match="engine torch runs weights"):
        select.open_backend(TINY, folder, "torch")
    with pytest.raises(EngineError, match="is an export in fp32, asked for int8"):
        select.open_backend(TINY, folder, "onnxruntime", "int8")


def test_a_folder_without_an_export_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a folder; give the path"):
        select.open_backend(TINY, tmp_path, "onnxruntime")
