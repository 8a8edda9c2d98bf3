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

"""Training configuration: one YAML file, ``key=value`` overrides, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from flashocc_ros import bounded_yaml
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.config_errors import explain
from flashocc_ros.errors import ConfigError
from flashocc_ros.variants import get_variant, is_file

MAX_COUNT = 100_000_000
"""Iterations, frames and steps above which a number is taken for a mistake; the published training has 42 200."""
HELD_OUT_SEED = 1000
"""Drives of the synthetic world from this seed on are never trained on."""
Stage = Literal["backbone", "neck", "depth", "bev_encoder", "head"]
STAGES: tuple[Stage, ...] = ("backbone", "neck", "depth", "bev_encoder", "head")
MAX_BYTES = 1 << 20
"""Of a configuration file; the longest of ours has 2 kB."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, values: Any) -> Any:
        for name, value in values.items() if isinstance(values, dict) else ():
            known = cls.model_fields.get(name) if isinstance(name, str) else None
            if isinstance(value, bool) and known is not None and known.annotation in (int, float):
                raise ValueError(f"needs a number for {name}")
        return values


class NuScenesData(_Section):
    """nuScenes with Occ3D labels.

    Attributes:
        root: folder that holds ``<version>/``, ``samples/`` and ``gts/``.
        version: e.g. ``v1.0-trainval``.
        split: scenes to train on: a name of nuScenes (train, val, mini_train, ...) or a list of scene names.
        augment: image and BEV augmentation of the published recipe.
        cameras: channels, for data of this layout whose cameras have other names; empty for those of nuScenes.
    """

    kind: Literal["nuscenes"]
    root: Path
    version: str = "v1.0-trainval"
    split: str | list[str] = "train"
    augment: bool = True
    cameras: list[str] = []


class Drawing(_Section):
    """Which frames are drawn into a cache that is missing or half written.

    Attributes:
        drives: seeds 0 to ``drives - 1``.
        frames_per_drive: key frames of each, 0.5 s apart.
    """

    drives: int = Field(gt=0, le=HELD_OUT_SEED)
    frames_per_drive: int = Field(default=4, gt=0, le=1000)


class SyntheticData(_Section):
    """Frames of the synthetic world, drawn beforehand with ``flashocc synth --cache``, or by the run itself.

    Attributes:
        cache: folder of the cache, or several; their seeds must stay below 1000, the rest is held out.
        draw: what to draw into ``cache`` before training; None for caches that are there.
        frames: how many of their frames to use, 0 for all.
        first_frames, frames_per_step: when set, only the first ``first_frames + step * frames_per_step`` frames are
            drawn, so that training can start while the renderer is still at work.
        flip: mirror the BEV grid at random, pictures unchanged.
        augment: enlarge and tint pictures at random.
    """

    kind: Literal["synthetic"]
    cache: Path | Annotated[list[Path], Field(min_length=1)]
    draw: Drawing | None = None
    frames: int = Field(default=0, ge=0, le=MAX_COUNT)
    first_frames: int = Field(default=0, ge=0, le=MAX_COUNT)
    frames_per_step: float = Field(default=0.0, ge=0)
    flip: bool = True
    augment: bool = False


class LabelData(_Section):
    """What `flashocc label` made: any rig, any number of drives.

    Attributes:
        folders: each of one labelled drive or of several.
        flip: mirror the BEV grid at random, pictures unchanged.
        augment: enlarge and tint pictures at random.
    """

    kind: Literal["labels"]
    folders: Annotated[list[Path], Field(min_length=1)]
    flip: bool = True
    augment: bool = False


class BagData(_Section):
    """Recordings with their truth on a topic, or beside labels that were made of them.

    Attributes:
        recordings: rosbag2 folders or files.
        labels: label folder of drives of the same names.
        truth: where voxels come from: ``topic`` (``flashocc_ros/OccupancyTruth``) or ``labels``; of ``labels`` beside a
            topic, lidar points in the pictures are used. None takes labels where there are, else the topic.
        cache: folder into which key frames are taken out of the recordings, once.
        cameras: these in this order; empty for all that are found.
        base_frame, tf_prefix: how the recordings name the vehicle and its transforms.
        fisheye: ``rays`` follows those of wide lenses, ``rectify`` straightens their pictures; labels beside must be of
            the same.
        flip, augment: as in ``LabelData``.
    """

    kind: Literal["bag"]
    recordings: Annotated[list[Path], Field(min_length=1)]
    labels: Path | None = None
    truth: Literal["topic", "labels"] | None = None
    cache: Path = Path("runs/key_frames")
    cameras: list[str] = []
    base_frame: str = "base_link"
    tf_prefix: str = ""
    fisheye: Fisheye = "rectify"
    flip: bool = True
    augment: bool = False

    @model_validator(mode="after")
    def _labels_are_there(self) -> BagData:
        if self.truth == "labels" and self.labels is None:
            raise ValueError("data.truth: labels needs data.labels, the folder `flashocc label` made of the recordings")
        return self


class Optimizer(_Section):
    """AdamW; gradients are clipped to ``clip_norm`` (L2).

    With ``muon_lr`` > 0, convolutions that a normalisation follows are moved by Muon at that rate instead; from random
    weights that takes a fraction of the iterations. The published recipes do without.

    Attributes:
        stage_rates: factors of both rates for stages of the network; those that are not named have 1.
    """

    lr: float = Field(default=1e-4, gt=0)
    muon_lr: float = Field(default=0.0, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: float = Field(default=5.0, gt=0)
    stage_rates: dict[Stage, Annotated[float, Field(gt=0, le=100)]] = {}


class Schedule(_Section):
    """Linear warm-up from ``warmup_ratio``, then constant; from ``decay_start`` on a cosine down to ``final_ratio``.

    ``decay_start`` None keeps the rate constant to the end, as the published recipe does.
    """

    iterations: int = Field(gt=0, le=MAX_COUNT)
    warmup_iterations: int = Field(default=200, ge=0, le=MAX_COUNT)
    warmup_ratio: float = Field(default=0.001, ge=0, le=1)
    decay_start: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    final_ratio: float = Field(default=0.0, ge=0, le=1)


class Ema(_Section):
    """Average of weights and buffers: decay ``decay * (1 - exp(-t / tau))``, t starts at ``start``."""

    decay: float = Field(default=0.999, ge=0, lt=1)
    tau: float = Field(default=2000.0, gt=0)
    start: int = Field(default=10560, ge=0, le=MAX_COUNT)


class ColumnLoss(_Section):
    """Recipe of the synthetic networks: losses on sampled BEV columns, 2D segmentation and soft depth targets.

    Attributes:
        image_only_iterations: the first iterations train the image branch alone.
        columns: BEV columns per sample that get a voxel loss.
        rarity_power, rarity_cap: columns are drawn in proportion to min(cap, (frequency of free / frequency of the
            rarest class seen in them) ** power).
        class_power, class_cap: the same rule for the weight of a visible voxel in the cross entropy.
        unseen_weight: weight of voxels that no camera sees.
        classes_from: weights of the variant that say which class of its group a voxel has where labels do not know;
            None leaves that to the network, which forgets such classes in a long training.
        calibration_samples: training frames on which class offsets of best mean IoU are found after the last iteration
            and folded into the weights, 0 for none.
        overlap_weight, above_ground_weight, depth_weight, segmentation_weight, center_weight: weights beside the cross
            entropy; above ground, overlap of what is occupied counts, whatever its class.
    """

    image_only_iterations: int = Field(default=0, ge=0, le=MAX_COUNT)
    columns: int = Field(default=4096, gt=0, le=40_000)
    rarity_power: float = Field(default=0.4, ge=0, le=1)
    rarity_cap: float = Field(default=20.0, ge=1)
    class_power: float = Field(default=0.2, ge=0, le=1)
    class_cap: float = Field(default=4.0, ge=1)
    unseen_weight: float = Field(default=0.1, ge=0)
    classes_from: Path | None = None
    calibration_samples: int = Field(default=0, ge=0, le=100_000)
    overlap_weight: float = Field(default=0.5, ge=0)
    above_ground_weight: float = Field(default=0.0, ge=0)
    depth_weight: float = Field(default=1.0, ge=0)
    segmentation_weight: float = Field(default=1.0, ge=0)
    center_weight: float = Field(default=0.1, ge=0)


class Validation(_Section):
    """Labelled drives that are measured during the training, not trained on; the best weights are kept.

    Attributes:
        drives: their names; empty takes ``share`` of all, spread evenly over the list.
        share: of the drives, at least one.
        every: iterations between measurements; the first comes before any training, the last at the end.
        frames: key frames measured each time, spread over these drives; 0 for all.
    """

    drives: list[str] = []
    share: float = Field(default=0.1, gt=0, lt=1)
    every: int = Field(default=500, gt=0, le=MAX_COUNT)
    frames: int = Field(default=0, ge=0, le=MAX_COUNT)


class HeldOut(_Section):
    """Drives of the synthetic world that a network is measured on before and after its training.

    Attributes:
        seeds: of the drives, 1000 and above.
        frames_per_drive: key frames of each, 0.5 s apart.
    """

    seeds: list[Annotated[int, Field(ge=HELD_OUT_SEED, lt=1 << 32)]] = Field(min_length=1, max_length=1000)
    frames_per_drive: int = Field(default=1, gt=0, le=1000)


class TrainConfig(_Section):
    """Everything a run depends on.

    Attributes:
        variant: row of the variant table, or the path of a variant file.
        data: where samples come from.
        batch_size: samples per process and step of the network.
        accumulate: steps whose gradients are averaged before the optimiser moves; total batch =
            batch_size * accumulate * processes.
        seed: decides initial weights, data order and augmentation.
        init: checkpoint to start from: official weights, those of a related network, or an ImageNet backbone; what does
            not fit is listed in ``init.txt``.
        init_variant: when given, ``init`` must be a complete checkpoint of this variant.
        precision: fp16 and bf16 are mixed precision.
        loss: None for the published losses of the variant.
        validation: labelled drives kept apart, for labels and recordings; None trains on all.
        frozen: stages of the network that keep the weights of ``init``.
        held_out: what is measured at the end, and drawn into a picture; None for nothing.
        workers: data loading processes per training process.
        checkpoint_every, log_every, picture_every: in iterations; 0 for never.
        keep_checkpoints: numbered checkpoints kept beside ``last.pt``.
    """

    variant: str
    data: NuScenesData | SyntheticData | LabelData | BagData = Field(discriminator="kind")
    schedule: Schedule
    optimizer: Optimizer = Optimizer()
    ema: Ema = Ema()
    loss: ColumnLoss | None = None
    validation: Validation | None = None
    frozen: list[Stage] = []
    held_out: HeldOut | None = None
    batch_size: int = Field(default=4, gt=0, le=1024)
    accumulate: int = Field(default=1, gt=0, le=65_536)
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    init: Path | None = None
    init_variant: str | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    workers: int = Field(default=2, ge=0, le=256)
    checkpoint_every: int = Field(default=1000, ge=0, le=MAX_COUNT)
    log_every: int = Field(default=10, gt=0, le=MAX_COUNT)
    picture_every: int = Field(default=0, ge=0, le=MAX_COUNT)
    keep_checkpoints: int = Field(default=2, ge=0, le=10_000)

    @field_validator("variant", "init_variant")
    @classmethod
    def _known_variant(cls, name: str | None) -> str | None:
        return None if name is None else name if is_file(name) and get_variant(name) else get_variant(name).name

    @model_validator(mode="after")
    def _drawn_into_one_cache(self) -> TrainConfig:
        if self.data.kind == "synthetic" and self.data.draw is not None and isinstance(self.data.cache, list):
            raise ValueError("data.draw: frames are drawn into one cache; give data.cache one folder")
        return self

    @model_validator(mode="after")
    def _column_loss_needs_2d_truth(self) -> TrainConfig:
        if self.loss is not None and self.data.kind == "nuscenes":
            raise ValueError("loss: the column recipe needs 2D labels; leave it out for nuscenes data")
        return self

    @model_validator(mode="after")
    def _drives_to_keep_apart(self) -> TrainConfig:
        if self.validation is not None and self.data.kind not in ("labels", "bag"):
            raise ValueError(f"validation: keeps labelled drives apart, data.kind {self.data.kind} has none; remove it")
        return self

    @model_validator(mode="after")
    def _something_learns(self) -> TrainConfig:
        if set(self.frozen) == set(STAGES):
            raise ValueError(f"frozen: nothing is left to learn; leave out one of {', '.join(STAGES)}")
        if self.frozen and self.init is None:
            raise ValueError("frozen: without init these stages would keep random weights; give init a checkpoint")
        both = sorted(set(self.frozen) & set(self.optimizer.stage_rates))
        if both:
            raise ValueError(f"optimizer.stage_rates: {both[0]} is frozen and has no rate; remove it from one of both")
        return self


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read ``path`` and apply overrides such as ``schedule.iterations=500`` (values are YAML).

    Raises:
        ConfigError: the file is missing or no mapping, an override is no ``key=value``, a value is refused.
    """
    path = Path(path)
    try:
        values: Any = bounded_yaml.read(path, MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"cannot read training config {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"training config {path} cannot be used: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold a mapping of settings, found {type(values).__name__}")
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise ConfigError(f"override {override!r:.80} must look like key=value, e.g. optimizer.lr=2e-4")
        target = values
        *parents, last = key.split(".")
        for parent in parents:
            if not isinstance(target.setdefault(parent, {}), dict):
                raise ConfigError(f"override {override!r:.80}: {parent} is a value, not a section")
            target = target[parent]
        target[last] = _value(text)
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, TrainConfig)}") from error
    except RecursionError as error:
        raise ConfigError(f"{path} holds a value that contains itself") from error


def _value(text: str) -> Any:
    """YAML value of an override; YAML 1.1 takes 2e-4 for a string, people mean a number."""
    try:
        value = bounded_yaml.load(text)
    except ValueError as error:
        raise ConfigError(f"override value {text!r:.80} is no valid YAML: {error}") from error
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
