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

"""``flashocc train`` from a YAML file to a weights file that the predictor takes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from flashocc_ros.cli.train import app
from flashocc_ros.data.synthetic import FrameCache, SyntheticDataset, write_cache
from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.model.checkpoint import load_checkpoint
from flashocc_ros.training.config import load_config
from flashocc_ros.variants import get_variant

CONFIG = Path(__file__).resolve().parents[2] / "config" / "train_synthetic.yaml"
QUICK = ["schedule.iterations=2", "schedule.warmup_iterations=0", "schedule.decay_start=1", "batch_size=1",
         "data.first_frames=0", "data.frames=0",
         "loss.image_only_iterations=1", "loss.columns=256", "loss.calibration_samples=1",
         "precision=fp32", "checkpoint_every=1", "picture_every=2"]  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    write_cache(folder, SyntheticDataset([0], frames_per_seed=2))
    return folder


def _run(arguments: list[str]) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_run_leaves_weights_log_and_checkpoint(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    overrides = [f"data.cache={cache}", *QUICK]
    assert "weights.safetensors" in _run([str(CONFIG), *overrides, "--out", str(out), "--quiet", "--device", "cpu"])
    weights = load_checkpoint(out / "weights.safetensors", get_variant("synthetic-tiny"))
    assert all(np.isfinite(value.float().numpy()).all() for value in weights.values())
    assert len((out / "log.jsonl").read_text().splitlines()) == 1
    assert json.loads((out / "config.json").read_text())["schedule"]["iterations"] == 2
    with pytest.raises(ConfigError, match="--resume"):
        _run([str(CONFIG), *overrides, "--out", str(out), "--quiet"])
    _run([str(CONFIG), *overrides, "schedule.iterations=3", "--out", str(out), "--quiet", "--resume"])
    assert json.loads((out / "config.json").read_text())["schedule"]["iterations"] == 3


def test_weights_of_an_earlier_run_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_text("weeks of work")
    with pytest.raises(ConfigError, match=r"already holds a run \(weights.safetensors\); move it"):
        _run([str(CONFIG), "--out", str(tmp_path), "--quiet"])


def test_held_out_drives_are_refused(tmp_path: Path) -> None:
    write_cache(tmp_path / "val", SyntheticDataset([1000], frames_per_seed=1))
    with pytest.raises(InputError, match="held out"):
        _run([str(CONFIG), f"data.cache={tmp_path / 'val'}", *QUICK, "--out", str(tmp_path / "run"), "--quiet"])


def test_a_missing_cache_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="flashocc synth --cache"):
        _run([str(CONFIG), f"data.cache={tmp_path / 'none'}", *QUICK, "--out", str(tmp_path / "run"), "--quiet"])


def test_the_quickstart_draws_its_frames_trains_and_shows_what_it_learned(tmp_path: Path) -> None:
    small = ["data.draw.drives=1", "data.draw.frames_per_drive=2", "held_out.seeds=[1000]", "schedule.iterations=2"]
    quick = [*small, "loss.image_only_iterations=1", "loss.columns=256", "loss.calibration_samples=1"]
    config, out = CONFIG.with_name("quickstart.yaml"), tmp_path / "run"
    said = _run([str(config), f"data.cache={tmp_path / 'frames'}", *quick, "--out", str(out), "--quiet"])
    numbers = json.loads((out / "learned.json").read_text())
    assert numbers["at the start"]["frames"] == numbers["after training"]["frames"] == 1
    assert numbers["at the start"]["IoU"] != numbers["after training"]["IoU"]
    assert f"{numbers['after training']['mIoU']:.3f}" in said
    picture = cv2.imread(str(out / "learned.png"))
    assert picture.shape[1] == 1920
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000
    assert len(FrameCache(tmp_path / "frames")) == 2


def test_drives_that_are_trained_on_are_not_held_out() -> None:
    with pytest.raises(ConfigError, match=r"held_out\.seeds"):
        load_config(CONFIG.with_name("quickstart.yaml"), ["held_out.seeds=[5]"])
