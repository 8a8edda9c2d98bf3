"""tf2_ros and sensor_msgs_py where they are installed, small modules of ours where they are not.

Every ROS 2 install has the real ones, and they are always used there. The ROS 2 wheels on PyPI lack them; then `tf2`
and `point_cloud2` of this package take their place with the same call signatures, as far as this package
needs them. Everything else imports the names from here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flashocc_ros.ros.fallback import point_cloud2 as point_cloud2
    from flashocc_ros.ros.fallback.tf2 import (
        Buffer,
        ConnectivityException,
        ExtrapolationException,
        InvalidArgumentException,
        LookupException,
        TransformException,
        TransformListener,
    )

_MODULES = {"tf2_ros": "tf2", "sensor_msgs_py": ""}
_NAMES = {
    "Buffer": "tf2_ros",
    "ConnectivityException": "tf2_ros",
    "ExtrapolationException": "tf2_ros",
    "InvalidArgumentException": "tf2_ros",
    "LookupException": "tf2_ros",
    "TransformException": "tf2_ros",
    "TransformListener": "tf2_ros",
    "point_cloud2": "sensor_msgs_py",
}

__all__ = [
    "Buffer",
    "ConnectivityException",
    "ExtrapolationException",
    "InvalidArgumentException",
    "LookupException",
    "TransformException",
    "TransformListener",
    "is_real",
    "point_cloud2",
]


def is_real(package: str) -> bool:
    """True when ``tf2_ros`` or ``sensor_msgs_py`` itself is used."""
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    package = _NAMES[name]
    if package == "sensor_msgs_py":
        module = f"{package}.point_cloud2" if is_real(package) else f"{__name__}.point_cloud2"
        value: Any = importlib.import_module(module)
    else:
        module = package if is_real(package) else f"{__name__}.{_MODULES[package]}"
        value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value
