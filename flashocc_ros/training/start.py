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

"""Weights that a run starts from: what fits the network is taken, what does not is listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from flashocc_ros.errors import CheckpointError
from flashocc_ros.model.checkpoint import check_values, load_checkpoint, shorten
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.model.weights_file import read_weights
from flashocc_ros.variants import Variant

MIN_SHARE = 0.05
"""Share of a network's numbers below which a file is taken for another network's; a ResNet-50 alone is a quarter of
the largest that has one."""
_BACKBONE = "img_backbone."
# First layers by which the image backbones of classification are known, with and without the wrapper that names them.
_BACKBONE_MARKS = ("layer1.0.conv1.weight", "patch_embed.projection.weight", "patch_embed.proj.weight")
# Parts whose input are the maps of all frames.
_FRAME_INPUTS = ("img_bev_encoder_backbone.", "occ_head.", "aux_centerness_head.")
# Counted or rebuilt, not learned.
_NOT_LEARNED = ("num_batches_tracked", "relative_position_index", "attn_mask")


@dataclass(frozen=True, eq=False)
class Start:
    """A complete state dict to start from and how it came about.

    Attributes:
        values: state dict of the network.
        share: part of its numbers that came from the file.
        left: keys of the network that keep their initial values.
        unused: keys of the file that were not taken, with their shape where that is why.
    """

    values: dict[str, Tensor]
    share: float
    left: tuple[str, ...]
    unused: tuple[str, ...]

    def summary(self) -> str:
        """One line for people."""
        left = f"; {len(self.left)} tensors start untrained: {shorten(self.left)}" if self.left else ""
        unused = f"; {len(self.unused)} of the file are not used: {shorten(self.unused)}" if self.unused else ""
        return f"{self.share:.1%} of the network{left}{unused}"

    def listing(self) -> str:
        """Every key that was left or not used, one a line."""
        return "".join(
            [*(f"starts untrained: {key}\n" for key in self.left), *(f"not used: {key}\n" for key in self.unused)]
        )


def starting_weights(path: Path, model: FlashOcc, init_variant: str | None = None) -> Start:
    """Fit a file to ``model``: its own kind of checkpoint, one with other heads or fewer frames, or an image backbone.

    An image backbone may have the names of torchvision, timm, mmpretrain or the authors of Swin.

    Args:
        path: any file that ``read_weights`` takes.
        model: network with its initial values, which stay where nothing fits.
        init_variant: when given, the file must be a complete checkpoint of that variant.

    Raises:
        CheckpointError: the file is refused, its values are, or less than ``MIN_SHARE`` of the network fits.
    """
    tensors = (
        named_like_ours(read_weights(path).tensors) if init_variant is None else load_checkpoint(path, init_variant)
    )
    target = model.state_dict()
    taken: dict[str, Tensor] = {}
    unused: list[str] = []
    for key, value in tensors.items():
        if key.endswith(_NOT_LEARNED):
            continue
        fitted = _fitted(key, value, target[key], model.variant) if key in target else None
        if fitted is not None:
            taken[key] = fitted
        else:
            wanted = f" {tuple(value.shape)} instead of {tuple(target[key].shape)}" if key in target else ""
            unused.append(key + wanted)
    check_values(path, taken)
    learned = {key: value for key, value in target.items() if not key.endswith(_NOT_LEARNED)}
    share = sum(target[key].numel() for key in taken) / sum(value.numel() for value in learned.values())
    start = Start({**target, **taken}, share, tuple(key for key in learned if key not in taken), tuple(unused))
    if share < MIN_SHARE:
        raise CheckpointError(
            f"{path} fits {share:.1%} of {model.variant.name}, at least {MIN_SHARE:.0%} must; give weights of a "
            f"related network or of its {model.variant.backbone} backbone ({start.summary()})"
        )
    return start


def _fitted(key: str, value: Tensor, target: Tensor, variant: Variant) -> Tensor | None:
    """``value`` in the shape of ``target``: itself, or with zeros for the maps of frames it did not see; else None."""
    if value.shape == target.shape:
        return value
    fewer_inputs = value.ndim == target.ndim >= 2 and value.shape[1] < target.shape[1]
    if not fewer_inputs or not key.startswith(_FRAME_INPUTS):
        return None
    if (value.shape[0], *value.shape[2:]) != (target.shape[0], *target.shape[2:]):
        return None
    wide = torch.zeros(target.shape, dtype=value.dtype)
    # The key frame is the one that the narrower network knows.
    wide.narrow(1, target.shape[1] - value.shape[1] if variant.oldest_first else 0, value.shape[1]).copy_(value)
    return wide


def named_like_ours(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keys of a file by the names of our networks, those of an image backbone of classification included."""
    bare = {key.removeprefix("backbone."): value for key, value in tensors.items()}
    if not any(mark in bare for mark in _BACKBONE_MARKS):
        return dict(tensors)
    if "patch_embed.proj.weight" in bare:
        bare = _swin_named_like_ours(bare)
    return {_BACKBONE + key: value for key, value in bare.items()}


def _swin_named_like_ours(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From the names and the neighbour order of the Swin authors, or of timm, to those of the published detectors."""
    # timm counts a merging to the stage behind it, the authors to the one before.
    merges_before = "layers.0.downsample.reduction.weight" in tensors
    result = {}
    for key, value in tensors.items():
        if key.startswith("layers."):
            _, stage, *rest = key.split(".")
            if rest[0] == "downsample":
                stage = stage if merges_before else str(int(stage) - 1)
                value = _neighbours_in_unfold_order(value)
            key = ".".join(["stages", stage, *rest])
        for theirs, ours in (
            (".attn.", ".attn.w_msa."),
            (".mlp.fc1.", ".ffn.layers.0.0."),
            (".mlp.fc2.", ".ffn.layers.1."),
            ("patch_embed.proj.", "patch_embed.projection."),
        ):
            key = key.replace(theirs, ours)
        result[key] = value
    return result


def _neighbours_in_unfold_order(value: Tensor) -> Tensor:
    """Input axis (..., 4 C) from neighbour-major, columns outside rows, to channel-major, rows outside columns."""
    groups = value.unflatten(-1, (2, 2, -1))
    return groups.transpose(-3, -2).movedim(-1, -3).flatten(-3).contiguous()
