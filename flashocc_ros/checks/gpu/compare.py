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

"""Two arrays, one number: how far apart they are in units of what they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.checks.gpu.report import Result, outcome


def array(value: Any) -> npt.NDArray[Any]:
    """NumPy array of an engine's array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    return np.asarray(value)


def close(name: str, got: Any, expected: Any, limit_std: float, text: str = "") -> Result:
    """Ok when no number is off by more than ``limit_std`` standard deviations of what is expected."""
    a, b = array(expected).astype(np.float64), array(got).astype(np.float64)
    if a.shape != b.shape:
        return Result(name, "failed", f"shape {b.shape}, expected {a.shape}")
    if not np.isfinite(b).all():
        return Result(name, "failed", "holds NaN or infinity")
    error = np.abs(a - b) / max(float(a.std()), 1e-12)
    numbers = {"max error / std": float(error.max()), "mean error / std": float(error.mean())}
    return Result(name, outcome(numbers["max error / std"] <= limit_std), text or f"limit {limit_std:g}", {**numbers})


def equal(name: str, got: Any, expected: Any, text: str = "") -> Result:
    """Ok when every number is the same."""
    a, b = array(expected), array(got)
    if a.shape != b.shape:
        return Result(name, "failed", f"shape {b.shape}, expected {a.shape}")
    different = int((a != b).sum())
    return Result(name, outcome(different == 0), text or "to the last bit", {"differ": different, "of": a.size})


def labels(name: str, got: npt.NDArray[np.uint8], expected: npt.NDArray[np.uint8], least: float) -> Result:
    """Ok when at least the share ``least`` of the voxels has the same class."""
    if got.shape != expected.shape:
        return Result(name, "failed", f"shape {got.shape}, expected {expected.shape}")
    share = float((got == expected).mean())
    classes = len(np.unique(expected))
    text = f"needs {100 * least:g} %" + ("" if classes > 1 else "; there is only one class, so this shows nothing")
    return Result(name, outcome(share >= least), text, {"voxels equal %": 100 * share, "classes": classes})
