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

"""What every part is given: the device, where things lie, and what is installed here."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """One run.

    Attributes:
        device: "cuda", or "cpu" where there is no GPU: the same code then runs on torch's CPU device, on less.
        out: folder of the report; exports and engines are kept below it for the next run.
        shared: folder with the specification and real frames, as the tests use it; None without.
    """

    device: str
    out: Path
    shared: Path | None = None

    @property
    def gpu(self) -> bool:
        return self.device != "cpu"

    @property
    def cache_dir(self) -> Path:
        return self.out / "cache"

    def scaled(self, on_gpu: int, on_cpu: int) -> int:
        """How much of something is affordable."""
        return on_gpu if self.gpu else on_cpu


def missing(modules: tuple[str, ...]) -> list[str]:
    """Those of ``modules`` that are not installed; "a|b" is there when one of them is."""
    return [
        names.replace("|", " or ")
        for names in modules
        if not any(importlib.util.find_spec(name) is not None for name in names.split("|"))
    ]
