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

from flashocc_ros import labels


def test_classes_and_colours_match() -> None:
    assert labels.NUM_CLASSES == 18
    assert labels.CLASS_NAMES.index("car") == 4
    assert labels.CLASS_NAMES[labels.FREE] == "free"
    assert labels.FREE == 17
    assert labels.COLORS_RGB.shape == (18, 3)
    assert tuple(labels.COLORS_RGB[7]) == (0, 0, 230)
    assert len({tuple(c) for c in labels.COLORS_RGB.tolist()}) == 18


def test_detections_map_to_the_class_of_their_name() -> None:
    assert labels.OCC_FROM_DETECTION == (4, 10, 5, 3, 9, 1, 6, 2, 7, 8)


def test_things_and_ground_are_the_benchmark_lists() -> None:
    assert set(labels.THING_CLASSES) == {2, 3, 4, 5, 6, 7, 9, 10}
    assert labels.FLAT_CLASSES == (11, 12, 13, 14)
