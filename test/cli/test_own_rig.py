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

"""The road of docs/own_rig.md in miniature: a rig nobody has seen, labels from its lidar, a network of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flashocc_ros.bags import read_sets
from flashocc_ros.cli.eval import app as eval_app
from flashocc_ros.cli.label import app as label_app
from flashocc_ros.cli.train import app as train_app
from flashocc_ros.data.label_folder import open_drives
from flashocc_ros.data.synthetic import Drive, load_rig
from flashocc_ros.data.synthetic.bag import BOXES_TOPIC, write_bag
from flashocc_ros.data.synthetic.lidar import make_lidar
from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import FREE
from flashocc_ros.predictor import Predictor
from flashocc_ros.training.config import load_config

CONFIG = Path(__file__).resolve().parents[2] / "config"
SHIPPED = CONFIG.parent / "flashocc_ros" / "weights" / "synthetic-tiny.safetensors"
ORDER = "front,left,back,right"


def run(app: object, *arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return str(result.stdout)


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("drives")
    for name, seed in (("first", 100), ("second", 101)):
        drive = Drive(seed, 1.0, load_rig(CONFIG / "rig_van.yaml"), (88, 176), threads=1)
        write_bag(folder / name, drive, 2.0, lidar=make_lidar("16"))
    return [folder / "first", folder / "second"]


@pytest.fixture(scope="module")
def labels(drives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels")
    solid = ("--convention", "solid", "--cameras", ORDER, "--quiet")
    run(label_app, *drives, "--out", out, "--boxes", BOXES_TOPIC, *solid)
    return out


@pytest.fixture(scope="module")
def trained(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "van"
    few = ("schedule.iterations=8", "schedule.warmup_iterations=0", "schedule.decay_start=6", "batch_size=1",
           "loss.image_only_iterations=6", "loss.columns=512", "loss.calibration_samples=1", "precision=fp32",
           "validation.every=100", "validation.frames=1", "log_every=1")  # fmt: skip
    start = (f"data.folders=[{labels}]", f"init={SHIPPED}")
    told = run(train_app, CONFIG / "own_rig.yaml", *start, *few, "--out", out, "--quiet", "--device", "cpu")
    assert "best on the drives kept apart" in told
    return out


def test_the_loss_falls(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    depth = [row["depth"] for row in rows if "depth" in row]
    assert len(depth) == 8
    assert sum(depth[-3:]) < 0.9 * sum(depth[:3])
    assert [row["iteration"] for row in rows if "validation_mIoU" in row] == [0, 8]
    assert {"cross_entropy", "overlap", "above_ground", "center_heatmap"} <= set(rows[-2])


def test_every_file_of_the_run_predicts_for_this_rig(trained: Path, drives: list[Path]) -> None:
    sets = next(iter(read_sets(drives[0], ORDER.split(","))))
    for name in ("best.safetensors", "weights.safetensors", "last.pt"):
        occupancy = Predictor("synthetic-tiny", trained / name, "torch")(
            sets.images, sets.rig, sets.odom_from_base, sets.stamp_ns
        )
        assert 1000 < int((occupancy.semantics != FREE).sum()) < 200_000


def test_it_is_judged_on_labels_and_on_the_truth(
    trained: Path, drives: list[Path], labels: Path, tmp_path: Path
) -> None:
    measured = {}
    for name, source in (("labels", ("--labels", labels / "second")), ("truth", ("--bag", drives[1]))):
        file = tmp_path / f"{name}.json"
        run(eval_app, "--checkpoint", trained / "best.safetensors", "--engine", "torch", *source, "--json", file)
        measured[name] = json.loads(file.read_text())
        assert measured[name]["frames"] == 2
        assert measured[name]["mIoU"] > 0.05
    # Ground of unknown class is right whatever kind of ground is said.
    assert measured["labels"]["IoU"]["sidewalk"] >= measured["truth"]["IoU"]["sidewalk"]


def test_labels_do_not_know_every_voxel(labels: Path) -> None:
    with pytest.raises(ConfigError, match="--mask none counts every voxel"):
        run(eval_app, "--labels", labels, "--mask", "none")


def test_the_settings_for_an_own_rig_are_read() -> None:
    config = load_config(CONFIG / "own_rig.yaml")
    assert config.data.kind == "labels"
    assert config.validation is not None
    assert config.init is not None
    assert (CONFIG.parent / config.init).is_file()


def test_labels_of_the_drives_are_of_four_cameras(labels: Path) -> None:
    assert [(drive.cameras, len(drive.frames)) for drive in open_drives([labels])] == [(4, 2), (4, 2)]
