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

"""Fixtures every test folder may use."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

# The same examples everywhere, and none refused because the machine is busy.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

# Parallel workers must not fight over cores; set before any test module imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with the specification and real frames: FLASHOCC_SHARED, else ``shared`` beside the checkout."""
    folder = Path(os.environ.get("FLASHOCC_SHARED", _CHECKOUT.parent / "shared"))
    if not (folder / "spec").is_dir():
        pytest.skip(f"no specification under {folder}; set FLASHOCC_SHARED")
    return folder


@pytest.fixture(scope="session")
def spec_module(shared_dir: Path) -> Callable[[str], ModuleType]:
    """Loads a helper of the specification, e.g. ``spec_module("named_weights")``."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"spec_{name}", shared_dir / "spec" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
