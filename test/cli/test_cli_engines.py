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

"""``flashocc export``, ``build``, ``bench`` and ``parity`` of an export, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flashocc_ros.cli.main import app
from flashocc_ros.errors import ConfigError, EngineError

pytest.importorskip("torch")
pytest.importorskip("onnx")

runner = CliRunner()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "export"
    done = runner.invoke(app, ["export", "--variant", "synthetic-tiny", "--out", str(folder), "--quiet"])
    assert done.exit_code == 0, done.output
    return folder


def test_export_writes_graphs_and_meta(exported: Path) -> None:
    meta = json.loads((exported / "meta.json").read_text())
    assert meta["variant"] == "synthetic-tiny"
    assert (exported / meta["graphs"]["bev_head"]["file"]).is_file()


def test_parity_of_an_export_prints_every_stage_and_passes(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASHOCC_CACHE", str(exported.parent / "cache"))
    done = runner.invoke(app, ["parity", str(exported), "--variant", "synthetic-tiny"])
    assert done.exit_code == 0, done.output
    for stage in ("preprocess", "encoder", "pooling", "head", "decode", "inside the tolerance"):
        assert stage in done.output


def test_parity_with_another_variant_is_refused(exported: Path) -> None:
    done = runner.invoke(app, ["parity", str(exported), "--variant", "synthetic-tiny-4d"])
    assert isinstance(done.exception, EngineError)
    assert "export of synthetic-tiny, not of synthetic-tiny-4d" in str(done.exception)


def test_parity_of_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = runner.invoke(app, ["parity", str(tmp_path / "no-export"), "--variant", "synthetic-tiny"])
    assert isinstance(done.exception, ConfigError)
    assert "is no folder; write an export there" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["export", "--variant", "synthetic-tiny", "--precision", "int8", "--out", "x"], "--calibration"),
        (["build", "--variant", "synthetic-tiny", "--calibration", "x"], "only serves int8"),
        (["build", "--variant", "synthetic-tiny", "--precision", "int3"], "unknown precision"),
        (["bench", "--variant", "synthetic-tiny", "--baseline", "theirs"], "unknown baseline"),
        (["bench", "--variant", "no-such-network"], "unknown variant"),
        (["bench", "no-such-network"], "unknown variant"),  # by place, as in the first release
        (["build", "synthetic-tiny", "--variant", "flashocc-r50"], "two networks are named"),
        (["export", "--out", "x"], "with --variant"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    options = [str(tmp_path / "out") if a == "x" else a for a in arguments]
    done = runner.invoke(app, options)
    assert done.exit_code != 0
    assert isinstance(done.exception, ConfigError)
    assert sentence in str(done.exception)


def test_bench_prints_medians_the_machine_and_ratios(tmp_path: Path) -> None:
    arguments = ["bench", "--variant", "synthetic-tiny", "--engine", "openvino", "--baseline", "reference", "--json"]
    done = runner.invoke(app, [*arguments, "--quiet", "--runs", "1", "--cache-dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert report["machine"]["cpu"]
    assert set(report["stages"]) == {"jpeg", "preprocess", "encoder", "pooling", "head", "rest"}
    assert report["ratio"]["cpu"] == pytest.approx(
        report["baseline"]["cpu_ms"] / report["end_to_end"]["cpu_ms"], abs=0.01
    )
    assert report["agreement"] > 0.999
