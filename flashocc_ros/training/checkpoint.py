"""Run state on disk: everything needed to continue to exactly the same losses.

Random numbers need no entry: data order, augmentation and dropout are functions of seed and step number.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from flashocc_ros.errors import CheckpointError
from flashocc_ros.training.schedule import WeightAverage

LAST = "last.pt"


def save_state(
    folder: Path, iteration: int, model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage, keep: int
) -> Path:
    """Write ``last.pt`` and, with ``keep`` > 0, a numbered copy; readers never see half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "iteration": iteration,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.state_dict(),
    }
    path = folder / LAST
    temporary = folder / f"{LAST}.writing"
    torch.save(state, temporary)
    os.replace(temporary, path)
    if keep:
        numbered = folder / f"iteration_{iteration:07d}.pt"
        numbered.unlink(missing_ok=True)
        os.link(path, numbered)
        for old in sorted(folder.glob("iteration_*.pt"))[:-keep]:
            old.unlink()
    return path


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage) -> int:
    """Restore a run; returns the number of finished iterations.

    Raises:
        CheckpointError: the file is missing, damaged or belongs to another network.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average.load_state_dict(state["average"])
        return int(state["iteration"])
    except FileNotFoundError as error:
        raise CheckpointError(f"no checkpoint at {path}; start without --resume") from error
    except Exception as error:  # torch.load raises whatever unpickler or zip reader stumble over
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"cannot continue from {path}: {reason}") from error


def export_weights(path: Path, values: dict[str, Tensor], metadata: dict[str, str], half: bool = True) -> None:
    """Write weights as safetensors; floating-point ones as fp16 when ``half``."""
    tensors = {
        key: (value.half() if half and value.dtype.is_floating_point else value).contiguous()
        for key, value in values.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata=metadata)
