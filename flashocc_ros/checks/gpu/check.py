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

"""The whole check: chooses the device, runs the plan and says what came out."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from flashocc_ros.checks.gpu.plan import CHECKS, without_gpu
from flashocc_ros.checks.gpu.report import Report
from flashocc_ros.checks.gpu.run import run
from flashocc_ros.checks.gpu.setting import Setting
from flashocc_ros.errors import ConfigError

DEVICES = ("auto", "cuda", "cpu")
MINUTES = 8.0


def check(
    out: Path,
    minutes: float = MINUTES,
    device: str = "auto",
    shared: Path | None = None,
    only: Sequence[str] = (),
) -> bool:
    """Run the check and print a line per result.

    Args:
        out: folder for ``gpu_report.json``, ``gpu_report.md`` and the engines that are built.
        minutes: nothing runs longer than that.
        device: "auto" takes a GPU where torch sees one; "cpu" runs what can be run without.
        shared: folder with ``spec/`` and ``data/``; None takes FLASHOCC_SHARED, else ``shared`` beside the checkout.
        only: names of the parts to run; all when empty.

    Returns:
        Whether something passed and nothing failed.

    Raises:
        ConfigError: an argument is none of what it may be, or there is no PyTorch.
        OutputError: ``out`` cannot be written.
    """
    names = [part.name for part in CHECKS]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise ConfigError(f"there is no part {unknown[0]!r}; choose {', '.join(names)}")
    if device not in DEVICES:
        raise ConfigError(f"device is {device!r}, must be {', '.join(DEVICES)}")
    if not minutes > 0:
        raise ConfigError(f"minutes is {minutes:g}, must be more than 0")
    setting = Setting(_device(device), out.resolve(), _shared(shared))
    plan = CHECKS if setting.gpu else without_gpu()
    chosen = [part for part in plan if not only or part.name in only]
    facts = {
        "device": setting.device,
        "minutes": minutes,
        "python": sys.executable,
        "specification": str(setting.shared or "not there: no goldens, and noise instead of real pictures"),
    }
    report = Report(setting.out, facts)
    run(setting, chosen, minutes, report, _say)
    _say(f"{'PASSED' if report.passed else 'NOT PASSED'}: {report.verdict()}")
    _say(f"paste {report.page} into an issue; numbers for programs are in {report.json_file}")
    return report.passed


def _device(device: str) -> str:
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(
            f"{sys.executable} has no PyTorch; run with one that has: PYTHON=/path/to/python make gpu-check"
        )
    import torch

    seen = torch.cuda.is_available()
    if device == "cuda" and not seen:
        raise ConfigError(f"torch {torch.__version__} of {sys.executable} sees no GPU; look at `nvidia-smi`")
    return "cuda" if seen and device != "cpu" else "cpu"


def _shared(given: Path | None) -> Path | None:
    """The convention of the tests."""
    checkout = Path(__file__).resolve().parents[3]
    folder = given or Path(os.environ.get("FLASHOCC_SHARED", checkout.parent / "shared"))
    if (folder / "spec").is_dir():
        return folder.resolve()
    if given is not None:
        raise ConfigError(f"{given} holds no spec/; give the folder with the specification, or leave it out")
    return None


def _say(line: str) -> None:
    print(line, flush=True)
