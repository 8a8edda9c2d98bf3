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

"""meta.json as anybody may have written it: taken, or refused by an `EngineError`."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hostile import damaged, spoiled, takes
from test_meta import VARIANT, folder  # noqa: F401 (a fixture)

from flashocc_ros.engine.store.meta import load_export
from flashocc_ros.errors import EngineError


def test_spoiled_values_are_taken_or_refused(folder: Path) -> None:  # noqa: F811
    content, rng = json.loads((folder / "meta.json").read_text()), random.Random(3)
    taken = 0
    for _ in range(300):
        worse = content
        for _ in range(rng.choice((1, 1, 2, 5))):
            worse = spoiled(worse, rng)
        (folder / "meta.json").write_bytes(json.dumps(worse).encode(errors="surrogatepass"))
        taken += takes(lambda: load_export(folder, VARIANT, "fp32"), EngineError)
    assert taken < 30


@pytest.mark.parametrize("depth", [100, 5_000, 200_000])
def test_deep_nesting_is_refused(folder: Path, depth: int) -> None:  # noqa: F811
    for opening, closing in ("[]", ('{"a":', "}")):
        (folder / "meta.json").write_text(opening * depth + "1" + closing * depth)
        assert not takes(lambda: load_export(folder, VARIANT), EngineError)


def test_damaged_bytes_are_taken_or_refused(folder: Path) -> None:  # noqa: F811
    for data in damaged((folder / "meta.json").read_bytes(), 300):
        (folder / "meta.json").write_bytes(data)
        takes(lambda: load_export(folder, VARIANT), EngineError)
