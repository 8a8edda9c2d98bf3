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

"""The latched table of class ids, names and colours as ``flashocc_ros/ClassTable``."""

from __future__ import annotations

from array import array

from flashocc_ros import labels
from flashocc_ros.msg import ClassTable


def to_class_table(classes: labels.ClassTable) -> ClassTable:
    """Message with every class; colours are flattened r, g, b."""
    return ClassTable(
        name=classes.name,
        version=classes.version,
        ids=array("B", range(len(classes))),
        names=list(classes.names),
        colors_rgb=array("B", [value for color in classes.colors_rgb for value in color]),
        free=classes.free,
        things=array("B", classes.things),
        flat=array("B", classes.flat),
    )
