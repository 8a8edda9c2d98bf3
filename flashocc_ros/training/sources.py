"""The data set a configuration names."""

from __future__ import annotations

from flashocc_ros.training.config import TrainConfig
from flashocc_ros.training.sample import SampleSource
from flashocc_ros.variants import get_variant


def open_source(config: TrainConfig) -> SampleSource:
    """Training samples for ``config.variant``.

    Raises:
        InputError: the data are missing or do not fit the variant; the message says how to get them.
    """
    variant = get_variant(config.variant)
    data = config.data
    if data.kind == "synthetic":
        from flashocc_ros.training.synthetic_source import SyntheticSource

        return SyntheticSource(data, variant)
    from flashocc_ros.training.nuscenes_source import NuScenesSource

    return NuScenesSource(data.root, data.version, data.split, variant, augment=data.augment)
