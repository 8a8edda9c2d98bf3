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

"""Defaults and ranges of what users may tune: the same for the node's parameters and for Python."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from flashocc_ros.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """A default and the values that can be used instead."""

    default: float
    minimum: float
    maximum: float

    def check(self, name: str, value: float) -> None:
        """Raise ConfigError, naming ``name``, for a value outside or no number; NaN is outside."""
        number = checked_number(name, value)
        if not self.minimum <= number <= self.maximum:
            raise ConfigError(
                f"{name} is {number:g}, out of range; use a value from {self.minimum:g} to {self.maximum:g}"
            )


def checked_number(name: str, value: Any) -> float:
    """The value as a float, infinity where it is too large for one.

    Raises:
        ConfigError: it is no real number; True and False are none.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number:
        raise ConfigError(f"{name} is {value!r:.60}, needs a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


MAX_CAMERAS = 12
"""Of a rig."""

SYNC_TIMEOUT_S = Range(0.25, 0.01, 5.0)
SYNC_QUEUE_SIZE = Range(16, 2, 200)
SYNC_MAX_BACKWARD_S = Range(0.5, 0.1, 60.0)
TF_MAX_WAIT_S = Range(0.2, 0.0, 5.0)
MEMORY_INTERVAL_S = Range(0.5, 0.05, 5.0)
MEMORY_MAX_GAP_S = Range(2.0, 0.1, 60.0)
MEMORY_MAX_SPEED_MPS = Range(70.0, 1.0, 1000.0)
TRACK_MAX_AGE_S = Range(1.5, 0.0, 60.0)
