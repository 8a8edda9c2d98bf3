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

"""Results of a fleet against the truth: the numbers of ``flashocc eval``, added up exactly, and the worst frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from flashocc_ros.cli.fleet import app
from flashocc_ros.errors import InputError
from flashocc_ros.evaluation.frames import BagFrames
from flashocc_ros.evaluation.run import PredictorSettings
from flashocc_ros.evaluation.run import evaluate as evaluate_bags
from flashocc_ros.fleet.attempt import attempt
from flashocc_ros.fleet.evaluate import evaluate_fleet
from flashocc_ros.fleet.ledger import Ledger
from flashocc_ros.fleet.manifest import write_manifest
from flashocc_ros.fleet.predict import PredictWork
from flashocc_ros.fleet.recordings import find_recordings


@pytest.fixture(scope="module")
def predicted(drives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated") / "out"
    work, ledger = PredictWork("synthetic-tiny"), Ledger(out)
    recordings = find_recordings([f"{drives}/*"])
    ledger.begin(work.settings, recordings)
    for recording in recordings:
        attempt(recording, work, ledger, out, "loop")
    write_manifest(ledger, out)
    return out


def test_the_numbers_are_those_of_the_same_network_on_the_same_recordings(
    predicted: Path, drives: Path, tmp_path: Path
) -> None:
    report = evaluate_fleet(predicted, tmp_path / "worst", "camera", 1, worst=0)
    bags = BagFrames((drives / "drive_1000", drives / "drive_1001"))
    expected = evaluate_bags(bags, PredictorSettings("synthetic-tiny")).result()
    del expected["predict_ms"]
    assert report["all"] == expected
    assert report["all"]["frames"] == sum(r["frames"] for r in report["recordings"].values()) == 4
    assert list(report["rigs"].values()) == [expected]
    assert report["recordings"].keys() == {"drive_1000", "drive_1001"}


def test_two_processes_report_the_same(predicted: Path, tmp_path: Path) -> None:
    one, two = (evaluate_fleet(predicted, tmp_path / "worst", "camera", workers, worst=0) for workers in (1, 2))
    assert json.dumps(one) == json.dumps(two)


def test_the_worst_frames_are_drawn_in_order(predicted: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    arguments = ["eval", str(predicted / "manifest.parquet"), "--out", str(report), "--worst", "3", "--workers", "1"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "===> mIoU of 4 samples" in done.output
    worst = json.loads(report.read_text())["worst"]
    values = [frame["mIoU"] for frame in worst]
    assert values == sorted(values)
    assert len(worst) == 3
    names = sorted(path.name for path in (tmp_path / "report_worst").iterdir())
    assert [Path(frame["picture"]).name for frame in worst] == names
    with Image.open(worst[0]["picture"]) as picture:
        assert np.asarray(picture).std() > 10


def test_a_recording_without_truth_or_result_is_left_out_with_its_reason(
    predicted: Path, drives: Path, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    work = PredictWork("synthetic-tiny")
    (recording,) = find_recordings([f"{drives}/drive_1000"])
    attempt(recording, work, ledger, tmp_path, "loop")
    state = ledger.read("drive_1000")
    assert state is not None
    ledger.write(state.now(recording="gone", location=str(tmp_path / "gone")))
    write_manifest(ledger, tmp_path)
    report = evaluate_fleet(tmp_path, tmp_path / "worst", "camera", 1, worst=0)
    assert "gone does not exist" in report["left_out"]["gone"]
    assert list(report["recordings"]) == ["drive_1000"]


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; give the manifest"):
        evaluate_fleet(tmp_path, tmp_path / "worst", "camera", 1)
    (tmp_path / "manifest.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(InputError, match="is no manifest of a fleet"):
        evaluate_fleet(tmp_path, tmp_path / "worst", "camera", 1)
