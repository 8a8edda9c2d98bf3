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

"""What the values of parameters must fulfil; each failure is one sentence that names parameter, value and remedy."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from flashocc_ros.cameras.images import BIT_DEPTHS
from flashocc_ros.cameras.transforms import frame_name
from flashocc_ros.engine.select import find_export
from flashocc_ros.errors import ConfigError, did_you_mean
from flashocc_ros.labels import OCC3D
from flashocc_ros.ranges import MAX_CAMERAS
from flashocc_ros.ros.parameters import CostParameters, Limits, NodeParameters, default_of, walk
from flashocc_ros.variants import get_variant, is_file


def build(values: dict[str, Any], camera_overrides: dict[str, dict[str, str]]) -> NodeParameters:
    """Parameters from dotted names; names left out keep their defaults.

    Raises:
        ConfigError: a value cannot be used; the message names the parameter, the value and the remedy.
    """
    parameters: NodeParameters = _build(NodeParameters, values, "", camera_overrides=camera_overrides)
    check_all(parameters, walk(parameters))
    return parameters


def _build(owner: type, values: dict[str, Any], prefix: str, **extra: Any) -> Any:
    arguments: dict[str, Any] = dict(extra)
    for item in fields(owner):
        name = prefix + item.name
        if "limits" in item.metadata:
            if name in values:
                value = values[name]
                arguments[item.name] = tuple(value) if isinstance(value, list | tuple) else value
        elif is_dataclass(default := default_of(item)):
            arguments[item.name] = _build(type(default), values, f"{name}.")
    return owner(**arguments)


def check_value(name: str, value: Any, limits: Limits) -> None:
    """Raise ConfigError when one value breaks the limits of its parameter."""
    if limits.choices and value not in limits.choices and not (limits.or_file and is_file(value)):
        hint = did_you_mean(str(value), limits.choices)
        file = ", or the path of a variant file (.yaml)" if limits.or_file else ""
        raise _error(name, value, f"is not one of its choices; use one of: {', '.join(limits.choices)}{file}{hint}")
    low, high = limits.minimum, limits.maximum
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise _error(name, value, f"is out of range; use a value from {low:g} to {high:g}")


def check_all(parameters: NodeParameters, each: Iterable[tuple[str, Any, Limits]]) -> None:
    """Raise ConfigError for the first value that breaks its limits or does not fit the others."""
    for name, value, limits in each:
        check_value(name, value, limits)
    _check_files(parameters)
    _check_frames(parameters)
    _check_cameras(parameters)
    _check_sync(parameters)
    _check_variant(parameters)
    if parameters.grid.min_height_m >= parameters.grid.max_height_m:
        raise _error(
            "grid.min_height_m",
            parameters.grid.min_height_m,
            f"must be below grid.max_height_m ({parameters.grid.max_height_m:g}); lower it or raise the other",
        )
    if parameters.diagnostics.warn_after_s > parameters.diagnostics.error_after_s:
        raise _error(
            "diagnostics.warn_after_s",
            parameters.diagnostics.warn_after_s,
            f"must not exceed diagnostics.error_after_s ({parameters.diagnostics.error_after_s:g}); lower it",
        )


def _error(name: str, value: Any, rest: str) -> ConfigError:
    return ConfigError(f"parameter {name}: {value!r} {rest}")


def _check_files(parameters: NodeParameters) -> None:
    path = parameters.checkpoint
    if path and not Path(path).expanduser().is_file():
        remedy = "give the path of a .pth or .safetensors file or the folder of an export, or leave it empty"
        if find_export(path) is None:
            raise _error("checkpoint", path, f"is no file; {remedy}")
    folder = parameters.cache_dir
    if folder and Path(folder).expanduser().exists() and not Path(folder).expanduser().is_dir():
        raise _error("cache_dir", folder, "is no folder; give another path or leave it empty")


def _check_frames(parameters: NodeParameters) -> None:
    base = frame_name(parameters.base_frame)
    if not base:
        raise _error("base_frame", parameters.base_frame, "names no frame; give that of the vehicle, usually base_link")
    if base == frame_name(parameters.odom_frame):
        raise _error("base_frame", parameters.base_frame, "is odom_frame, too, in which the vehicle moves; they differ")


def _check_cameras(parameters: NodeParameters) -> None:
    names = parameters.cameras.names
    if not 1 <= len(names) <= MAX_CAMERAS:
        raise _error(
            "cameras.names",
            list(names),
            f"holds {len(names)} cameras, needs 1 to {MAX_CAMERAS}; list them, e.g. with "
            "--params-file config/cameras_nuscenes.yaml",
        )
    reserved = {item.name for item in fields(parameters.cameras)}
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in reserved:
            raise _error(
                "cameras.names",
                name,
                f"cannot name a camera; use letters, digits and underscores, not starting with a digit, and none of "
                f"{', '.join(sorted(reserved))}",
            )
    if len(set(names)) != len(names):
        raise _error("cameras.names", list(names), "holds a name twice; give each camera its own name")
    if (bit_depth := parameters.cameras.bit_depth) not in BIT_DEPTHS:
        raise _error("cameras.bit_depth", bit_depth, "is no depth of a sensor; use 8 to 16, or 0 for all 16 bits")
    owners: dict[str, str] = {}
    for name in names:
        topics = {"image_topic": parameters.image_topic(name), "info_topic": parameters.info_topic(name)}
        for key, topic in topics.items():
            if not topic:
                raise _error(
                    f"cameras.{name}.{key}", topic, "leaves the camera without its K; name its CameraInfo topic"
                )
            if topic in owners:
                raise _error(
                    f"cameras.{name}.{key}",
                    topic,
                    f"is already used by {owners[topic]}; give each topic once, or put {{name}} into cameras.{key}",
                )
            owners[topic] = f"cameras.{name}.{key}"


def _check_sync(parameters: NodeParameters) -> None:
    sync = parameters.sync
    if sync.anchor and sync.anchor not in parameters.cameras.names:
        names = ", ".join(parameters.cameras.names)
        raise _error("sync.anchor", sync.anchor, f"is no camera of cameras.names; use one of: {names}")
    if sync.offsets_s and len(sync.offsets_s) != len(parameters.cameras.names):
        count = len(parameters.cameras.names)
        raise _error(
            "sync.offsets_s", list(sync.offsets_s), f"must hold one delay for each of {count} cameras, or none"
        )
    if sync.policy == "approximate_time" and importlib.util.find_spec("message_filters") is None:
        raise _error(
            "sync.policy",
            sync.policy,
            "needs the ROS package message_filters, which is not installed; install ros-$ROS_DISTRO-message-filters or "
            "use 'anchor'",
        )


def _check_variant(parameters: NodeParameters) -> None:
    variant = get_variant(parameters.variant)
    if variant.classes is not OCC3D and parameters.grid.costs != CostParameters():
        raise ConfigError(
            f"parameters grid.costs name classes of Occ3D, but {variant.name} has its own; leave them out and write "
            "the costs into the variant file"
        )
    if not parameters.odom_frame and variant.temporal:
        raise _error(
            "odom_frame",
            parameters.odom_frame,
            f"cannot be empty with variant {variant.name}, which follows the ego motion over frames; name the fixed "
            "frame of your odometry or choose a single-frame variant",
        )
