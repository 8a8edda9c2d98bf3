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

"""Telling which network the weights of a file belong to, and whether they can be what it learned."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from flashocc_ros.errors import CheckpointError
from flashocc_ros.model.build import build_model
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.model.weights_file import read_weights
from flashocc_ros.variants import VARIANTS, Variant, get_variant

# Kept by training frameworks, used by no inference: classifier of the ImageNet backbone, loss buffers, hook copies.
_TRAINING_ONLY = ("img_backbone.fc.", "img_backbone.head.", "ema_", "teacher.", "student.")
_TRAINING_ONLY_PARTS = ("loss", "class_weights", "auxiliary_head")
# Learned, but not evaluated at inference or rebuilt from the architecture: may be absent.
_OPTIONAL_PARTS = ("num_batches_tracked", "relative_position_index", ".dim.", ".rot.", ".vel.")
_WHOLE_NUMBERS = ("num_batches_tracked", "relative_position_index")
_SHOWN = 4
PREDICTS = "predicts"
"""Entry of a weights file of ours that says grid and classes, see ``Variant.predicts``."""
_PUBLISHED = VARIANTS["flashocc-r50-M0"].predicts
"""Of all files that do not say."""


@dataclass(frozen=True)
class Mismatch:
    """How the keys of a file differ from those of a network; empty when the file fits."""

    missing: tuple[str, ...]
    extra: tuple[str, ...]
    misshaped: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of keys that differ."""
        return len(self.missing) + len(self.extra) + len(self.misshaped)

    def __bool__(self) -> bool:
        return self.size > 0

    def __str__(self) -> str:
        parts = (("missing", self.missing), ("extra", self.extra), ("misshaped", self.misshaped))
        return "; ".join(f"{len(keys)} {label}: {shorten(keys)}" for label, keys in parts if keys)


def load_checkpoint(path: str | os.PathLike[str], variant: str | Variant) -> dict[str, Tensor]:
    """A complete state dict of ``variant`` from a ``.pth`` or ``.safetensors`` file, or a ``.pt`` of a training run.

    Half precision is widened to float32, training-only keys are dropped, keys that inference never reads may be absent.

    Raises:
        CheckpointError: the file or its values are refused (``read_weights``, ``check_values``), or it belongs to
            another variant, grid or class table; the message names the one that fits, or the keys that differ.
        ConfigError: unknown variant.
    """
    row = get_variant(variant)
    weights = read_weights(path)
    mismatch = compare_keys(weights.tensors, row)
    predicts = weights.meta.get(PREDICTS, _PUBLISHED)
    if predicts != row.predicts and (PREDICTS in weights.meta or not mismatch):
        raise CheckpointError(
            f"{path} was trained for {predicts}, {row.name} predicts {row.predicts}; take the variant it was trained "
            "with, or start a training of this one from it with init"
        )
    if mismatch:
        fitting = fitting_variants(weights.tensors)
        if fitting:
            raise CheckpointError(
                f"{path} holds weights of {' or '.join(fitting)}, not of {row.name}; use that variant, or start a "
                "training of this one from it with init"
            )
        raise CheckpointError(f"{path} does not fit {row.name} nor any other variant. {mismatch}")
    expected = _shapes(row)
    tensors = {key: weights.tensors[key] for key in expected if key in weights.tensors}
    check_values(path, tensors)
    if len(tensors) < len(expected):
        tensors = {**build_model(row).state_dict(), **tensors}
    return tensors


def check_values(path: str | os.PathLike[str], tensors: Mapping[str, Tensor]) -> None:
    """Refuse numbers that no training leaves in a network; training-only keys are passed over.

    Raises:
        CheckpointError: values are not floating point (counters and index tables aside) or not finite, or a running
            variance is not above zero; the message names the keys.
    """
    tensors = {key: tensor for key, tensor in tensors.items() if not _is_training_only(key)}
    whole = [k for k, t in tensors.items() if not t.is_floating_point() and not k.endswith(_WHOLE_NUMBERS)]
    if whole:
        kinds = ", ".join(sorted({str(tensors[key].dtype).removeprefix("torch.") for key in whole}))
        raise CheckpointError(
            f"{path} holds {kinds} instead of floating point numbers in {shorten(whole)}; save the weights unquantised"
        )
    broken = [key for key, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"{path} holds values that are not finite in {shorten(broken)}; the training diverged")
    flat = [key for key, tensor in tensors.items() if key.endswith("running_var") and not bool((tensor > 0).all())]
    if flat:
        raise CheckpointError(
            f"{path} holds running variances that are not above zero in {shorten(flat)}; train on, or fetch it again"
        )


def compare_keys(tensors: Mapping[str, Tensor], variant: Variant) -> Mismatch:
    """Keys of ``tensors`` against those of the network, optional and training-only ones aside."""
    expected = _shapes(variant)
    missing = [key for key in expected if key not in tensors and not any(p in key for p in _OPTIONAL_PARTS)]
    extra = [key for key in tensors if key not in expected and not _is_training_only(key)]
    misshaped = [
        f"{key} {tuple(tensor.shape)} instead of {expected[key]}"
        for key, tensor in tensors.items()
        if key in expected and tuple(tensor.shape) != expected[key]
    ]
    return Mismatch(tuple(missing), tuple(extra), tuple(misshaped))


def fitting_variants(tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Names of all variants whose keys and shapes the tensors have."""
    return tuple(name for name, variant in VARIANTS.items() if not compare_keys(tensors, variant))


@lru_cache(maxsize=64)
def _shapes(variant: Variant) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {key: tuple(tensor.shape) for key, tensor in FlashOcc(variant).state_dict().items()}


def _is_training_only(key: str) -> bool:
    return key.startswith(_TRAINING_ONLY) or any(part in key for part in _TRAINING_ONLY_PARTS)


def shorten(keys: Iterable[str]) -> str:
    """The first few of ``keys`` and how many more there are."""
    listed = list(keys)
    return ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")
