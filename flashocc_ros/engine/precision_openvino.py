"""Int8 for OpenVINO with NNCF: scales measured on recorded inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flashocc_ros.errors import EngineError

if TYPE_CHECKING:
    from flashocc_ros.engine.calibration import Feeds


def quantize(model: Any, feeds: Feeds) -> Any:
    """The model with int8 weights and activations.

    Args:
        model: an OpenVINO model with named inputs.
        feeds: what the graph was fed with on real frames.

    Raises:
        EngineError: nncf is missing.
    """
    try:
        import nncf
    except ImportError as error:
        raise EngineError("int8 for OpenVINO needs nncf; pip install 'flashocc_ros[export]'") from error
    dataset = nncf.Dataset(feeds, lambda feed: feed)
    return nncf.quantize(
        model,
        dataset,
        preset=nncf.QuantizationPreset.MIXED,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(feeds),
        fast_bias_correction=True,
    )
