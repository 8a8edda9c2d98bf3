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

"""From a batch to named losses: the published recipe of each variant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from flashocc_ros.model.network import FlashOcc
from flashocc_ros.training import losses
from flashocc_ros.training.batch import Prepared, normalised
from flashocc_ros.training.losses.partial import partial_cross_entropy
from flashocc_ros.variants import Variant


class Objective(nn.Module):
    """A network together with what it is trained for; called with a batch it returns weighted losses by name."""

    model: FlashOcc

    def forward(self, batch: Sequence[Prepared], iteration: int, seed: int) -> dict[str, Tensor]:
        """Losses whose sum is minimised; ``iteration`` and ``seed`` decide stages and random choices."""
        raise NotImplementedError

    def classes(self) -> dict[str, tuple[int, float]]:
        """Voxels that were counted in the data and the weight that follows, by class; nothing where none were."""
        return {}

    def finished(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Last touch on the averaged weights ``values`` of the network before they are exported."""
        return values


class PublishedObjective(Objective):
    """Losses of the reference: masked CE (2D and 3D head) or focal, scaling and Lovasz (v2), depth, centres.

    Args:
        counts: (18,) voxels per class, by which the focal loss is weighted; None takes those of nuScenes.
    """

    class_weights: Tensor

    def __init__(self, model: FlashOcc, variant: Variant, counts: Tensor | None = None) -> None:
        super().__init__()
        self.model, self.variant, self._counts = model, variant, counts
        weights = losses.class_frequency_weights(counts, variant.classes)
        self.register_buffer("class_weights", weights, persistent=False)

    def classes(self) -> dict[str, tuple[int, float]]:
        """Counted voxels that cameras see, and weights of the focal loss."""
        if self._counts is None or self.variant.head != "v2":
            return {}
        names, counts = self.variant.classes.names, (self._counts - 1).long().tolist()
        table = zip(names, counts, self.class_weights.tolist(), strict=True)
        return {name: (count, weight) for name, count, weight in table if count}

    def forward(self, batch: Sequence[Prepared], iteration: int, seed: int) -> dict[str, Tensor]:
        device = self.class_weights.device
        samples = [item.sample for item in batch]
        images = torch.stack([normalised(s.images, device) for s in samples])
        out = self.model.forward_batch(images, [s.geometry for s in samples], align="lift")
        truth = torch.from_numpy(np.stack([s.semantics for s in samples])).to(device).long()
        possible = samples[0].possible
        logits = out.head.occ_logits.float()
        mask = torch.from_numpy(np.stack([s.mask_camera for s in samples])).to(device)
        grid, classes = self.variant.grid, self.variant.classes
        if self.variant.head == "v2":
            vehicle = (-grid.origin_m[0] / grid.resolution_m, -grid.origin_m[1] / grid.resolution_m)
            # Over the whole volume; where only a group of classes is known, that something is there counts.
            certain = torch.where(truth < logits.shape[-1], truth, losses.IGNORE)
            result = {
                "focal": losses.focal_occupancy(logits, certain, self.class_weights, vehicle=vehicle),
                "semantic_scaling": losses.semantic_scaling(logits, certain, classes.free),
                "geometric_scaling": losses.geometric_scaling(logits, truth, classes.free),
                "lovasz": losses.lovasz_softmax(logits, certain),
            }
        elif possible is None:
            result = {"cross_entropy": losses.masked_cross_entropy(logits, truth, mask)}
        else:
            table = torch.from_numpy(possible).to(device)
            each = partial_cross_entropy(logits[mask], truth[mask], table)
            result = {"cross_entropy": each.mean() if len(each) else logits.sum() * 0.0}
        depth = [s.depth_m for s in samples if s.depth_m is not None]
        if self.variant.depth_loss_weight and depth:
            metres = torch.from_numpy(np.concatenate(depth)).to(device)
            result["depth"] = losses.depth_bce(
                out.depth.flatten(0, 1).float(), metres, self.variant.depth, self.variant.depth_loss_weight
            )
        head = out.head
        maps = {k: getattr(head, k).float() for k in ("heatmap", "reg", "height", "dim", "rot", "vel")
                if getattr(head, k) is not None}  # fmt: skip
        if maps:
            targets = [losses.center_targets(s.boxes, s.box_labels, grid, len(classes.detections)) for s in samples]
            result.update({f"center_{k}": v for k, v in losses.center_losses(maps, targets).items()})
        return result
