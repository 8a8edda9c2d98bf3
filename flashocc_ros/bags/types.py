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

"""Message types and QoS profiles of recordings: the standard ROS 2 set, ``msg/*.msg`` of this package and
``definitions/``."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from flashocc_ros import bounded_yaml
from flashocc_ros.errors import BagError
from flashocc_ros.paths import PACKAGE, share_directory

_DEFINITIONS = Path(__file__).with_name("definitions")
"""Of packages beyond the standard set: what recordings of older distributions do not describe, and what the wheels
lack (``cmake/``)."""
_FOREVER = QosTime(0, 0)
Policy = TypeVar("Policy", QosHistory, QosReliability, QosDurability)


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
TF_TYPE = "tf2_msgs/msg/TFMessage"
CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"
SENSOR_DATA = _profile(10, QosReliability.BEST_EFFORT, QosDurability.VOLATILE)
MAX_DEPTH = 1000


def is_static_tf(topic: str) -> bool:
    """Whether a topic is ``/tf_static``, in whatever namespace."""
    return topic.rpartition("/")[2] == "tf_static"


def offered(profiles: str) -> list[Qos]:
    """What the publishers of a topic offered, from YAML as rosbag2 writes it; empty where that cannot be read."""
    try:
        entries = [entry for entry in bounded_yaml.load(profiles) or () if isinstance(entry, dict)]
    except (ValueError, TypeError):
        return []
    found = []
    for entry in entries:
        depth = entry.get("depth")
        qos = _profile(
            depth if isinstance(depth, int) and 0 <= depth <= MAX_DEPTH else RELIABLE.depth,
            _member(QosReliability, entry.get("reliability")),
            _member(QosDurability, entry.get("durability")),
        )
        found.append(qos._replace(history=_member(QosHistory, entry.get("history"))))
    return found


def strongest(profiles: Sequence[Qos]) -> Qos:
    """The one that serves every subscriber of a topic: latched or reliable if any publisher was; else `RELIABLE`."""
    return max(
        profiles,
        key=lambda qos: (qos.durability.name == "TRANSIENT_LOCAL", qos.reliability.name == "RELIABLE", qos.depth),
        default=RELIABLE,
    )


def _member(kind: type[Policy], value: object) -> Policy:
    """Policies are numbers until ROS 2 Iron and names since."""
    try:
        return kind[value.upper()] if isinstance(value, str) else kind(value)
    except (KeyError, ValueError):
        return kind["UNKNOWN"]


def typestore() -> Typestore:
    """A new store with the types of ROS 2 and of this package, ready to serialise and deserialise CDR.

    Raises:
        BagError: a ``.msg`` file of this package is missing.
    """
    store = standard_types()
    add_own_types(store)
    return store


def standard_types() -> Typestore:
    """A new store with the types of ROS 2 alone."""
    return get_typestore(Stores.ROS2_KILTED)


def add_own_types(store: Typestore) -> None:
    """Add those of this package's types that a store does not have yet.

    Raises:
        BagError: a ``.msg`` file of this package is missing.
    """
    store.register({name: fields for name, fields in own_types().items() if name not in store.fielddefs})


@functools.cache
def own_types() -> dict:
    """This package's types by name, as they are today.

    Raises:
        BagError: a ``.msg`` file of this package is missing.
    """
    try:
        folder = share_directory() / "msg"
    except FileNotFoundError as error:
        raise BagError(str(error)) from error
    types: dict = {}
    for path in sorted(folder.glob("*.msg")):
        types.update(get_types_from_msg(path.read_text(), f"{PACKAGE}/msg/{path.stem}"))
    for path in sorted(_DEFINITIONS.glob("*/msg/*.msg")):
        types.update(get_types_from_msg(path.read_text(), "/".join(path.with_suffix("").parts[-3:])))
    return types
