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

"""The shipped RViz configuration, with the pictures of the cameras at hand.

RViz shows a compressed image only where its topic ends in ``/compressed``; the cameras' topics are remapped to such.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from flashocc_ros.errors import ConfigError
from flashocc_ros.ros.parameters import CameraParameters, NodeParameters

IMAGE = "rviz_default_plugins/Image"


@dataclass(frozen=True)
class CameraView:
    """A camera as RViz shows it: its name, its topic, and whether that carries compressed images."""

    name: str
    topic: str
    compressed: bool

    @property
    def shown(self) -> str:
        """The topic that RViz is told; its end says what it carries. To be remapped to the true one."""
        return f"flashocc_view/{self.name}/{'compressed' if self.compressed else 'image'}"


def camera_views(*parameter_files: Path) -> list[CameraView]:
    """The cameras that parameter files list, a later file before an earlier one; none of video, which RViz cannot show.

    Raises:
        ConfigError: a file cannot be read.
    """
    cameras: dict[str, Any] = {}
    for path in parameter_files:
        try:
            tree = yaml.safe_load(path.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"parameter file {path} cannot be read: {error}") from error
        for node in tree.values() if isinstance(tree, dict) else ():
            cameras |= (node.get("ros__parameters") or {}).get("cameras") or {}
    known = {item.name for item in fields(CameraParameters)}
    names = tuple(cameras.get("names") or ())
    parameters = NodeParameters(
        cameras=CameraParameters(**{key: value for key, value in cameras.items() if key in known}),
        camera_overrides={name: cameras[name] for name in names if isinstance(cameras.get(name), dict)},
    )
    transport = parameters.cameras.transport
    shown = names if transport in ("compressed", "raw") else ()
    return [CameraView(name, parameters.image_topic(name), transport == "compressed") for name in shown]


def rviz_config(shipped: Path, views: Sequence[CameraView]) -> Path:
    """A file like the ``shipped`` one that shows these cameras; the shipped one shows those of a nuScenes vehicle.

    The pictures keep their places: RViz stores where its docks are under their names, as Qt's strings (their length in
    bytes, then UTF-16). Cameras beyond the shipped ones come where RViz puts them.
    """
    config = yaml.safe_load(shipped.read_text())
    manager, window = config["Visualization Manager"], config["Window Geometry"]
    pictures = [display for display in manager["Displays"] if display["Class"] == IMAGE]
    others = [display for display in manager["Displays"] if display["Class"] != IMAGE]
    state = str(window["QMainWindow State"])
    for picture, view in zip(pictures, views, strict=False):
        state = state.replace(_qt_string(picture["Name"]), _qt_string(f"\0{view.name}"))  # marked: names may recur
    window["QMainWindow State"] = _without_marks(state, views)
    manager["Displays"] = others + [_picture(pictures[0], view) for view in views]
    with tempfile.NamedTemporaryFile("w", prefix="flashocc_", suffix=".rviz", delete=False) as file:
        yaml.safe_dump(config, file, sort_keys=False, width=10_000)
    return Path(file.name)


def _picture(like: dict[str, Any], view: CameraView) -> dict[str, Any]:
    return like | {"Name": view.name, "Topic": like["Topic"] | {"Value": view.shown}}


def _without_marks(state: str, views: Iterable[CameraView]) -> str:
    for view in views:
        state = state.replace(_qt_string(f"\0{view.name}"), _qt_string(view.name))
    return state


def _qt_string(text: str) -> str:
    """As `QDataStream` writes a string, in hexadecimal digits."""
    content = text.encode("utf-16-be")
    return (len(content).to_bytes(4, "big") + content).hex()
