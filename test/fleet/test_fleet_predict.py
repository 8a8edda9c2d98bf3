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

"""A network over recordings: the same bytes whoever does it, as ``flashocc predict`` gives them; bad ones aside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from copy_work import results
from typer.testing import CliRunner

from flashocc_ros import Predictor, bags
from flashocc_ros.bags.results import network_facts, read_results, weights_note
from flashocc_ros.cli.fleet import app
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import write_bag
from flashocc_ros.data.synthetic.rig import surround_rig
from flashocc_ros.errors import FlashOccError
from flashocc_ros.fleet.attempt import attempt
from flashocc_ros.fleet.ledger import Ledger
from flashocc_ros.fleet.manifest import read_manifest
from flashocc_ros.fleet.predict import PredictWork
from flashocc_ros.fleet.recordings import find_recordings

ROOT = Path(__file__).resolve().parents[2]
SENTENCES = {
    "cut": "never finished or is cut off",
    "blind": "no camera",
    "types": "no camera",
}


def fleet(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flashocc_ros.cli", "fleet", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


@pytest.fixture(scope="module")
def predicted(drives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By two processes of the command."""
    out = tmp_path_factory.mktemp("predicted") / "out"
    done = fleet("predict", f"{drives}/*", "--variant", "synthetic-tiny", "--out", out, "--workers", 2, "--json")
    assert done.returncode == 3, done.stderr
    numbers = json.loads(done.stdout)
    assert (numbers["done"], numbers["quarantined"], numbers["failed"]) == (2, 3, 0)
    return out


def test_broken_recordings_are_set_aside_with_their_sentence(predicted: Path) -> None:
    reasons = {s.recording: s.reason for s in read_manifest(predicted) if s.status == "quarantined"}
    assert reasons.keys() == SENTENCES.keys()
    for name, words in SENTENCES.items():
        assert words in reasons[name], reasons[name]


def test_a_plain_loop_in_any_order_gives_the_same_bytes(predicted: Path, drives: Path, tmp_path: Path) -> None:
    work = PredictWork("synthetic-tiny")
    for recording in reversed(find_recordings([f"{drives}/drive_*"])):
        state = attempt(recording, work, Ledger(tmp_path), tmp_path, "loop").state
        assert state is not None
        assert state.status == "done", state.reason
        assert state.peak_memory_mb > 50
    assert results(tmp_path) == results(predicted)
    assert {n: s.result_sha256 for n in ("drive_1000", "drive_1001") if (s := Ledger(tmp_path).read(n))} == {
        s.recording: s.result_sha256 for s in read_manifest(predicted) if s.status == "done"
    }


def test_results_are_those_of_a_predictor_that_knows_nothing_else(predicted: Path, drives: Path) -> None:
    predictor = Predictor("synthetic-tiny")
    stored = list(read_results(predicted / "drive_1001"))
    sets = list(bags.read_sets(drives / "drive_1001"))
    assert len(stored) == len(sets) == 2
    for frame, item in zip(stored, sets, strict=True):
        expected = predictor.predict(item)
        np.testing.assert_array_equal(frame.semantics, expected.semantics)
        assert frame.instances is not None
        assert expected.instances is not None
        np.testing.assert_array_equal(frame.instances, expected.instances.astype(np.uint16))
        assert [o.id for o in frame.objects] == [o.id for o in expected.centers]


def test_rays_of_fisheyes_are_followed_where_that_is_asked(tmp_path: Path) -> None:
    write_bag(tmp_path / "wide", Drive(1003, 1.0, surround_rig(), (88, 176), threads=1), rate_hz=1.0)
    work = PredictWork("synthetic-tiny", engine="torch", fisheye="rays")
    assert work.settings["fisheye"] == "rays"
    (tmp_path / "out").mkdir()
    work.make("wide", str(tmp_path / "wide"), tmp_path / "out", lambda done, expected: None)
    (frame,) = read_results(tmp_path / "out" / "wide", pictures=False)
    (item,) = bags.read_sets(tmp_path / "wide", fisheye="rays")
    expected = Predictor("synthetic-tiny", engine="torch").predict(item)
    np.testing.assert_array_equal(frame.semantics, expected.semantics)


def test_a_result_knows_its_network_and_its_world(predicted: Path) -> None:
    facts = network_facts(predicted / "drive_1000")
    assert facts["variant"] == "synthetic-tiny"
    assert facts["trained_on"] == "synthetic"
    assert weights_note(predicted / "drive_1000", facts) == ""
    assert "synthetic world" in weights_note(predicted / "drive_1000", facts | {"drawn": "false"})


def test_the_manifest_tells_of_rigs_and_contents(predicted: Path) -> None:
    done = [s for s in read_manifest(predicted) if s.status == "done"]
    assert len({s.rig for s in done}) == 1
    assert all(len(s.rig) == 16 and s.sets == 2 and s.duration_s > 1 and s.metrics["occupied"] > 1000 for s in done)
    assert all("OpenVINO" in s.runs_on or "ONNX" in s.runs_on for s in done)


def test_the_status_of_a_folder_is_told_to_whoever_asks(predicted: Path) -> None:
    done = fleet("status", predicted)
    assert done.returncode == 0, done.stderr
    assert "5 recordings: 2 done, 3 quarantined" in done.stdout
    assert "blind: quarantined: " in done.stdout
    numbers = json.loads(fleet("status", predicted, "--json").stdout)
    assert numbers["counts"]["done"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "{0}/none*"), "no recording matches"),
        (("predict", "{0}/drive_*", "--shard", "3/2"), "--shard 3/2 must be I/N"),
        (("predict", "{0}/drive_*", "--executor", "slurm"), "choose local or ray"),
        (("predict", "{0}/drive_*", "--address", "auto"), "add --executor ray"),
        (("predict", "{0}/drive_*", "--variant", "flashocc-r51"), "unknown variant"),
        (("predict", "{0}/drive_*", "--variant", "flashocc-r50-M0"), "has no weights"),
        (("predict", "{0}/drive_*", "--checkpoint", "{0}/none.pth"), "does not exist"),
        (("predict", "{0}/drive_*", "--executor", "ray", "--address", "127.0.0.1:9"), "nobody answers at --address"),
        (("label", "{0}/drive_*", "--convention", "loose"), "--convention is 'loose'"),
    ],
)
def test_wrong_input_is_one_sentence_and_nothing_is_written(
    drives: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "out"
    given = [argument.format(drives) for argument in arguments]
    if "--variant" not in given and given[0] == "predict":
        given += ["--variant", "synthetic-tiny"]
    with pytest.raises(FlashOccError, match=message):
        CliRunner().invoke(app, [*given, "--out", str(out)], catch_exceptions=False)
    assert not out.exists()


def test_results_of_another_network_or_weights_are_refused(predicted: Path, drives: Path) -> None:
    before = sorted(path.as_posix() for path in predicted.rglob("*"))
    arguments = ("predict", f"{drives}/drive_*", "--out", str(predicted), "--resume", "--variant")
    for others, message in (
        (("synthetic-tiny-4d",), "holds results of variant synthetic-tiny, this run has synthetic-tiny-4d"),
        (("synthetic-tiny", "--precision", "fp16"), "holds results of precision fp32, this run has fp16"),
    ):
        with pytest.raises(FlashOccError, match=message):
            CliRunner().invoke(app, [*arguments, *others], catch_exceptions=False)
    assert sorted(path.as_posix() for path in predicted.rglob("*")) == before


def test_a_ray_that_is_not_installed_is_named(drives: Path, tmp_path: Path) -> None:
    (tmp_path / "without" / "ray").mkdir(parents=True)
    (tmp_path / "without" / "ray" / "__init__.py").write_text("raise ImportError('no ray here')")
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = 'flashocc';"
        "from flashocc_ros.cli.main import main; main()"
    )
    arguments = ("fleet", "predict", f"{drives}/drive_*", "--variant", "synthetic-tiny", "--executor", "ray")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "without"), *arguments, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert "pip install 'flashocc_ros[fleet]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_shards_make_together_what_one_run_makes(predicted: Path, drives: Path, tmp_path: Path) -> None:
    for part in ("1/2", "2/2"):
        done = fleet(
            "predict", f"{drives}/drive_*", "--variant", "synthetic-tiny", "--out", tmp_path / "out",
            "--shard", part, "--workers", 1, "--quiet",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "1 done" in done.stdout
    assert results(tmp_path / "out") == results(predicted)
