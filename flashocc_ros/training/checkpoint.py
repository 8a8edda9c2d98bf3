"""Run state on disk: everything needed to continue to exactly the same losses.

Random numbers need no entry: data order, augmentation and dropout are functions of seed and step number.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
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


def widened(values: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a network with fewer frames, for one that sees more: its new input channels start at zero.

    Layers that only ``target`` has stay as they are there. Without such the wider network starts as the narrower one,
    because the key frame comes first.

    Raises:
        CheckpointError: a weight differs in more than its number of input channels.
    """
    result = dict(target)
    for name, value in values.items():
        shape = target[name].shape
        if value.shape != shape:
            other_axes_fit = value.ndim == len(shape) >= 2 and (value.shape[0], *value.shape[2:]) == (
                shape[0],
                *shape[2:],
            )
            if not other_axes_fit or value.shape[1] > shape[1]:
                raise CheckpointError(f"{name} has shape {tuple(value.shape)}, the network needs {tuple(shape)}")
            wide = torch.zeros(shape, dtype=value.dtype)
            wide[:, : value.shape[1]] = value
            value = wide
        result[name] = value
    return result


def export_weights(path: Path, values: dict[str, Tensor], metadata: dict[str, str], half: bool = True) -> None:
    """Write weights as safetensors; floating-point ones as fp16 when ``half``."""
    tensors = {
        key: (value.half() if half and value.dtype.is_floating_point else value).contiguous()
        for key, value in values.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata=metadata)
