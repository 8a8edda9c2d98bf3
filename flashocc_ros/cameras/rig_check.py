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

"""Is a rig plausible? What is impossible is refused where rigs and sets are made; this tells what is merely unlikely.

Most wrong calibrations are one of a few mistakes: a transform the wrong way round, millimetres, the body frame in place
of the optical one, cameras mixed up. Each leaves cameras that look at the sky, stand under the ground or look against
their name. A mistake is named as the cause where undoing it makes the cameras plausible. ``docs/calibration_checks.md``
lists limits and what cannot be found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from flashocc_ros.camera_model import PINHOLE
from flashocc_ros.cameras.findings import named
from flashocc_ros.cameras.mounting import (
    MAX_ELEVATION_DEG,
    MAX_HEIGHT_M,
    MAX_NAME_ERROR_DEG,
    MAX_REACH_M,
    View,
    compass,
)
from flashocc_ros.errors import InputError
from flashocc_ros.geometry.camera_models import max_angle_rad, rays_of_pixels
from flashocc_ros.structures import CameraRig

Float64 = npt.NDArray[np.float64]
Sizes = Sequence[tuple[int, int]]

TWIN_M, TWIN_DEG, TWIN_FOCAL = 0.02, 2.0, 0.2
"""Closer in place, direction and (relative) focal length two cameras cannot be: a narrow stereo pair has 0.05 m."""
MAX_OFF_CENTRE = 0.2
"""Of the width: a principal point further from the middle is of a picture 1.4 times as large or small."""
MIN_VIEW_DEG, MAX_VIEW_DEG = 5.0, 170.0
"""Horizontal field of view of a flat picture."""
MAX_FISHEYE_DEG = 290.0
"""Of a fisheye; the widest that are sold see 280."""
HORIZON_DEG = 5.0
"""By which the horizon has to lie inside the view of a lens: fisheyes at mirrors look down further than others."""
MAX_TILT_DEG = 45.0
"""Of the vehicle; no road or ramp is as steep."""
MAX_SET_TRAVEL_M = 10.0
"""Between the first and the last shutter of a set; 0.1 s at 70 m/s is 7."""

OPTICAL_FROM_BODY = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
"""A camera's body frame, x forward, y left, z up (REP-103), to its optical frame."""


@dataclass(frozen=True)
class RigFinding:
    """Something implausible.

    Attributes:
        level: "error" where a known mistake explains it, "warn" where it is unlikely but might be meant.
        cause: "inverse", "body_frame", "opengl", "millimetres", "turned_base", "exchanged", "axis", "roll", "height",
            "distance", "direction", "twins", "other_picture", "field_of_view", "tilted_poses" or "scattered_poses".
        cameras: the ones concerned.
        text: one sentence with value, limit and remedy.
    """

    level: Literal["warn", "error"]
    cause: str
    cameras: tuple[str, ...]
    text: str


def check_pictures(rig: CameraRig, image_sizes: Sizes) -> None:
    """Refuse pictures that are not those of their calibration.

    Args:
        rig: calibration of N cameras.
        image_sizes: N (height, width) in pixels.

    Raises:
        InputError: a principal point lies outside its picture.
    """
    for name, matrix, (height, width) in zip(rig.names, rig.intrinsics, image_sizes, strict=True):
        x, y = matrix[0, 2], matrix[1, 2]
        if not (0 < x < width and 0 < y < height):
            raise InputError(
                f"the principal point ({x:.6g}, {y:.6g}) of camera {name} lies outside its picture of "
                f"{width}x{height}: the pictures are of another rig or were scaled; give the K of these pictures"
            )


def check_rig(rig: CameraRig, image_sizes: Sizes) -> tuple[RigFinding, ...]:
    """What is implausible about a rig; empty for a good one.

    Args:
        rig: calibration of N cameras.
        image_sizes: N (height, width) in pixels.
    """
    wide_deg = [_view_deg(rig, index, size) for index, size in enumerate(image_sizes)]
    limits = [max(MAX_ELEVATION_DEG, min(deg / 2, 90.0) - HORIZON_DEG) for deg in wide_deg]
    limits = [MAX_ELEVATION_DEG if m == PINHOLE else limit for m, limit in zip(rig.models, limits, strict=True)]
    views = [View(*camera) for camera in zip(rig.names, rig.base_from_camera, limits, strict=True)]
    for a, b in combinations(views, 2):
        if a.is_stereo_with(b):
            a.expected_deg = b.expected_deg = None
    return (*_mounting(views), *_twins(rig, views, image_sizes), *_lenses(rig, image_sizes))


def check_poses(names: Sequence[str], odom_from_base: Float64) -> tuple[RigFinding, ...]:
    """What is implausible about the vehicle poses (N, 4, 4) at the shutters of one set; empty for good ones."""
    findings = []
    tilt_deg = math.degrees(math.acos(float(np.clip(odom_from_base[:, 2, 2].min(), -1, 1))))
    if tilt_deg > MAX_TILT_DEG:
        text = (
            f"odometry: the vehicle is tilted by {tilt_deg:.0f} degrees, limit {MAX_TILT_DEG:.0f}; its fixed frame is "
            "not z up (an optical or NED frame?), or the transform is the wrong way round"
        )
        findings.append(RigFinding("warn", "tilted_poses", tuple(names), text))
    travel_m = float(np.linalg.norm(np.ptp(odom_from_base[:, :3, 3], axis=0)))
    if travel_m > MAX_SET_TRAVEL_M:
        text = (
            f"odometry: the vehicle moves {travel_m:.1f} m between the shutters of one set, limit {MAX_SET_TRAVEL_M:g} "
            "m; check that its stamps and those of the cameras are of one clock, and that it is in metres"
        )
        findings.append(RigFinding("warn", "scattered_poses", tuple(names), text))
    return tuple(findings)


# ---------------------------------------------------------------- mounting
def _inverted(pose: Float64) -> Float64:
    return np.asarray(np.linalg.inv(pose))


def _as_body(pose: Float64) -> Float64:
    return np.asarray(pose @ np.linalg.inv(OPTICAL_FROM_BODY))


def _as_opengl(pose: Float64) -> Float64:
    return np.asarray(pose @ np.diag([1.0, -1, -1, 1]))


def _in_metres(pose: Float64) -> Float64:
    offset = pose[:3, 3]
    if np.linalg.norm(offset) < 100 or abs(offset[2]) <= MAX_HEIGHT_M:  # no camera is 0.1 m from base_link, or under it
        return pose
    metres = pose.copy()
    metres[:3, 3] /= 1000
    return metres


def _turned(angle_deg: float) -> Callable[[Float64], Float64]:
    turn = np.eye(4)
    c, s = round(math.cos(math.radians(angle_deg))), round(math.sin(math.radians(angle_deg)))
    turn[:2, :2] = [[c, -s], [s, c]]
    return lambda pose: np.asarray(turn @ pose)


class _Mistake(NamedTuple):
    """A way to get a transform wrong: how to undo it, a sentence that ends with the remedy, and a complaint without
    which something else is more likely."""

    cause: str
    undo: Callable[[Float64], Float64]
    text: str
    sign: str = ""


_MISTAKES = (
    _Mistake(
        "body_frame",
        _as_body,
        "base_from_camera is most likely that of the body frame (x forward) instead of the optical one (z forward); "
        "take the frame that ends in _optical_frame, or append the rotation between them",
    ),
    _Mistake(
        "inverse",
        _inverted,
        "base_from_camera is most likely inverted, camera_from_base; exchange parent and child of the transform",
    ),
    _Mistake(
        "opengl",
        _as_opengl,
        "base_from_camera is most likely that of OpenGL (y up, looking along -z) instead of the optical one (y down, "
        "looking along z); turn it about the camera's x by 180 degrees",
        "direction",  # else it is mounted upside down
    ),
    _Mistake("millimetres", _in_metres, "translations are most likely in millimetres; divide them by 1000"),
)
_TURNS = tuple(
    _Mistake(
        "turned_base",
        _turned(-angle),
        f"base_link most likely has its x axis {side} instead of forward; turn it about z by {abs(angle)} degrees",
    )
    for angle, side in ((90, "to the right"), (-90, "to the left"), (180, "backward"))
)
_REMEDIES = {
    "axis": "check the rotation and that the frame is the optical one, z forward",
    "roll": "check the rotation and whether the transform is inverted; if the camera is mounted so, turn its pictures "
    "and K upright, as networks know them",
    "direction": "check the yaw, or whether the camera is exchanged with another one",
    "height": "base_link has to be at or near the ground; check height, unit (metres) and parent frame",
    "distance": "check unit (metres) and parent frame",
}


def _mounting(views: Sequence[View]) -> list[RigFinding]:
    wrong = [view for view in views if view.complaints()]
    if not wrong:
        return _baseline(views)
    for mistake in (*_MISTAKES, *(_TURNS if len(views) > 2 else ())):
        if all(_explains(mistake, view) for view in views):
            return [_explained(mistake, views, views)]
    findings = []
    for pair in _exchanged(wrong):
        findings.append(_exchange(*pair))
        wrong = [view for view in wrong if view not in pair]
    for mistake in _MISTAKES:
        # Rolled alone is more likely than inverted: both make a picture that stands on its side.
        fitting = [v for v in wrong if set(v.complaints()) != {"roll"} and _explains(mistake, v)]
        if fitting:
            findings.append(_explained(mistake, fitting, views))
            wrong = [view for view in wrong if view not in fitting]
    for cause, remedy in _REMEDIES.items():
        said = {view.name: view.complaints()[cause] for view in wrong if cause in view.complaints()}
        if said:
            text = "; ".join(f"camera {name} {complaint}" for name, complaint in said.items())
            findings.append(RigFinding("warn", cause, tuple(said), f"{text}; {remedy}"))
    return findings


def _explains(mistake: _Mistake, view: View) -> bool:
    """Undoing the mistake changes the pose to a plausible one."""
    if mistake.sign and mistake.sign not in view.complaints():
        return False
    pose = mistake.undo(view.pose)
    return pose is not view.pose and not view.at(pose).complaints()


def _explained(mistake: _Mistake, fitting: Sequence[View], views: Sequence[View]) -> RigFinding:
    names = tuple(view.name for view in fitting)
    first = next(view for view in fitting if view.complaints())
    text = (
        f"{_named(names, len(views))}: {mistake.text} (camera {first.name} {next(iter(first.complaints().values()))})"
    )
    return RigFinding("error", mistake.cause, names, text)


def _exchanged(wrong: Sequence[View]) -> list[tuple[View, View]]:
    """Pairs that look as their names tell once exchanged, the best ones first, each camera once."""
    candidates: list[tuple[float, int, View, View]] = []
    for a, b in combinations([view for view in wrong if set(view.complaints()) == {"direction"}], 2):
        errors = a.name_error_deg(b), b.name_error_deg(a)
        if max(errors) <= MAX_NAME_ERROR_DEG:
            candidates.append((sum(errors), len(candidates), a, b))
    pairs: list[tuple[View, View]] = []
    for _, _, a, b in sorted(candidates):
        if not any(a in pair or b in pair for pair in pairs):
            pairs.append((a, b))
    return pairs


def _exchange(a: View, b: View) -> RigFinding:
    text = (
        f"cameras {a.name} and {b.name} are most likely exchanged: {a.name} {a.complaints()['direction']}, and "
        f"{b.name} looks {compass(b.yaw_deg)}; exchange their transforms or their topics"
    )
    return RigFinding("error", "exchanged", (a.name, b.name), text)


def _baseline(views: Sequence[View]) -> list[RigFinding]:
    distances = [
        (float(np.linalg.norm(a.pose[:3, 3] - b.pose[:3, 3])), a.name, b.name) for a, b in combinations(views, 2)
    ]
    far_m, *names = max(distances, default=(0.0, ""))
    if far_m <= MAX_REACH_M:
        return []
    text = f"{_named(names)} are {far_m:.4g} m apart, limit {MAX_REACH_M:g}; {_REMEDIES['distance']}"
    return [RigFinding("warn", "distance", tuple(names), text)]


def _named(names: Sequence[str], of: int = 0) -> str:
    return f"all {of} cameras" if 1 < len(names) == of else named(names)


# ---------------------------------------------------------------- twins and lenses
def _twins(rig: CameraRig, views: Sequence[View], image_sizes: Sizes) -> list[RigFinding]:
    focal = [matrix[0, 0] / width for matrix, (_, width) in zip(rig.intrinsics, image_sizes, strict=True)]
    groups: list[dict[str, tuple[float, float]]] = []  # by camera, how far apart from one before it in the group
    for (a, focal_a), (b, focal_b) in combinations(zip(views, focal, strict=True), 2):
        apart_m = float(np.linalg.norm(a.pose[:3, 3] - b.pose[:3, 3]))
        chord = float(np.linalg.norm(a.pose[:3, 2] - b.pose[:3, 2]))
        angle_deg = math.degrees(2 * math.asin(min(chord / 2, 1)))
        if apart_m < TWIN_M and angle_deg < TWIN_DEG and abs(math.log(focal_a / focal_b)) < TWIN_FOCAL:
            group = next((known for known in groups if a.name in known), None)
            if group is None:
                groups.append(group := {a.name: (0.0, 0.0)})
            group.setdefault(b.name, (apart_m, angle_deg))
    findings = []
    for group in groups:
        apart_m, angle_deg = (max(values) for values in zip(*group.values(), strict=True))
        *names, last = group
        text = (
            f"cameras {', '.join(names)} and {last} look the same way from the same place ({apart_m * 1000:.0f} mm and "
            f"{angle_deg:.1f} degrees apart); check that none has the transform of another"
        )
        findings.append(RigFinding("warn", "twins", tuple(group), text))
    return findings


def _view_deg(rig: CameraRig, index: int, size: tuple[int, int]) -> float:
    """How wide a camera sees; of a lens at most its image circle, of an equidistant one also beyond what there is."""
    model, matrix, (_, width) = rig.models[index], rig.intrinsics[index], size
    if model == PINHOLE:
        return math.degrees(2 * math.atan(width / 2 / matrix[0, 0]))
    if model.kind == "equidistant" and not any(model.coefficients):
        return math.degrees(width / matrix[0, 0])
    edges = np.array([[0.0, matrix[1, 2]], [width - 1.0, matrix[1, 2]]])
    rays = rays_of_pixels(model, matrix, edges)
    angles = np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2])
    return math.degrees(float(np.nan_to_num(angles, nan=max_angle_rad(model)).sum()))


def _lenses(rig: CameraRig, image_sizes: Sizes) -> list[RigFinding]:
    """One finding per cause; it tells the numbers of the first camera."""
    found: dict[str, dict[str, str]] = {"other_picture": {}, "field_of_view": {}}
    cameras_of = zip(rig.names, rig.intrinsics, image_sizes, strict=True)
    for index, (name, matrix, (height, width)) in enumerate(cameras_of):
        off = abs(matrix[0, 2] / width - 0.5)
        view_deg, model = _view_deg(rig, index, (height, width)), rig.models[index]
        widest = MAX_FISHEYE_DEG if model.kind == "equidistant" else MAX_VIEW_DEG
        if off > MAX_OFF_CENTRE:
            found["other_picture"][name] = (
                f"the principal point is {off:.0%} of the width off the middle of its picture of {width}x{height}, "
                f"limit {MAX_OFF_CENTRE:.0%}; K is most likely of another picture size"
            )
        if not MIN_VIEW_DEG <= view_deg <= widest:
            unit = "pixels per radian" if model.kind == "equidistant" else "pixels"
            found["field_of_view"][name] = (
                f"it is {view_deg:.1f} degrees wide, limits {MIN_VIEW_DEG:g} and {widest:g}; the focal length "
                f"has to be in {unit} of these pictures"
            )
    findings = []
    for cause, cameras in found.items():
        names = tuple(cameras)
        if names:
            whose = f"camera {names[0]}: " if len(names) > 1 else ""
            text = f"{_named(names, rig.num_cameras)}: {whose}{cameras[names[0]]}"
            findings.append(RigFinding("warn", cause, names, text))
    return findings
