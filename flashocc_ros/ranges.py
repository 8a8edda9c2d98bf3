"""Defaults and ranges of what users may tune: the same for the node's parameters and for Python."""

from __future__ import annotations

from dataclasses import dataclass

from flashocc_ros.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """A default and the values that can be used instead."""

    default: float
    minimum: float
    maximum: float

    def check(self, name: str, value: float) -> None:
        """Raise ConfigError, naming ``name``, for a value outside; NaN is outside."""
        if not self.minimum <= value <= self.maximum:
            raise ConfigError(
                f"{name} is {value:g}, out of range; use a value from {self.minimum:g} to {self.maximum:g}"
            )


SYNC_TIMEOUT_S = Range(0.25, 0.01, 5.0)
SYNC_QUEUE_SIZE = Range(16, 2, 200)
SYNC_MAX_BACKWARD_S = Range(0.5, 0.1, 60.0)
TF_MAX_WAIT_S = Range(0.2, 0.0, 5.0)
MEMORY_INTERVAL_S = Range(0.5, 0.05, 5.0)
MEMORY_MAX_GAP_S = Range(2.0, 0.1, 60.0)
MEMORY_MAX_SPEED_MPS = Range(70.0, 1.0, 1000.0)
TRACK_MAX_AGE_S = Range(1.5, 0.0, 60.0)
