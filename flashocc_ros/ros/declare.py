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

"""Declare the fields of ``parameters.py`` on a node and read them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from flashocc_ros.errors import ConfigError
from flashocc_ros.ros.parameter_checks import build, check_value
from flashocc_ros.ros.parameters import CAMERA_OVERRIDES, Limits, NodeParameters, walk
from flashocc_ros.ros.problems import one_line

Rejected = dict[str, str]
"""Start-up values that could not even be declared, by name, and why; configuring fails while there are any."""

_LIMITS = {name: limits for name, _, limits in walk()}


def declare(node: Node, rejected: Rejected) -> None:
    """Declare every parameter; a start value of wrong type or range goes to ``rejected``, and the default holds."""
    for name, default, limits in walk():
        value = list(default) if isinstance(default, tuple) else default
        _declare_one(node, name, value, describe(limits, default), rejected)


def declare_cameras(node: Node, names: Sequence[str], rejected: Rejected) -> None:
    """Declare ``cameras.<name>.*`` for cameras that do not have them yet."""
    for camera in names:
        for key, description in CAMERA_OVERRIDES.items():
            if not node.has_parameter(f"cameras.{camera}.{key}"):
                descriptor = ParameterDescriptor(description=description)
                _declare_one(node, f"cameras.{camera}.{key}", "", descriptor, rejected)


def read(node: Node, rejected: Rejected) -> NodeParameters:
    """The parameters as they are now.

    Raises:
        ConfigError: a value cannot be used; the message names the parameter, the value and the remedy.
    """
    names = [str(name) for name in _value(node, "cameras.names") or ()]
    if all(name.isidentifier() for name in names):
        declare_cameras(node, names, rejected)
    if rejected:
        raise ConfigError(next(iter(rejected.values())))
    values = {name: value for name in _LIMITS if (value := _value(node, name)) is not None}
    overrides = {
        camera: {key: node.get_parameter(f"cameras.{camera}.{key}").value for key in CAMERA_OVERRIDES}
        for camera in names
        if node.has_parameter(f"cameras.{camera}.frame")
    }
    parameters = build(values, overrides)
    _check_topics(node, parameters)
    return parameters


def _check_topics(node: Node, parameters: NodeParameters) -> None:
    """The rules for names of topics are rclpy's, and depend on the node."""
    for camera in parameters.cameras.names:
        topics = {"image_topic": parameters.image_topic(camera), "info_topic": parameters.info_topic(camera)}
        for key, topic in topics.items():
            try:
                node.resolve_topic_name(topic)
            except Exception as error:  # a class for every kind of mistake, and more of them with every release
                raise ConfigError(
                    f"parameter cameras.{camera}.{key}: {topic!r} is no name of a topic: {one_line(error)}; use "
                    "letters, digits, underscores and single slashes, no part of it starting with a digit"
                ) from error


def _value(node: Node, name: str) -> Any:
    """The value of a parameter, None while it has none."""
    return node.get_parameter_or(name).value


def on_set(
    is_configured: Callable[[], bool], rejected: Rejected
) -> Callable[[Sequence[Parameter[Any]]], SetParametersResult]:
    """A callback for ``add_on_set_parameters_callback``: refuses bad values, and any value while configured."""

    def check(parameters: Sequence[Parameter[Any]]) -> SetParametersResult:
        ours = [p for p in parameters if p.name in _LIMITS or p.name.startswith("cameras.")]
        for parameter in ours:
            if is_configured():
                reason = (
                    f"parameter {parameter.name} is read when the node is configured; deactivate and clean it up first"
                )
                return SetParametersResult(successful=False, reason=reason)
            try:
                if parameter.name in _LIMITS:
                    check_value(parameter.name, parameter.value, _LIMITS[parameter.name])
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
        for parameter in ours:
            rejected.pop(parameter.name, None)
        return SetParametersResult(successful=True)

    return check


def describe(limits: Limits, default: Any) -> ParameterDescriptor:
    """The ROS descriptor of a parameter."""
    descriptor = ParameterDescriptor(description=limits.description, read_only=limits.read_only)
    if limits.choices:
        file = ", or the path of a variant file" if limits.or_file else ""
        descriptor.additional_constraints = f"one of: {', '.join(limits.choices)}{file}"
    if limits.minimum is not None and limits.maximum is not None:
        if isinstance(default, int):
            whole = IntegerRange(from_value=int(limits.minimum), to_value=int(limits.maximum))
            descriptor.integer_range = [whole]
        else:
            real = FloatingPointRange(from_value=float(limits.minimum), to_value=float(limits.maximum))
            descriptor.floating_point_range = [real]
    return descriptor


def _declare_one(node: Node, name: str, default: Any, descriptor: ParameterDescriptor, rejected: Rejected) -> None:
    empty = default == []  # without a type of its own
    array = Parameter.Type.DOUBLE_ARRAY if name.endswith("_s") else Parameter.Type.STRING_ARRAY
    value: Any = array if empty else default
    try:
        node.declare_parameter(name, value, descriptor)
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        allowed = f"default {default!r}" + (f", {limits}" if (limits := _range(descriptor)) else "")
        rejected[name] = f"parameter {name}: the start-up value cannot be used: {error}; give one like the {allowed}"
        node.declare_parameter(name, value, descriptor, ignore_override=True)
    if empty and _value(node, name) is None:
        # A single parameter without value, and the service that gets them answers none of those it was asked for.
        node.set_parameters([Parameter(name, array, [])])


def _range(descriptor: ParameterDescriptor) -> str:
    ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
    return "".join(f"from {r.from_value:g} to {r.to_value:g}" for r in ranges)
