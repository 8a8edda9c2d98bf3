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

"""The class tables are the published ones, and the corrected mapping goes by name."""

from __future__ import annotations

import numpy as np
import pytest

from flashocc_ros import labels
from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import OCC3D, ClassTable, SemanticClass


def test_classes_and_colours_match() -> None:
    assert labels.NUM_CLASSES == 18
    assert labels.CLASS_NAMES.index("car") == 4
    assert labels.CLASS_NAMES[labels.FREE] == "free"
    assert labels.FREE == 17
    assert labels.OCC3D.colors_rgb[7] == (0, 0, 230)
    assert len(set(labels.OCC3D.colors_rgb)) == 18


def test_detections_map_to_the_class_of_their_name() -> None:
    assert labels.OCC_FROM_DETECTION == (4, 10, 5, 3, 9, 1, 6, 2, 7, 8)


def test_things_and_ground_are_the_benchmark_lists() -> None:
    assert set(labels.THING_CLASSES) == {2, 3, 4, 5, 6, 7, 9, 10}
    assert labels.FLAT_CLASSES == (11, 12, 13, 14)


def test_labels_of_occ3d_stay_what_they_are_in_its_own_table() -> None:
    assert OCC3D.from_occ3d()[:18] == tuple(range(18))
    assert set(OCC3D.from_occ3d()[18:]) == {255}


def test_free_may_be_any_class() -> None:
    table = ClassTable("t", 1, (SemanticClass("nothing", (0, 0, 0)), SemanticClass("wall", (9, 9, 9))), 0)
    assert table.solid == (1,)
    assert table.occupied(np.array([0, 1, 2, 255], np.uint8)).tolist() == [False, True, False, False]


def test_an_impossible_table_is_one_sentence() -> None:
    a, b = SemanticClass("a", (0, 0, 0)), SemanticClass("b", (0, 0, 0))
    with pytest.raises(ConfigError, match="class 2 is free, ids go from 0 to 1"):
        ClassTable("t", 1, (a, b), 2)
    with pytest.raises(ConfigError, match="1 classes are not possible, a table has 2 to 254"):
        ClassTable("t", 1, (a,), 0)
    with pytest.raises(ConfigError, match="detection class 1 must be"):
        ClassTable("t", 1, (a, b), 0, (1,))
