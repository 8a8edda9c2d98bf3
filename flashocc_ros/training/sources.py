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

"""The data set a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flashocc_ros.errors import InputError
from flashocc_ros.training.config import BagData, LabelData, SyntheticData, TrainConfig, Validation
from flashocc_ros.training.sample import SampleSource
from flashocc_ros.variants import Variant, get_variant


def open_source(config: TrainConfig, progress: Callable[[int, int], None] | None = None) -> SampleSource:
    """Training samples for ``config.variant``.

    Args:
        progress: called with frames done and in all while a cache is drawn.

    Raises:
        InputError: the data are missing or do not fit the variant; the message says how to get them.
        OutputError: a cache cannot be drawn, as on a full disk.
    """
    variant = get_variant(config.variant)
    data = config.data
    if data.kind == "synthetic":
        from flashocc_ros.training.synthetic_source import SyntheticSource

        _draw(data, variant, progress)
        return SyntheticSource(data, variant)
    if data.kind == "labels" or data.kind == "bag":
        return _labelled(config, data, variant, progress)[0]
    from flashocc_ros.data.nuscenes_tables import CAMERAS
    from flashocc_ros.training.nuscenes_source import NuScenesSource

    return NuScenesSource(data.root, data.version, data.split, variant, data.augment, data.cameras or CAMERAS)


def open_sources(
    config: TrainConfig, progress: Callable[[int, int], None] | None = None
) -> tuple[SampleSource, SampleSource | None]:
    """Training samples, and those to validate with where ``config.validation`` asks for them; see ``open_source``."""
    if config.data.kind == "labels" or config.data.kind == "bag":
        return _labelled(config, config.data, get_variant(config.variant), progress)
    return open_source(config, progress), None


def _labelled(
    config: TrainConfig, data: LabelData | BagData, variant: Variant, progress: Callable[[int, int], None] | None
) -> tuple[SampleSource, SampleSource | None]:
    from flashocc_ros.data.label_folder import open_drives
    from flashocc_ros.training.label_source import LabelSource

    folders = data.folders if data.kind == "labels" else _taken_out(data, variant, progress)
    drives = open_drives(folders, grid=variant.grid, classes=variant.classes)
    if config.validation is None:
        return LabelSource(drives, variant, data.flip, data.augment), None
    kept = _kept_apart(config.validation, [drive.name for drive in drives])
    train = LabelSource([d for d in drives if d.name not in kept], variant, data.flip, data.augment)
    return train, LabelSource([d for d in drives if d.name in kept], variant)


def _kept_apart(validation: Validation, names: list[str]) -> set[str]:
    unknown = [name for name in validation.drives if name not in names]
    if unknown:
        raise InputError(f"validation.drives: {unknown[0]} is no labelled drive; there are {', '.join(names)}")
    kept = set(validation.drives)
    if not kept:
        count = max(1, round(validation.share * len(names)))
        kept = {names[int((k + 0.5) * len(names) / count)] for k in range(count)}
    if len(kept) == len(names):
        raise InputError(
            f"all {len(names)} labelled drives are kept apart for validation, none is left to train on; label more "
            "drives, or leave validation out"
        )
    return kept


def _taken_out(data: BagData, variant: Variant, progress: Callable[[int, int], None] | None) -> list[Path]:
    """Folders of the key frames of recordings; those that are missing are taken out now."""
    from flashocc_ros.bags import Frames
    from flashocc_ros.data.recorded_frames import take_out

    folders = []
    for done, recording in enumerate(data.recordings):
        frames = Frames.of(data.base_frame, data.tf_prefix)
        folders.append(
            take_out(
                recording, data.cache, data.labels, data.truth, data.cameras or None, frames, data.fisheye,
                variant.grid, variant.classes,
            )
        )  # fmt: skip
        if progress is not None:
            progress(done + 1, len(data.recordings))
    return folders


def _draw(data: SyntheticData, variant: Variant, progress: Callable[[int, int], None] | None) -> None:
    """What ``data.draw`` asks for and the cache lacks; one process of a group draws, the others wait."""
    if data.draw is None or isinstance(data.cache, list):
        return
    from flashocc_ros.data.synthetic import SyntheticDataset, write_cache

    drives, count = range(data.draw.drives), data.draw.frames_per_drive
    frames = SyntheticDataset(drives, variant.input_size, count, threads=2, grid=variant.grid)
    write_cache(data.cache, frames, progress=progress)
