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

"""What a rig is written down as: ``calibration.yaml`` of a folder of pictures, and the camera parameters of the node.

Both are text with remarks rather than dumped data, as people go on to edit them. What nobody could find out is an empty
value there, which whoever reads the file refuses by name.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from flashocc_ros.cameras.rectify import FISHEYE_MODELS, Fisheye, Lens
from flashocc_ros.errors import ConfigError

Float64 = npt.NDArray[np.float64]

PARAMETERS_FILE = "cameras.yaml"
FORWARD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Base (x forward, y left, z up) from the optical frame (z forward, x right) of a level camera that looks ahead."""
_YAWS_DEG = {
    "ahead": 0,
    "ahead left, 55 degrees": 55,
    "left": 90,
    "back left, 110 degrees": 110,
    "back": 180,
    "back right, 110 degrees": -110,
    "right": -90,
    "ahead right, 55 degrees": -55,
}
_ORDER = (
    "# Cameras stand in the order the network is given them: front left, front, front right, back left, back, back",
    "# right where there are such.",
)
_NODE_TOPIC = {"image": "{name}/image_rect_compressed", "info": "{name}/camera_info"}
"""The node's own for ``transport: compressed``, written out where nothing is known of topics."""


@dataclass(frozen=True, eq=False)
class RigCamera:
    """One camera as far as it is known.

    Attributes:
        name: as its source calls it.
        lens: K and D for pictures of ``width`` x ``height``; None is unknown.
        base_from_camera: (4, 4) metres, optical frame to base; None is unknown.
        width, height: of its pictures, pixels; 0 is unknown.
        image: file of its only picture below the folder; empty for a sequence and for topics.
        image_topic, info_topic: of a recording; empty elsewhere.
        transport: of ``image_topic``, a value of the node's ``cameras.transport``.
    """

    name: str
    lens: Lens | None = None
    base_from_camera: Float64 | None = None
    width: int = 0
    height: int = 0
    image: str = ""
    image_topic: str = ""
    info_topic: str = ""
    transport: str = "compressed"


@dataclass(frozen=True)
class Rig:
    """The cameras of a vehicle and where they are known from.

    Attributes:
        cameras: in the order the network is given them.
        origin: one sentence for the head of the files.
        remarks: more of them, such as what was assumed.
        base_frame, odom_frame: of a recording; an empty ``odom_frame`` is a vehicle without odometry.
        has_stamps: False for sequences of pictures that nothing tells stamps of.
        fisheye: what is to become of wide lenses, see `cameras.rectify`.
    """

    cameras: tuple[RigCamera, ...]
    origin: str
    remarks: tuple[str, ...] = ()
    base_frame: str = "base_link"
    odom_frame: str = "odom"
    has_stamps: bool = True
    fisheye: Fisheye = "rectify"

    @property
    def unknown(self) -> tuple[str, ...]:
        """Keys of ``calibration.yaml`` that are still empty, those of each camera first."""
        lenses = any(camera.lens is None for camera in self.cameras)
        poses = any(camera.base_from_camera is None for camera in self.cameras)
        return ("K",) * lenses + ("T_base_cam",) * poses + ("rate_hz",) * (not self.has_stamps)


def plain_names(cameras: Sequence[RigCamera]) -> dict[str, str]:
    """Names that parameters may have, letters, digits and underscores, by the cameras' own.

    Raises:
        ConfigError: two become the same.
    """
    names: dict[str, str] = {}
    for camera in cameras:
        plain = re.sub(r"[^A-Za-z0-9_]+", "_", camera.name).strip("_")
        plain = plain if plain[:1].isalpha() else f"camera_{plain}".rstrip("_")
        if plain in names.values():
            other = next(name for name, taken in names.items() if taken == plain)
            raise ConfigError(f"cameras {other} and {camera.name} would both be called {plain}; choose with --cameras")
        names[camera.name] = plain
    return names


def calibration_yaml(rig: Rig) -> str:
    """The text of ``calibration.yaml``."""
    lines = [
        *_remarks(rig, "Calibration of a folder of pictures, for `flashocc predict` and `flashocc doctor`."),
        *(["# A template: fill in what is empty, then look at the rig with `flashocc doctor`."] if rig.unknown else []),
        *_ORDER,
        *(["fisheye: rays"] if rig.fisheye == "rays" else []),
        "cameras:",
    ]
    names = plain_names(rig.cameras)
    for index, camera in enumerate(rig.cameras):
        lines += [f"  {names[camera.name]}:", *_camera(camera, remarked=index == 0)]
    if not rig.has_stamps:
        lines += [
            "rate_hz:  # to fill in: so many pictures a second, those of all cameras taken together; or remove the",
            "# line and add <camera>/timestamps.csv with rows name,stamp_ns",
        ]
    if "T_base_cam" in rig.unknown:
        lines += ["", "# rotation_xyzw of a level camera that looks"]
        for side, yaw_deg in _YAWS_DEG.items():
            turned = Rotation.from_euler("z", yaw_deg, degrees=True) * Rotation.from_matrix(FORWARD)
            lines.append(f"#   {side + ':':<25}{_numbers(turned.as_quat())}")
    return "\n".join(lines) + "\n"


def _camera(camera: RigCamera, remarked: bool) -> list[str]:
    def remark(text: str) -> str:
        return f"  # {text}" if remarked else ""

    lens, lines = camera.lens, []
    if camera.image:
        lines.append(f"    image: {_quoted(camera.image)}")
    if lens is None:
        lines.append(f"    K:{remark('to fill in: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], pixels')}")
    else:
        rows = ", ".join(_numbers(row) for row in np.reshape(lens.k, (3, 3)))
        lines.append(f"    K: [{rows}]{remark('pixels')}")
    if lens is None:
        lines.append(f"    # D: [k1, k2, p1, p2, k3]{'  and distortion_model: plumb_bob, or equidistant' * remarked}")
    elif np.any(lens.d):
        lines.append(f"    D: {_numbers(lens.d)}{remark('k1, k2, p1, p2, k3, ... of the')}")
    # A fisheye is one without coefficients too.
    if lens is not None and (np.any(lens.d) or lens.distortion_model.lower() in FISHEYE_MODELS):
        lines.append(f"    distortion_model: {lens.distortion_model}")
    if camera.width and camera.height:
        lines.append(f"    width: {camera.width}{remark('size of the pictures that K is for; smaller ones scale it')}")
        lines.append(f"    height: {camera.height}")
    frames = "optical frame (z forward, x right, y down) to base (x forward, y left, z up, on the ground)"
    lines.append(f"    T_base_cam:{remark(frames)}")
    pose = camera.base_from_camera
    if pose is None:
        lines.append(f"      translation_xyz:{remark('to fill in: metres, e.g. [1.7, 0.0, 1.5]')}")
        lines.append(f"      rotation_xyzw:{remark('to fill in: see the end of this file')}")
    else:
        lines.append(f"      translation_xyz: {_numbers(pose[:3, 3])}{remark('metres')}")
        lines.append(f"      rotation_xyzw: {_numbers(Rotation.from_matrix(pose[:3, :3]).as_quat(), 9)}")
    return lines


def parameters_yaml(rig: Rig) -> str:
    """The text of the node's parameter file of the same cameras.

    Raises:
        ConfigError: their images are of different message types, of which the node takes one.
    """
    names = plain_names(rig.cameras)
    transports = {camera.transport: camera for camera in rig.cameras}
    if len(transports) > 1:
        told = ", ".join(f"{camera.image_topic} {kind}" for kind, camera in transports.items())
        raise ConfigError(f"the node takes images of one type for all cameras, there are {told}; choose with --cameras")
    known = all(camera.image_topic for camera in rig.cameras)
    patterns = {"image": "", "info": ""}
    if known:
        for key in patterns:
            found = {_pattern(names[c.name], getattr(c, f"{key}_topic")) for c in rig.cameras}
            patterns[key] = found.pop() if len(found) == 1 else ""
    else:
        patterns = dict(_NODE_TOPIC)
    lines = [
        *_remarks(rig, "Cameras of flashocc_node: ros2 launch flashocc_ros flashocc.launch.py cameras:=THIS_FILE"),
        *_ORDER,
        "/**:",
        "  ros__parameters:",
        f"    base_frame: {_quoted(rig.base_frame)}",
        f"    odom_frame: {_quoted(rig.odom_frame)}"
        + ("" if rig.odom_frame else "  # none: for networks of one frame; others need odometry"),
        "    cameras:",
        f"      names: [{', '.join(names.values())}]",
        f"      transport: {rig.cameras[0].transport}",
        *(["      fisheye: rays"] if rig.fisheye == "rays" else []),
    ]
    guessed = "" if known else "  # to check: what your driver publishes"
    lines += [f"      {key}_topic: {_quoted(pattern)}{guessed}" for key, pattern in patterns.items() if pattern]
    for camera in rig.cameras if not all(patterns.values()) else ():
        own = {f"{key}_topic": getattr(camera, f"{key}_topic") for key, pattern in patterns.items() if not pattern}
        entries = ", ".join(f"{key}: {_quoted(topic)}" for key, topic in own.items())
        lines.append(f"      {names[camera.name]}: {{{entries}}}")
    return "\n".join(lines) + "\n"


def _pattern(name: str, topic: str) -> str:
    """The topic with ``{name}`` for the camera; a topic without it fits no other camera."""
    head, found, tail = topic.partition(f"/{name}/")
    return f"{head}/{{name}}/{tail}" if found else topic


def _remarks(rig: Rig, purpose: str) -> list[str]:
    texts = [purpose, f"Written by `flashocc init-rig` from {rig.origin}.", *rig.remarks]
    return [f"# {line}" for text in texts for line in _wrapped(text)]


def _wrapped(text: str) -> list[str]:
    # what comes from elsewhere, such as a path, must not end the remark
    return textwrap.wrap(" ".join(text.split()), 116, break_long_words=False, break_on_hyphens=False)


def _numbers(values: Sequence[float] | Float64, digits: int = 10) -> str:
    return "[" + ", ".join(repr(round(float(value), digits) + 0.0) for value in values) + "]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
