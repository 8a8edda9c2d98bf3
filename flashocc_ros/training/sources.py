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

from flashocc_ros.training.config import SyntheticData, TrainConfig
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
    from flashocc_ros.training.nuscenes_source import NuScenesSource

    return NuScenesSource(data.root, data.version, data.split, variant, augment=data.augment)


def _draw(data: SyntheticData, variant: Variant, progress: Callable[[int, int], None] | None) -> None:
    """What ``data.draw`` asks for and the cache lacks; one process of a group draws, the others wait."""
    if data.draw is None or isinstance(data.cache, list):
        return
    from flashocc_ros.data.synthetic import SyntheticDataset, write_cache

    frames = SyntheticDataset(range(data.draw.drives), variant.input_size, data.draw.frames_per_drive, threads=2)
    write_cache(data.cache, frames, progress=progress)
