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

"""A rig on paper: where its cameras stand and look, from above and from the right, the implausible ones in red."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from flashocc_ros.camera_model import PINHOLE
from flashocc_ros.cameras.rig_check import RigFinding
from flashocc_ros.geometry.camera_models import rays_of_pixels
from flashocc_ros.structures import CameraRig
from flashocc_ros.viz.canvas import INK, PALE_INK, PAPER, font

UInt8 = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]
Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]

GOOD, WRONG = (37, 99, 235), (208, 30, 40)
GRID, GROUND = (226, 231, 237), (148, 130, 100)
FORWARD, LEFT_OR_UP = (200, 60, 40), (30, 140, 70)
PANEL_PX, MARGIN_PX, HEAD_PX, LINE_PX = 760, 40, 110, 28
MAX_CORNER_DEG = 75.0
FINE = 2
"""Drawn so many times larger and reduced, for smooth lines."""


def draw_rig(
    rig: CameraRig, image_sizes: Sequence[tuple[int, int]], findings: Sequence[RigFinding] = (), title: str = ""
) -> UInt8:
    """The cameras of a rig as pyramids of what they see, a short way, at one scale from above and from the right.

    Args:
        rig: calibration of N cameras.
        image_sizes: N (height, width) in pixels.
        findings: what ``cameras.rig_check`` says of it; their cameras are red and the sentences stand below.
        title: head line.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    lines = _sentences(findings)
    wide = 2 * PANEL_PX + 3 * MARGIN_PX
    high = HEAD_PX + PANEL_PX + 70 + LINE_PX * len(lines) + 30
    page = Image.new("RGB", (wide * FINE, high * FINE), PAPER)
    draw = ImageDraw.Draw(page, "RGBA")
    draw.text(_fine(MARGIN_PX, 36), title, INK, font(28 * FINE), anchor="lm")
    pyramids = [_pyramid(rig, i, size, _reach_m(rig)) for i, size in enumerate(image_sizes)]
    wrong = {name for finding in findings for name in finding.cameras}
    colours = [WRONG if name in wrong else GOOD for name in rig.names]
    views: tuple[tuple[str, Callable[[Float64], Float64]], ...] = (
        ("from above: forward is up, left is left", lambda p: np.stack([-p[..., 1], p[..., 0]], -1)),
        ("from the right: forward is right, up is up", lambda p: np.stack([p[..., 0], p[..., 2]], -1)),
    )
    points = np.concatenate([np.zeros((1, 3)), *pyramids])
    spans = [np.ptp(project(points), axis=0).max() for _, project in views]
    px_per_m = 0.66 * PANEL_PX / max(*spans, 1e-3)
    for index, (caption, project) in enumerate(views):
        left = MARGIN_PX + index * (PANEL_PX + MARGIN_PX)
        draw.text(_fine(left, HEAD_PX - 22), caption, PALE_INK, font(19 * FINE), anchor="lm")
        panel = _Panel(draw, (left, HEAD_PX), project(points), px_per_m)
        panel.grid(ground=index == 1)
        outlines = [panel.px(project(pyramid)) for pyramid in pyramids]
        panel.outlines(outlines, colours)
        panel.axes(("x forward", "y left") if index == 0 else ("x forward", "z up"), forward_up=index == 0)
        panel.names(outlines, colours, rig.names)
    note = "thick: the upper edge of the picture; blue: plausible, red: not. Axes in metres from base_link"
    y = HEAD_PX + PANEL_PX + 34.0
    draw.text(_fine(MARGIN_PX, y), note, PALE_INK, font(18 * FINE), anchor="lm")
    for text, colour in lines:
        y += LINE_PX
        draw.text(_fine(MARGIN_PX, y + 8), text, colour, font(18 * FINE), anchor="lm")
    return np.asarray(page.resize((wide, high), Image.Resampling.LANCZOS), np.uint8)


def _sentences(findings: Sequence[RigFinding]) -> list[tuple[str, Colour]]:
    if not findings:
        return [("nothing implausible was found", GOOD)]
    wrapped = [textwrap.wrap(finding.text, 165, subsequent_indent="    ") for finding in findings]
    return [(line, WRONG) for lines in wrapped for line in lines]


def _reach_m(rig: CameraRig) -> float:
    """How far the pyramids are drawn: about the size of the rig."""
    places = np.vstack([rig.base_from_camera[:, :3, 3], np.zeros(3)])
    return max(0.4 * float(np.ptp(places, axis=0).max()), 0.1)


def _pyramid(rig: CameraRig, index: int, size: tuple[int, int], reach_m: float) -> Float64:
    """(5, 3) metres, base frame: the camera and the corners of its picture, upper left, upper right, then below.

    A corner of a lens is drawn at most `MAX_CORNER_DEG` off the axis, as a pyramid cannot be wider.
    """
    height, width = size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    model, intrinsic = rig.models[index], rig.intrinsics[index]
    rays = rays_of_pixels(PINHOLE, intrinsic, corners)
    if model != PINHOLE:
        around = np.arctan2(rays[:, 1], rays[:, 0])
        seen = rays_of_pixels(model, intrinsic, corners)
        angle = np.nan_to_num(np.arctan2(np.hypot(seen[:, 0], seen[:, 1]), seen[:, 2]), nan=np.pi)
        angle = np.minimum(angle, np.deg2rad(MAX_CORNER_DEG))
        rays = np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], -1)
    rays *= reach_m / np.linalg.norm(rays, axis=1, keepdims=True)
    pose = rig.base_from_camera[index]
    return np.vstack([np.zeros(3), rays]) @ pose[:3, :3].T + pose[:3, 3]


def _fine(x: float, y: float) -> tuple[float, float]:
    return x * FINE, y * FINE


def _step_m(px_per_m: float) -> float:
    """A round distance, 1, 2 or 5 times a power of ten, of at least 70 pixels."""
    least = 70 / px_per_m
    power = 10 ** math.floor(math.log10(least))
    return next(float(factor * power) for factor in (1, 2, 5, 10) if factor * power >= least)


class _Panel:
    """One view; takes points (M, 2) in metres, right and up."""

    def __init__(
        self, draw: ImageDraw.ImageDraw, corner: tuple[float, float], points: Float64, px_per_m: float
    ) -> None:
        self.draw, self.corner, self.px_per_m = draw, np.array(corner), px_per_m
        self.middle_m = (points.min(0) + points.max(0)) / 2
        x, y = corner
        self.box: Box = (x, y, x + PANEL_PX, y + PANEL_PX)
        self.covered: list[npt.NDArray[np.float32]] = []
        self.taken: list[Box] = [(x, y, x + 44, y + PANEL_PX), (x, y + PANEL_PX - 22, x + PANEL_PX, y + PANEL_PX)]
        draw.rectangle([*_fine(*self.box[:2]), *_fine(*self.box[2:])], fill="white", outline=GRID, width=FINE)

    def px(self, points: Float64) -> Float64:
        """Page pixels of points (..., 2) in metres."""
        away = (np.asarray(points, np.float64) - self.middle_m) * self.px_per_m * (1, -1)
        return np.asarray(away + self.corner + PANEL_PX / 2)

    def line(self, a: Float64, b: Float64, colour: Colour, width_px: float) -> None:
        self.draw.line([_fine(*a), _fine(*b)], fill=colour, width=round(width_px * FINE))

    def grid(self, ground: bool) -> None:
        """Lines at round distances with their metres, a bar of that length, and the ground seen from the side."""
        step_m = _step_m(self.px_per_m)
        half_m = PANEL_PX / 2 / self.px_per_m
        left, top, right, bottom = self.box
        for axis in (0, 1):
            low, high = self.middle_m[axis] - half_m, self.middle_m[axis] + half_m
            for k in range(math.ceil(low / step_m), math.floor(high / step_m) + 1):
                at = self.px(np.array([k * step_m, k * step_m]))
                a, b = ((at[0], top), (at[0], bottom)) if axis == 0 else ((left, at[1]), (right, at[1]))
                is_ground = ground and axis == 1 and k == 0
                self.line(np.array(a), np.array(b), GROUND if is_ground else GRID, 2.5 if is_ground else 1)
                text = f"{k * step_m:g}" if axis == 1 or ground else f"{-k * step_m:g}"
                where = (at[0] + 3, bottom - 12) if axis == 0 else (left + 5, at[1] - 10)
                if axis == 0 and not left + 30 < where[0] < right - 40:
                    continue
                if where[1] > top + 12:
                    self.draw.text(_fine(*where), text, PALE_INK, font(14 * FINE), anchor="lm")
        if ground:
            place = self.px(np.zeros(2))[1]
            self.draw.text(_fine(right - 8, place + 12), "base_link z = 0", GROUND, font(14 * FINE), anchor="rm")
        end = np.array([right - 24, bottom - 34])
        start = end - (step_m * self.px_per_m, 0)
        self.line(start, end, INK, 3)
        half_bar = np.array([0, 6])
        for tip in (start, end):
            self.line(tip - half_bar, tip + half_bar, INK, 3)
        self.draw.text(_fine(*((start + end) / 2 - (0, 14))), f"{step_m:g} m", INK, font(16 * FINE), anchor="mm")
        self.taken.append((start[0] - 6, end[1] - 28, right, bottom))

    def axes(self, names: tuple[str, str], forward_up: bool) -> None:
        """base_link: arrows forward, and left or up."""
        origin = self.px(np.zeros(2))
        arrows = ((0, -1), (-1, 0)) if forward_up else ((1, 0), (0, -1))
        for name, arrow, colour in zip(names, arrows, (FORWARD, LEFT_OR_UP), strict=True):
            tip, side = origin + np.multiply(arrow, 42), np.array([-arrow[1], arrow[0]])
            self.line(origin, tip, colour, 3)
            head = [tip + np.multiply(arrow, 9), tip + side * 5, tip - side * 5]
            self.draw.polygon([_fine(*p) for p in head], fill=colour)
            self._label(name, tip + np.multiply(arrow, 9), np.array(arrow, np.float64), colour, 15)
        x, y = origin
        self.draw.ellipse([*_fine(x - 4, y - 4), *_fine(x + 4, y + 4)], fill=INK)

    def outlines(self, outlines: Sequence[Float64], colours: Sequence[Colour]) -> None:
        """Each camera as what its pyramid (5, 2), in pixels, covers; the upper edge of the picture is thick."""
        for points, colour in zip(outlines, colours, strict=True):
            hull = cv2.convexHull(points.astype(np.float32))[:, 0]
            self.draw.polygon([_fine(*p) for p in hull], fill=(*colour, 26))
            for a, b in ((0, 1), (0, 2), (0, 3), (0, 4), (2, 3), (3, 4), (4, 1)):
                self.line(points[a], points[b], colour, 1.2)
            self.line(points[1], points[2], colour, 4)
            x, y = points[0]
            self.draw.ellipse([*_fine(x - 5, y - 5), *_fine(x + 5, y + 5)], fill=colour)
            self.covered.append(np.asarray(hull, np.float32))

    def names(self, outlines: Sequence[Float64], colours: Sequence[Colour], names: Sequence[str]) -> None:
        """The name of each camera beside its pyramid."""
        for points, colour, name in zip(outlines, colours, names, strict=True):
            anchor = points[1:].mean(0)
            away = anchor - points[0]
            self._label(name, anchor, away, colour, 17, clear=True)

    def _label(self, text: str, anchor: Float64, away: Float64, colour: Colour, size: int, clear: bool = False) -> None:
        """Write beside a point, rather in the direction ``away``, where nothing is written (and drawn) yet."""
        wide = self.draw.textlength(text, font(size * FINE)) / FINE + 6
        high = size + 6.0
        boxes = [self._around(anchor + shift, wide, high) for shift in _shifts(away, wide, high)]
        free = [b for b in boxes if self._is_free(b)]
        box = next((b for b in free if not clear or self._is_clear(b)), (free or boxes)[0])
        self.taken.append(box)
        centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
        if np.linalg.norm(centre - anchor) > wide / 2 + high:
            nearest = np.clip(anchor, box[:2], box[2:])
            self.line(nearest, anchor, colour, 0.7)
        self.draw.rounded_rectangle([*_fine(*box[:2]), *_fine(*box[2:])], 4 * FINE, fill=(255, 255, 255, 215))
        self.draw.text(_fine(*centre), text, colour, font(size * FINE), anchor="mm")

    @staticmethod
    def _around(centre: Float64, wide: float, high: float) -> Box:
        x, y = centre
        return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2

    def _is_free(self, box: Box) -> bool:
        inside = self.box[0] < box[0] and self.box[1] < box[1] and box[2] < self.box[2] and box[3] < self.box[3]
        return inside and not any(
            box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in self.taken
        )

    def _is_clear(self, box: Box) -> bool:
        corners = np.array([box[:2], (box[2], box[1]), box[2:], (box[0], box[3])], np.float32)
        return not any(cv2.intersectConvexConvex(hull, corners)[0] > 0 for hull in self.covered)


def _shifts(away: Float64, wide: float, high: float) -> Iterator[Float64]:
    """Places for a text of that size around a point, near ones first, those in the direction ``away`` before others."""
    start = math.atan2(away[1], away[0])
    for ring in range(12):
        for turn in sorted(range(-8, 8), key=abs):
            angle = start + turn * math.pi / 8
            direction = np.array([math.cos(angle), math.sin(angle)])
            # as far as the text needs to be clear of the point in this direction
            yield direction * (abs(direction[0]) * wide / 2 + abs(direction[1]) * high / 2 + 6 + 14 * ring)
