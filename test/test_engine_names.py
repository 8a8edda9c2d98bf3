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

"""Engines and precisions have their names in one place."""

from __future__ import annotations

import re
from pathlib import Path

from flashocc_ros.cli.export import PrecisionName
from flashocc_ros.engine_names import ENGINES, PRECISIONS, one_of

ROOT = Path(__file__).parents[1]


def test_a_list_for_people() -> None:
    assert one_of(("a", "b", "c")) == "a, b or c"


def test_the_choices_of_an_export_are_the_precisions() -> None:
    assert tuple(choice.value for choice in PrecisionName) == PRECISIONS


def test_no_other_source_lists_all_engines() -> None:
    sources = [*(ROOT / "flashocc_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]
    every = re.compile(r"\W+(\w+ )?".join(ENGINES))
    assert [path.name for path in sources if every.search(path.read_text())] == ["engine_names.py"]
