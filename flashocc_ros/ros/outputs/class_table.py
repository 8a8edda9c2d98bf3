"""The latched table of class ids, names and colours as ``flashocc_ros/ClassTable``."""

from __future__ import annotations

from array import array

from flashocc_ros.labels import CLASS_NAMES, CLASS_TABLE_NAME, CLASS_TABLE_VERSION, COLORS_RGB
from flashocc_ros.msg import ClassTable


def to_class_table() -> ClassTable:
    """Message with every class; colours are flattened r, g, b."""
    return ClassTable(
        name=CLASS_TABLE_NAME,
        version=CLASS_TABLE_VERSION,
        ids=array("B", range(len(CLASS_NAMES))),
        names=list(CLASS_NAMES),
        colors_rgb=array("B", COLORS_RGB.tobytes()),
    )
