"""Message types and QoS profiles of recordings: the standard ROS 2 set plus ``msg/*.msg`` of this package."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from flashocc_ros.errors import BagError

PACKAGE = "flashocc_ros"

_FOREVER = QosTime(0, 0)


def _profile(depth: int, reliability: QosReliability, durability: QosDurability) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        reliability,
        durability,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        False,
    )


RELIABLE = _profile(10, QosReliability.RELIABLE, QosDurability.VOLATILE)
"""What a topic without a recorded profile is offered with."""
LATCHED = _profile(1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL)
"""Static transforms and class tables: late subscribers still get the last message."""
SENSOR_DATA = _profile(10, QosReliability.BEST_EFFORT, QosDurability.VOLATILE)


def message_directory() -> Path:
    """Folder that holds this package's ``.msg`` files: a checkout, an installed share folder or package data.

    Raises:
        BagError: none of the known places has them.
    """
    package = Path(__file__).resolve().parents[1]
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    # site-packages/flashocc_ros sits below <prefix>/lib/pythonX.Y or <prefix>/local/lib/pythonX.Y
    prefixes += [Path(sys.prefix), *package.parents[1:5]]
    places = [package.parent / "msg", package / "msg", *(p / "share" / PACKAGE / "msg" for p in prefixes)]
    for place in places:
        if any(place.glob("*.msg")):
            return place
    raise BagError(f"the .msg files of {PACKAGE} are in none of {[str(p) for p in places]}; reinstall the package")


def typestore() -> Typestore:
    """A new store with the types of ROS 2 and of this package, ready to serialise and deserialise CDR.

    Raises:
        BagError: a ``.msg`` file of this package is missing.
    """
    store = get_typestore(Stores.ROS2_KILTED)
    store.register(_own_types())
    return store


@functools.cache
def _own_types() -> dict:
    types: dict = {}
    for path in sorted(message_directory().glob("*.msg")):
        types.update(get_types_from_msg(path.read_text(), f"{PACKAGE}/msg/{path.stem}"))
    return types
