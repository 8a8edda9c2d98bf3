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

"""Weights move between networks and files without losing anything."""

from __future__ import annotations

import os
import resource
import signal
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from flashocc_ros.errors import CheckpointError, TrainingError
from flashocc_ros.training.checkpoint import export_weights, load_state, save_state
from flashocc_ros.training.config import Ema
from flashocc_ros.training.schedule import WeightAverage


def test_exported_weights_are_half_precision_and_keep_counters(tmp_path: Path) -> None:
    values = {"w": torch.tensor([1.0, 0.5]), "n": torch.tensor(3)}
    export_weights(tmp_path / "w.safetensors", values, {"variant": "x"})
    stored = load_file(tmp_path / "w.safetensors")
    assert stored["w"].dtype == torch.float16
    assert stored["n"].dtype == torch.int64
    assert stored["w"].tolist() == [1.0, 0.5]


def test_the_same_weights_and_notes_are_the_same_bytes(tmp_path: Path) -> None:
    values, notes = {"w": torch.ones(3), "v": torch.zeros(2)}, {name: name * 2 for name in "abcdé"}
    files = []
    for _ in range(8):
        export_weights(tmp_path / "w.safetensors", values, notes)
        files.append((tmp_path / "w.safetensors").read_bytes())
    assert len(set(files)) == 1
    with safe_open(tmp_path / "w.safetensors", "pt") as stored:
        assert stored.metadata() == notes
        assert {name: stored.get_tensor(name).tolist() for name in values} == {"w": [1, 1, 1], "v": [0, 0]}


def test_exported_weights_have_the_mode_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        export_weights(tmp_path / "w.safetensors", {"w": torch.zeros(1)}, {})
    finally:
        os.umask(before)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_running_statistics_keep_what_half_precision_cannot_hold(tmp_path: Path) -> None:
    values = {"bn.running_var": torch.tensor([1e6, 1e-9]), "bn.running_mean": torch.tensor([1e5, 0.0])}
    export_weights(tmp_path / "w.safetensors", values, {})
    stored = load_file(tmp_path / "w.safetensors")
    for key, value in values.items():
        assert torch.equal(stored[key], value), key


@pytest.fixture
def layer() -> nn.Linear:
    return nn.Linear(2, 2)


def _parts(layer: nn.Linear) -> tuple[nn.Linear, torch.optim.Optimizer, WeightAverage]:
    return layer, torch.optim.AdamW(layer.parameters()), WeightAverage(layer, Ema())


def test_the_loss_scale_is_restored(layer: nn.Linear, tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.zeros(1))
    save_state(tmp_path, 3, *_parts(layer), keep=0, scaler=scaler)
    fresh = torch.amp.GradScaler("cpu")
    assert load_state(tmp_path / "last.pt", *_parts(layer), fresh) == 3
    assert fresh.get_scale() == 1024.0


def test_a_damaged_run_is_not_continued(layer: nn.Linear, tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    path = save_state(tmp_path, 3, *_parts(layer), keep=0, scaler=scaler)
    with zipfile.ZipFile(path) as archive:
        weight = next(entry for entry in archive.infolist() if entry.filename.endswith("data/0"))
    content = bytearray(path.read_bytes())
    start = weight.header_offset + 30 + len(weight.filename)
    start += int.from_bytes(content[weight.header_offset + 28 : weight.header_offset + 30], "little")
    content[start] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checksum of .*data/0 is wrong"):
        load_state(path, *_parts(layer), scaler)


def test_weights_that_are_not_finite_are_not_continued(layer: nn.Linear, tmp_path: Path) -> None:
    layer.bias.data[0] = torch.nan
    path = save_state(tmp_path, 3, *_parts(layer), keep=0)
    with pytest.raises(CheckpointError, match=r"bias holds values that are not finite; start anew"):
        load_state(path, *_parts(layer))


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(layer: nn.Linear, tmp_path: Path) -> None:
    path = save_state(tmp_path, 1, *_parts(layer), keep=0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file may grow no further: what a full disk says, too.
    signal_before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1]))
    try:
        with pytest.raises(TrainingError, match=r"cannot write .*last\.pt \(File too large\); .*--resume"):
            save_state(tmp_path, 2, *_parts(layer), keep=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, signal_before)
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
    assert load_state(path, *_parts(layer)) == 1


def test_a_folder_that_cannot_be_made_is_one_sentence(layer: nn.Linear, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    average = WeightAverage(layer, Ema())
    with pytest.raises(TrainingError, match=r"cannot make the folder .*run \(File exists\); give another --out"):
        save_state(tmp_path / "run", 1, layer, torch.optim.AdamW(layer.parameters()), average, 1)


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


def test_a_checkpoint_that_would_run_code_is_refused_without_advice_to_run_it(
    layer: nn.Linear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": _Payload()}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="nothing of it was run; start anew in another --out") as caught:
        load_state(tmp_path / "last.pt", *_parts(layer))
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
