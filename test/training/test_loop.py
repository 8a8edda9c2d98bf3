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

"""The loop learns, continues exactly, stops on NaN, and is the same on one process and on two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from street_source import StreetSource, tiny_config

from flashocc_ros.errors import CheckpointError, ConfigError, TrainingError
from flashocc_ros.model import build_model, load_checkpoint
from flashocc_ros.training.loop import train
from flashocc_ros.training.processes import Worker
from flashocc_ros.training.resume import check_same_run

ALONE = Worker(0, 1, torch.device("cpu"))


def test_loss_falls_to_less_than_half_in_a_short_run(source: StreetSource, make_config: Any, tmp_path: Path) -> None:
    config = make_config(schedule={"iterations": 24, "warmup_iterations": 3}, ema={"decay": 0.9})
    history = train(config, source, tmp_path, ALONE, quiet=True)
    assert np.mean(history[-3:]) < 0.5 * np.mean(history[:3])
    assert (tmp_path / "weights.safetensors").stat().st_size < 12e6
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 24
    assert {"depth", "segmentation", "cross_entropy", "overlap", "center_heatmap"} <= lines[0].keys()


def test_a_killed_run_continues_to_the_same_losses(source: StreetSource, make_config: Any, tmp_path: Path) -> None:
    config = make_config(loss={"columns": 512, "image_only_iterations": 1}, accumulate=2)
    whole = train(config, source, tmp_path / "whole", ALONE, quiet=True)
    first = train(config, source, tmp_path / "killed", ALONE, stop_after=1, quiet=True)
    second = train(config, source, tmp_path / "killed", ALONE, resume=True, quiet=True)
    assert first + second == whole
    states = [torch.load(tmp_path / run / "last.pt", weights_only=True) for run in ("whole", "killed")]
    for key, value in states[0]["average"]["values"].items():
        assert torch.equal(value, states[1]["average"]["values"][key]), key


@pytest.mark.parametrize("seed", [0, 3])
def test_the_seed_decides_the_initial_weights(
    seed: int, source: StreetSource, make_config: Any, tmp_path: Path
) -> None:
    still = {"lr": 1e-30, "weight_decay": 0.0}
    config = make_config(seed=seed, optimizer=still, schedule={"iterations": 1, "warmup_iterations": 0})
    train(config, source, tmp_path, ALONE, quiet=True)
    weights = torch.load(tmp_path / "last.pt", weights_only=True)["model"]
    expected = build_model(config.variant, seed=seed).img_backbone.conv1.weight
    assert torch.equal(weights["model.img_backbone.conv1.weight"], expected)


def test_checkpoints_of_a_run_are_weights_too(source: StreetSource, make_config: Any, tmp_path: Path) -> None:
    train(make_config(), source, tmp_path, ALONE, stop_after=1, quiet=True)
    average = torch.load(tmp_path / "last.pt", weights_only=True)["average"]["values"]
    for name in ("last.pt", "iteration_0000001.pt"):
        weights = load_checkpoint(tmp_path / name, "synthetic-tiny")
        build_model("synthetic-tiny").load_state_dict(weights)
        assert all(torch.equal(value, average[f"model.{key}"]) for key, value in weights.items())


def test_a_run_starts_from_what_fits_and_lists_the_rest(
    source: StreetSource, make_config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = build_model("synthetic-tiny", seed=7).state_dict()
    values["occ_head.predicter.2.bias"] = torch.zeros(12 * 16)
    torch.save({"state_dict": values}, tmp_path / "twelve_classes.pth")
    config = make_config(init=tmp_path / "twelve_classes.pth", schedule={"iterations": 1, "warmup_iterations": 0})
    train(config, source, tmp_path, ALONE, quiet=True)
    assert "1 tensors start untrained: occ_head.predicter.2.bias" in capsys.readouterr().err
    assert "not used: occ_head.predicter.2.bias (192,) instead of (288,)" in (tmp_path / "init.txt").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, r"begun with seed=0, not 1; continue it with seed=0, or start anew in another --out"),
        ({"optimizer": {"lr": 1e-3}}, r"begun with optimizer\.lr=0\.002, not 0\.001"),
        ({"schedule": {"iterations": 3, "warmup_iterations": 1}}, r"schedule\.warmup_iterations=2, not 1"),
        ({"schedule": {"iterations": 1, "warmup_iterations": 2}}, r"2 iterations done, schedule\.iterations is 1"),
        ({"loss": None, "data": {"kind": "nuscenes", "root": "x"}}, r"begun with data\.kind=synthetic, not nuscenes"),
        ({"ema": {"decay": 0.5}}, r"begun with ema\.decay=0\.999, not 0\.5"),
    ],
)
def test_a_run_is_only_continued_as_it_was_begun(
    changes: dict[str, Any], message: str, source: StreetSource, make_config: Any, begun: Path, tmp_path: Path
) -> None:
    settings = (begun / "config.json").read_text()
    with pytest.raises(ConfigError, match=message):
        train(make_config(**changes), source, begun, ALONE, resume=True, quiet=True)
    assert (begun / "config.json").read_text() == settings


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run stopped after two of three iterations."""
    out = tmp_path_factory.mktemp("begun")
    train(tiny_config(), StreetSource(), out, ALONE, stop_after=2, quiet=True)
    return out


def test_what_lies_ahead_of_a_run_may_change(make_config: Any, begun: Path) -> None:
    longer = make_config(schedule={"iterations": 5, "warmup_iterations": 2}, workers=1, log_every=7)
    check_same_run(begun, longer, 2)
    check_same_run(begun, make_config(schedule={"iterations": 5, "warmup_iterations": 2, "decay_start": 2}), 2)


def test_resuming_a_finished_run_writes_its_weights_again(
    source: StreetSource, make_config: Any, tmp_path: Path
) -> None:
    config = make_config(schedule={"iterations": 1, "warmup_iterations": 0})
    train(config, source, tmp_path, ALONE, quiet=True)
    weights = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").unlink()
    assert train(config, source, tmp_path, ALONE, resume=True, quiet=True) == []
    assert (tmp_path / "weights.safetensors").read_bytes() == weights


def test_resume_without_a_checkpoint_says_so(source: StreetSource, make_config: Any, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="start without --resume"):
        train(make_config(), source, tmp_path, ALONE, resume=True, quiet=True)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_batch(
    source: StreetSource, make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = source.sample

    def broken(index: int, rng: np.random.Generator) -> Any:
        sample = real(index, rng)
        sample.boxes[:, 2] = np.nan
        return sample

    monkeypatch.setattr(source, "sample", broken)
    with pytest.raises(TrainingError, match="center_z is not finite at iteration 0"):
        train(make_config(), source, tmp_path, ALONE, quiet=True)
    (saved,) = tmp_path.glob("not_finite_*.pt")
    batch = torch.load(saved, weights_only=True)["batch"]
    assert batch[0]["sample"]["semantics"].shape == (200, 200, 16)


def test_a_variant_with_a_past_and_stereo_trains_too(make_config: Any, tmp_path: Path) -> None:
    config = make_config(variant="synthetic-tiny-4d", schedule={"iterations": 2, "warmup_iterations": 0})
    history = train(config, StreetSource(num_frames=3), tmp_path, ALONE, quiet=True)
    assert np.isfinite(history).all()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in one order: the first steps of Adam turn rounding into differences of a percent."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_two_processes_follow_the_same_curve_as_one(source: StreetSource, tmp_path: Path) -> None:
    config = tiny_config(accumulate=2)
    alone = train(config, source, tmp_path / "alone", ALONE, quiet=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    subprocess.run(
        [*command, str(Path(__file__).with_name("two_processes.py")), str(tmp_path / "pair")],
        env=environment, check=True, timeout=600, capture_output=True,
    )  # fmt: skip
    pair = [json.loads(line)["total"] for line in (tmp_path / "pair" / "log.jsonl").read_text().splitlines()]
    np.testing.assert_allclose(pair, alone, rtol=2e-4)
