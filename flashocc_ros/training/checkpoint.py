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

"""Run state on disk: everything needed to continue to exactly the same losses.

Random numbers need no entry: data order, augmentation and dropout are functions of seed and step number.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from flashocc_ros.errors import CheckpointError, OutputError, TrainingError
from flashocc_ros.model.weights_file import check_archive
from flashocc_ros.training.schedule import WeightAverage
from flashocc_ros.whole_file import whole_file, write_whole

LAST, WEIGHTS, BEST = "last.pt", "weights.safetensors", "best.safetensors"
# Running statistics may lie outside the range of half precision, and take little room.
_STATISTICS = ("running_mean", "running_var")


def save_state(
    folder: Path,
    iteration: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage,
    keep: int,
    scaler: torch.amp.GradScaler | None = None,
    notes: dict[str, str] | None = None,
) -> Path:
    """Write ``last.pt`` and, with ``keep`` > 0, a numbered copy; readers never see half a file.

    Args:
        notes: short texts that go with it.

    Raises:
        TrainingError: it cannot be written; the checkpoint before stays.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot make the folder {folder} ({error.strerror}); give another --out") from error
    state = {
        "iteration": iteration,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.state_dict(),
        "scaler": {} if scaler is None else scaler.state_dict(),
        **(notes or {}),
    }
    path = folder / LAST
    try:
        save_whole(path, state)
        if keep:
            numbered = folder / f"iteration_{iteration:07d}.pt"
            numbered.unlink(missing_ok=True)
            os.link(path, numbered)
            for old in sorted(folder.glob("iteration_*.pt"))[:-keep]:
                old.unlink()
    except (OutputError, OSError) as error:
        system = error.__cause__ if isinstance(error, OutputError) else error
        reason = getattr(system, "strerror", None) or error
        raise TrainingError(f"cannot write {path} ({reason}); free some space and continue with --resume") from error
    return path


def save_whole(path: Path, value: Any) -> None:
    """``torch.save``, whole or not at all.

    Raises:
        OutputError: it cannot be written, with the reason of the system.
    """
    with whole_file(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(value, file)
        except RuntimeError as error:  # the zip writer stumbles over the file that could not be written
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def load_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage,
    scaler: torch.amp.GradScaler | None = None,
    accept: Callable[[int], None] | None = None,
) -> int:
    """Restore a run.

    Args:
        accept: called with the number of finished iterations before anything is restored; may refuse by raising.

    Returns:
        The number of finished iterations.

    Raises:
        CheckpointError: the file is missing, damaged or belongs to another network.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; start without --resume")
    check_archive(path)
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        iteration = state["iteration"]
        if not isinstance(iteration, int) or iteration < 0:
            raise ValueError(f"{iteration} is no number of iterations")
        _check_finite(state["model"])
    except Exception as error:  # torch.load raises whatever its unpickler stumbles over
        raise _unusable(path, error) from error
    if accept is not None:
        accept(iteration)
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average.load_state_dict(state["average"])
        if scaler is not None:
            scaler.load_state_dict(state.get("scaler", {}))
    except Exception as error:  # what fits no other network has many shapes
        raise _unusable(path, error) from error
    return iteration


def _check_finite(values: dict[str, Tensor]) -> None:
    """Raise ValueError where ``values`` hold something that is not finite: every later loss would not be either."""
    broken = [key for key, value in values.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise ValueError(f"{broken[0]} holds values that are not finite")


def _unusable(path: Path, error: Exception) -> CheckpointError:
    if isinstance(error, pickle.UnpicklingError):  # whose sentence recommends to run whatever the file holds
        reason = "it holds something else than tensors, numbers and text, or is damaged; nothing of it was run"
    else:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
    return CheckpointError(f"cannot continue from {path}: {reason}; start anew in another --out")


def export_weights(path: Path, values: dict[str, Tensor], metadata: dict[str, str], half: bool = True) -> None:
    """Write weights as safetensors; learned ones as fp16 when ``half``. Readers never see half a file.

    The same weights and notes are the same bytes: engines and results are known by the hash of this file.
    """
    tensors = {
        key: (
            value.half() if half and value.dtype.is_floating_point and not key.endswith(_STATISTICS) else value
        ).contiguous()
        for key, value in values.items()
    }
    # The writer of safetensors makes files that only their owner can read; ours get the mode of any other file.
    write_whole(path, _with_sorted_notes(save(tensors, metadata)))


def _with_sorted_notes(file: bytes) -> bytes:
    """``file`` with its metadata in order: safetensors writes them in another one each time.

    The layout (u64 length, JSON padded by spaces to 8 bytes, data): https://github.com/huggingface/safetensors
    """
    start = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:start])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + file[start:]
