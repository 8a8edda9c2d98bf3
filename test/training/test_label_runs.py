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

"""Runs on labelled drives: what is kept apart is measured, the best weights stay, stages keep still."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from labelled_drive import CAR, write_drive
from safetensors.torch import load_file

from flashocc_ros.data.label_folder import open_drives
from flashocc_ros.data.partial_labels import target_names
from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import CLASS_NAMES, FREE
from flashocc_ros.model.build import build_model
from flashocc_ros.model.checkpoint import load_checkpoint
from flashocc_ros.training.batch import Prepared
from flashocc_ros.training.config import TrainConfig
from flashocc_ros.training.label_source import LabelSource
from flashocc_ros.training.loop import build_objective, train
from flashocc_ros.training.muon import build_optimizer
from flashocc_ros.training.processes import Worker
from flashocc_ros.training.resume import check_same_run
from flashocc_ros.training.sources import open_sources
from flashocc_ros.training.stages import freeze, rate_factors, stage_modules
from flashocc_ros.training.validation import Overlaps, best_score
from flashocc_ros.variants import get_variant

CPU = Worker(0, 1, torch.device("cpu"))
SHIPPED = Path(__file__).resolve().parents[2] / "flashocc_ros" / "weights" / "synthetic-tiny.safetensors"
TREE = CLASS_NAMES.index("vegetation")


def settings(folder: Path, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "variant": "synthetic-tiny",
        "init": SHIPPED,
        "data": {"kind": "labels", "folders": [folder]},
        "schedule": {"iterations": 2, "warmup_iterations": 0},
        "optimizer": {"lr": 1e-3},
        "loss": {"columns": 256},
        "validation": {"drives": ["kept"], "every": 1, "frames": 1},
        "batch_size": 1,
        "workers": 0,
        "checkpoint_every": 1,
        "log_every": 1,
    }
    return TrainConfig.model_validate({**values, **changes})


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    write_drive(folder, "kept", frames=1)
    write_drive(folder, "learned", frames=2)
    return folder


@pytest.fixture(scope="module")
def run(drives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    config = settings(drives, frozen=["backbone"])
    source, kept = open_sources(config)
    train(config, source, out, CPU, quiet=True, validation=kept)
    return out


def test_drives_kept_apart_are_measured_before_during_and_after(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    measured = {row["iteration"]: row["validation_mIoU"] for row in rows if "validation_mIoU" in row}
    assert list(measured) == [0, 1, 2]
    best = best_score(run / "best.safetensors")
    assert best == pytest.approx(max(measured.values()), abs=1e-6)


def test_best_and_last_weights_are_taken_wherever_weights_are(run: Path) -> None:
    for name in ("best.safetensors", "weights.safetensors", "last.pt", "iteration_0000001.pt"):
        assert load_checkpoint(run / name, "synthetic-tiny").keys()


def test_a_run_starts_from_every_file_of_another(run: Path, drives: Path, tmp_path: Path) -> None:
    for name in ("best.safetensors", "last.pt"):
        config = settings(drives, init=run / name, schedule={"iterations": 1}, validation=None)
        out = tmp_path / name
        train(config, open_sources(config)[0], out, CPU, quiet=True)
        assert (out / "init.txt").read_text() == ""


def test_a_frozen_stage_keeps_weights_and_statistics(run: Path) -> None:
    before, after = load_file(SHIPPED), load_file(run / "weights.safetensors")
    still = [key for key in before if key.startswith("img_backbone.") and "num_batches" not in key]
    assert still
    for key in still:
        torch.testing.assert_close(after[key].float(), before[key].float(), rtol=1e-3, atol=1e-6)
    name = "occ_head.predicter.0.weight"
    assert not torch.equal(after[name].float(), before[name].float())


def test_the_classes_of_the_labels_are_counted_and_kept(run: Path) -> None:
    classes = json.loads((run / "classes.json").read_text())
    assert set(classes) == {"car", "free", "ground of unknown class", "something of unknown class"}
    assert classes["car"]["weight"] > classes["free"]["weight"]
    state = torch.load(run / "last.pt", weights_only=True)["model"]
    assert state["counts"].shape == (len(target_names()),)
    assert int(state["counts"][CAR]) == classes["car"]["voxels"] + 1


def test_how_often_is_measured_may_change_but_not_on_what(run: Path, drives: Path) -> None:
    often = settings(drives, frozen=["backbone"], validation={"drives": ["kept"], "every": 7, "frames": 0})
    check_same_run(run, often, 2)
    other = settings(drives, frozen=["backbone"], validation={"drives": ["learned"], "every": 1, "frames": 1})
    with pytest.raises(ConfigError, match=r"begun with validation\.drives=\['kept'\]"):
        check_same_run(run, other, 2)


def test_every_variant_stage_has_weights_and_none_is_left_out() -> None:
    for name in ("synthetic-tiny-4d", "panoptic-flashocc-r50-depth4d-pano", "bevdet-occ-r50"):
        model = build_model(name)
        stages = ("backbone", "neck", "depth", "bev_encoder", "head")
        counts = [sum(p.numel() for m in stage_modules(model, stage) for p in m.parameters()) for stage in stages]
        assert all(counts)
        assert sum(counts) == sum(p.numel() for p in model.parameters())


def test_stages_have_their_own_rates() -> None:
    model = build_model("synthetic-tiny")
    freeze(model, ["neck"])
    config = settings(
        Path("labels"), optimizer={"lr": 1e-3, "muon_lr": 0.01, "stage_rates": {"backbone": 0.1}}
    ).optimizer
    optimizer = build_optimizer(model, config, rate_factors(model, config.stage_rates))
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    rates = sorted({rate[id(p)] for p in model.img_backbone.parameters()})
    assert rates == pytest.approx([1e-4, 1e-3])
    assert {rate[id(p)] for p in model.img_bev_encoder_backbone.parameters()} == {1e-3, 0.01}
    assert not [p for p in model.img_neck.parameters() if id(p) in rate]


def test_what_is_unknown_changes_no_loss(drives: Path, tmp_path: Path) -> None:
    """Another class behind what nobody observed, and another guess of an unknown class."""
    volumes = np.load(next((drives / "learned").glob("*/labels.npz")))
    semantics = volumes["semantics"].copy()
    semantics[volumes["mask_lidar"] == 0] = TREE
    semantics[150, 90:110, 3:8] = TREE
    write_drive(tmp_path, "learned", arrays={"semantics": semantics})
    losses = []
    for folder in (drives / "learned", tmp_path / "learned"):
        source = LabelSource(open_drives([folder]), get_variant("synthetic-tiny"))
        objective = build_objective(
            build_model("synthetic-tiny", seed=0), source.variant, settings(folder, validation=None), source
        )
        torch.manual_seed(0)
        sample = source.sample(0, None)
        values = objective([Prepared(sample, sample.lift_tables(source.variant), 0, 0)], 0, 0)
        losses.append({name: float(value.detach()) for name, value in values.items()})
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", ["flashocc-r50-M0", "panoptic-flashocc-r50-depth-tiny-pano"])
def test_the_published_losses_take_labels(drives: Path, name: str) -> None:
    variant = get_variant(name)
    source = LabelSource(open_drives([drives / "learned"]), variant)
    objective = build_objective(
        build_model(variant, seed=0), variant, settings(drives, variant=name, init=None, loss=None), source
    )
    assert set(objective.classes()) == ({"car", "free"} if variant.head == "v2" else set())
    sample = source.sample(0, None)
    values = objective([Prepared(sample, [], 0, 0)], 0, 0)
    assert all(torch.isfinite(value) for value in values.values())
    torch.stack(list(values.values())).sum().backward()


def test_scores_do_not_ask_for_classes_that_nobody_knows(drives: Path) -> None:
    sample = LabelSource(open_drives([drives / "learned"]), get_variant("synthetic-tiny")).sample(0, None)
    guess = np.where(sample.semantics < FREE, sample.semantics, FREE).astype(np.uint8)
    guess[..., 2] = CLASS_NAMES.index("sidewalk")
    guess[150, 90:110, 3:8] = TREE
    perfect = Overlaps()
    perfect.update(guess, sample)
    assert perfect.scores() == {"mIoU": 1.0, "above_ground": 1.0}
    guess[150, 90:100, 3:8] = CAR
    wrong = Overlaps()
    wrong.update(guess, sample)
    assert wrong.scores()["mIoU"] < 0.9
    assert wrong.scores()["above_ground"] == 1.0
