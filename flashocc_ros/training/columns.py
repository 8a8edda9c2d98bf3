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

"""Recipe of the synthetic networks: 2D supervision of the image branch, voxel losses on sampled columns.

Computing logits for all 40 000 columns would cost more than the rest of the network, and most of them show only
road. Columns are drawn in proportion to the rarest class they show, so the few columns with a cone or a pedestrian
are seen often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashocc_ros.data.partial_labels import GROUPS, completed, target_names
from flashocc_ros.geometry import camera_params, stereo_grid
from flashocc_ros.labels import FREE, IGNORE
from flashocc_ros.model.build import build_model
from flashocc_ros.model.checkpoint import load_checkpoint
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.model.outputs import EncodedImages, StereoContext
from flashocc_ros.training import losses
from flashocc_ros.training.batch import Prepared, normalised
from flashocc_ros.training.calibrate import class_offsets
from flashocc_ros.training.config import ColumnLoss
from flashocc_ros.training.losses.partial import partial_cross_entropy
from flashocc_ros.training.objective import Objective
from flashocc_ros.training.pixel_targets import pixel_targets, soft_depth_loss
from flashocc_ros.training.sample import Sample, SampleSource, sample_rng
from flashocc_ros.variants import Variant

_FREQUENCY_SAMPLES = 64


def visible_class_counts(source: SampleSource, classes: int, samples: int = _FREQUENCY_SAMPLES) -> Tensor:
    """(classes,) float64: visible voxels per class over a few samples spread over the data set, at least 1 each.

    Of labels whose class may be unknown (classes + 2,), see ``data.partial_labels``.
    """
    counts = np.ones(classes + len(GROUPS))
    known = classes
    for index in np.unique(np.linspace(0, source.available(0) - 1, samples).astype(int)):
        sample = source.sample(int(index), None)
        known = classes if sample.possible is None else len(counts)
        counts += np.bincount(sample.semantics[sample.mask_camera], minlength=len(counts))[: len(counts)]
    return torch.from_numpy(counts[:known])


def draw_columns(
    sample: Sample, rarity: npt.NDArray[np.float32], count: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Draw BEV columns with replacement, in proportion to the rarest class visible in them or beside them.

    Args:
        rarity: (C,) weight per class, or (C + 2,) per target; what is not known has none.
        count: columns to draw.

    Returns:
        Flat indices x * Y + y (count,), and importance weights (count,) of mean 1 that undo the preference.
    """
    weights = np.zeros(256, np.float32)  # nothing where nothing is known
    weights[: len(rarity)] = rarity
    weight = (weights[sample.semantics] * sample.mask_camera).max(axis=2)
    spread = torch.from_numpy(weight)[None, None]
    weight = F.max_pool2d(spread, 3, 1, 1).numpy().reshape(-1).astype(np.float64)
    probability = np.maximum(weight, 0.3 * float(rarity.min()))
    probability /= probability.sum()
    chosen = rng.choice(probability.size, size=count, p=probability)
    undo = 1.0 / probability[chosen]
    return chosen, (undo / undo.mean()).astype(np.float32)


class ColumnObjective(Objective):
    """Network, an auxiliary 2D segmentation layer on the lifted context, and their losses."""

    counts: Tensor
    possible: Tensor | None

    def __init__(self, model: FlashOcc, variant: Variant, config: ColumnLoss, source: SampleSource, seed: int) -> None:
        super().__init__()
        self.model, self.variant, self.config, self.source, self.seed = model, variant, config, source, seed
        # One linear layer: whatever it reads is linear in the context, hence survives lifting and summing.
        count = len(variant.classes)
        self.segmentation = nn.Conv2d(variant.lift_channels, count, 1)
        self.register_buffer("counts", visible_class_counts(source, count))
        possible = source.sample(0, None).possible
        self.register_buffer("possible", None if possible is None else torch.from_numpy(possible), persistent=False)
        # In a tuple it is no part of this module: it has no gradients and no place in checkpoints.
        self._knowing: tuple[FlashOcc, ...] = ()
        if config.classes_from is not None and possible is not None:
            knowing = build_model(variant)
            knowing.load_state_dict(load_checkpoint(config.classes_from, variant))
            self._knowing = (knowing.eval().requires_grad_(False),)

    def class_weights(self, power: float, cap: float) -> Tensor:
        """(C,) or (C + 2,) float32: (count of free / count of class) ** power, at most ``cap``."""
        return (self.counts[self.variant.classes.free] / self.counts).pow(power).clamp(1.0, cap).float()

    def classes(self) -> dict[str, tuple[int, float]]:
        """Counted voxels that cameras see, and weights in the cross entropy, of what was found at all."""
        weights = self.class_weights(self.config.class_power, self.config.class_cap).tolist()
        table = zip(target_names(self.variant.classes), (self.counts - 1).long().tolist(), weights, strict=False)
        return {name: (count, weight) for name, count, weight in table if count}

    def forward(self, batch: Sequence[Prepared], iteration: int, seed: int) -> dict[str, Tensor]:
        device = self.counts.device
        samples = [item.sample for item in batch]
        params = torch.from_numpy(np.concatenate([camera_params(s.geometry) for s in samples])).to(device)
        encoded = self._encode(self.model, samples, 0, params)
        result = self._pixel_losses(encoded.depth, encoded.context, samples)
        if iteration < self.config.image_only_iterations:
            return result
        bev = self._bev(self.model, encoded, batch, params)
        result.update(self._voxel_losses(bev, self._known_map(batch, params), batch, seed))
        if self.variant.panoptic and self.config.center_weight:
            result.update(self._center_losses(bev, samples))
        return result

    @torch.no_grad()
    def _known_map(self, batch: Sequence[Prepared], params: Tensor) -> Tensor | None:
        """What the head of the network that knows classes reads, if there is one."""
        for knowing in self._knowing:
            knowing.to(params.device)
            return self._bev(knowing, self._encode(knowing, [b.sample for b in batch], 0, params), batch, params)
        return None

    def _bev(self, model: FlashOcc, encoded: EncodedImages, batch: Sequence[Prepared], params: Tensor) -> Tensor:
        """The encoded map of the key frame and those before it, from which nothing is learned."""
        maps = [self._lift(model, encoded.depth, encoded.context, batch, 0)]
        for frame in range(1, self.variant.num_frames):
            with torch.no_grad():
                past = self._encode(model, [item.sample for item in batch], frame, params)
            maps.append(self._lift(model, past.depth, past.context, batch, frame))
        return model.encode_bev(model.concatenate(maps[0], maps[1:]))

    def _encode(self, model: FlashOcc, samples: Sequence[Sample], frame: int, params: Tensor) -> EncodedImages:
        """One frame of all samples; stereo variants match it with the frame before, which learns from that too."""

        def pixels(frame: int) -> Tensor:
            images = normalised(np.concatenate([s.images[frame] for s in samples]), params.device)
            return images.contiguous(memory_format=torch.channels_last)

        previous = None
        if self.variant.stereo:
            grids = np.concatenate([stereo_grid(self.variant, s.geometry, frame) for s in samples])
            feature = model.stereo_feature(pixels(frame + 1))
            previous = StereoContext(feature, torch.from_numpy(grids).to(params.device))
        return model.encode_images(pixels(frame), params, previous)

    def _lift(self, model: FlashOcc, depth: Tensor, context: Tensor, batch: Sequence[Prepared], frame: int) -> Tensor:
        depths, contexts = depth.chunk(len(batch)), context.chunk(len(batch))
        pooled = [model.pool(d, c, item.tables[frame]) for d, c, item in zip(depths, contexts, batch, strict=True)]
        maps = torch.cat(pooled).contiguous(memory_format=torch.channels_last)
        # Mixed precision leaves the stem's elementwise scaling in the input's type, and this is the largest map of all.
        mixed = torch.is_autocast_enabled(maps.device.type)
        return model.preprocess_bev(maps.to(torch.get_autocast_dtype(maps.device.type)) if mixed else maps)

    def _pixel_losses(self, depth: Tensor, context: Tensor, samples: Sequence[Sample]) -> dict[str, Tensor]:
        depth_m, labels = pixel_targets(samples, self.variant)
        depth_m, labels = depth_m.to(depth.device), labels.to(depth.device)
        weight = self.class_weights(self.config.class_power, self.config.class_cap)
        logits = self.segmentation(context).float()
        if self.possible is None:
            segmentation = F.cross_entropy(logits, labels, weight=weight, ignore_index=IGNORE)
        else:
            each = partial_cross_entropy(logits.movedim(1, -1).flatten(0, 2), labels.flatten(), self.possible)
            cell_weight = _weight_of(labels.flatten(), weight)
            segmentation = (each * cell_weight).sum() / cell_weight.sum().clamp(min=1e-6)
        return {
            "depth": self.config.depth_weight * soft_depth_loss(depth.float(), depth_m, self.variant.depth),
            "segmentation": self.config.segmentation_weight * segmentation,
        }

    def _voxel_losses(
        self, bev: Tensor, known_map: Tensor | None, batch: Sequence[Prepared], seed: int
    ) -> dict[str, Tensor]:
        config, possible = self.config, self.possible
        heights, classes = self.variant.grid.size[2], self.variant.classes
        rarity = self.class_weights(config.rarity_power, config.rarity_cap).cpu().numpy()
        chosen, truths, masks, undo = [], [], [], []
        for item in batch:
            rng = sample_rng(item.step, item.slot, seed + 1)
            columns, weight = draw_columns(item.sample, rarity, config.columns, rng)
            chosen.append(torch.from_numpy(columns).to(bev.device))
            truths.append(item.sample.semantics.reshape(-1, heights)[columns])
            masks.append(item.sample.mask_camera.reshape(-1, heights)[columns])
            undo.append(weight)
        truth = torch.from_numpy(np.concatenate(truths)).to(bev.device).long()
        known = truth != IGNORE
        if possible is None:
            truth = torch.where(known, truth, classes.free)
        visible = torch.from_numpy(np.concatenate(masks)).to(bev.device) & known
        importance = torch.from_numpy(np.concatenate(undo)).to(bev.device)[:, None].expand(truth.shape)
        logits = self._column_logits(self.model, bev, chosen)
        class_weight = self.class_weights(config.class_power, config.class_cap)
        unseen = torch.full_like(importance, config.unseen_weight) * known
        voxel_weight = torch.where(visible, _weight_of(truth, class_weight), unseen)
        if possible is not None and known_map is not None:
            with torch.no_grad():
                scores = self._column_logits(self._knowing[0], known_map, chosen)
            truth = completed_targets(scores, truth, possible)
        if possible is None:
            loss = F.cross_entropy(logits.reshape(-1, len(classes)), truth.reshape(-1), reduction="none")
        else:
            loss = partial_cross_entropy(logits.reshape(-1, len(classes)), truth.reshape(-1), possible)
        cross_entropy = (loss.reshape(truth.shape) * voxel_weight).sum() / voxel_weight.sum()
        overlap = soft_jaccard(logits[visible], truth[visible], importance[visible], possible)
        result = {"cross_entropy": cross_entropy, "overlap": config.overlap_weight * overlap}
        if config.above_ground_weight:
            high = visible.clone()
            high[:, : self.variant.grid.ground_layers] = False
            above = occupied_jaccard(logits[high], truth[high], importance[high], classes.free)
            result["above_ground"] = config.above_ground_weight * above
        return result

    def _column_logits(self, model: FlashOcc, bev: Tensor, chosen: Sequence[Tensor]) -> Tensor:
        """(columns of all samples, Z, C) float32 logits of the ``chosen`` columns of each sample."""
        head, heights = model.occ_head, self.variant.grid.size[2]
        # Channels last with x first: a column is one row of this table.
        table = head.final_conv(bev).permute(0, 3, 2, 1).flatten(1, 2)  # type: ignore[operator]
        features = torch.cat([table[row, columns] for row, columns in enumerate(chosen)])
        logits: Tensor = head.predicter(features).unflatten(-1, (heights, len(self.variant.classes)))  # type: ignore[operator]
        return logits.float()

    def _center_losses(self, bev: Tensor, samples: Sequence[Sample]) -> dict[str, Tensor]:
        head: Any = self.model.aux_centerness_head
        shared = head.shared_conv(bev)
        maps = {name: head.task_heads[0][name](shared).float() for name in head.INFERENCE}
        grid, count = self.variant.grid, len(self.variant.classes.detections)
        targets = [losses.center_targets(s.boxes, s.box_labels, grid, count) for s in samples]
        values = losses.center_losses(maps, targets)
        return {f"center_{name}": self.config.center_weight * value for name, value in values.items()}

    def finished(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Fold class offsets of best mean IoU on training frames into the bias of the last layer."""
        if not self.config.calibration_samples:
            return values
        model = build_model(self.variant)
        model.load_state_dict(values)
        logits, truth, weight = self._visible_logits(model.eval())
        offsets = torch.from_numpy(class_offsets(logits, truth, weight, free=self.variant.classes.free)).float()
        key = "occ_head.predicter.2.bias"
        return {**values, key: values[key] + offsets.repeat(self.variant.grid.size[2]).to(values[key])}

    def _scores(
        self, sample: Sample, images: Tensor, kept: npt.NDArray[np.bool_], own: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Logits of the ``kept`` voxels of the network that knows classes; ``own`` where there is none."""
        for knowing in self._knowing:
            found = knowing.cpu().forward_batch(images, [sample.geometry], align="lift").head.occ_logits[0].numpy()
            return np.asarray(found[kept])
        return own

    @torch.no_grad()
    def _visible_logits(self, model: FlashOcc) -> tuple[npt.NDArray[Any], ...]:
        """Logits, classes and weights of all occupied and a tenth of the free voxels that a camera sees.

        Pictures are as they are at inference: enlarged ones show less of what the mask counts.
        """
        parts: list[tuple[npt.NDArray[Any], ...]] = []
        indices = np.linspace(0, len(self.source) - 1, self.config.calibration_samples).astype(int)
        for index in indices:
            rng = np.random.default_rng((self.seed, 5, int(index)))
            sample = self.source.sample(int(index), None)
            images = normalised(sample.images, torch.device("cpu"))[None]
            logits = model.forward_batch(images, [sample.geometry], align="lift").head.occ_logits[0].numpy()
            free = sample.semantics == self.variant.classes.free
            known = sample.semantics != IGNORE
            kept = sample.mask_camera & known & (~free | (rng.random(free.shape) < 0.1))
            weight = np.where(free[kept], np.float32(10.0), np.float32(1.0))
            chosen, truth = logits[kept], sample.semantics[kept]
            if sample.possible is not None:  # of a group, what the network that knows or this one itself would say
                truth = completed(self._scores(sample, images, kept, chosen), truth, sample.possible)
            parts.append((chosen, truth, weight))
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def completed_targets(scores: Tensor, targets: Tensor, possible: Tensor) -> Tensor:
    """Targets (...) whose groups became their member with the highest of ``scores`` (..., C)."""
    count = scores.shape[-1]
    members = possible[targets.clamp(max=len(possible) - 1)]
    best = scores.masked_fill(~members, -torch.inf).argmax(-1)
    return torch.where((targets >= count) & (targets < len(possible)), best, targets)


def _weight_of(targets: Tensor, weights: Tensor) -> Tensor:
    """The weight of each target, 0 where nothing is known."""
    return torch.where(targets == IGNORE, 0.0, weights[targets.clamp(max=len(weights) - 1)])


def soft_jaccard(logits: Tensor, truth: Tensor, weight: Tensor, possible: Tensor | None = None) -> Tensor:
    """One minus the soft intersection over union, mean over the classes present; (M, C), (M,), (M,).

    With ``possible`` (C + 2, C) a class does not count where only its group is known; groups are classes of their own.
    """
    probability, count = logits.softmax(-1), logits.shape[-1]
    if possible is None:
        one_hot = F.one_hot(truth, count).bool()
    else:
        group = possible[count:]
        classes = possible[truth]
        unsure = classes & (truth >= count)[:, None]
        one_hot = torch.cat([classes & ~unsure, classes.float() @ group.float().T > 0], 1)
        probability = torch.cat([probability.masked_fill(unsure, 0.0), probability @ group.float().T], 1)
        one_hot[:, count:] &= (truth >= count).any()  # without such voxels classes alone count
    return _missed_overlap(probability, one_hot, weight)[one_hot.any(0)].mean()


def occupied_jaccard(logits: Tensor, truth: Tensor, weight: Tensor, free: int = FREE) -> Tensor:
    """One minus the soft intersection over union of what is occupied; (M, C), (M,), (M,)."""
    occupied = 1.0 - logits.softmax(-1)[:, free]
    return _missed_overlap(occupied[:, None], (truth != free)[:, None], weight)[0]


def _missed_overlap(probability: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """(C,) one minus the soft intersection over union of each column; (M, C), (M, C) of 0 and 1, (M,)."""
    truth = truth.to(probability.dtype)
    both = (probability * truth * weight[:, None]).sum(0)
    either = ((probability + truth) * weight[:, None]).sum(0) - both
    return 1.0 - both / either.clamp(min=1e-6)
