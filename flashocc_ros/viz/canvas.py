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

"""The page a key-frame picture is laid out on: head line, rows of panels with labels, class legend."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.viz.palette import palette

UInt8 = npt.NDArray[np.uint8]

PAPER = (247, 249, 251)
INK = (31, 41, 55)
PALE_INK = (107, 114, 128)
ALERT = (194, 65, 12)
ALERT_PAPER = (255, 237, 213)
RADIUS = 10
WIDTH = 1920
"""Pixels of a page whose writing has the sizes below; that of others grows and shrinks with them."""


class Page:
    """A white page that grows downwards; every method adds one strip.

    Attributes:
        width: in pixels.
        margin: free space left and right in pixels.
    """

    def __init__(self, width: int, margin: int) -> None:
        self.width, self.margin = width, margin
        self._scale = width / WIDTH
        self._strips: list[UInt8] = []

    @property
    def height(self) -> int:
        """Of the strips so far, pixels."""
        return sum(strip.shape[0] for strip in self._strips)

    def add(self, strip: UInt8) -> None:
        """A strip made elsewhere, (height, width, 3)."""
        self._strips.append(strip)

    def _px(self, size: float) -> int:
        """Pixels here of a size on a page of ``WIDTH``."""
        return max(1, round(size * self._scale))

    def headline(self, title: str, note: str, details: Sequence[str]) -> None:
        """Title at the left, a set-apart note beside it, details at the right; nothing when all are empty."""
        if not (title or note or details):
            self._strips.append(_blank(self.margin, self.width))
            return
        px, middle = self._px, self._px(31)
        strip = Image.fromarray(_blank(px(62), self.width))
        draw = ImageDraw.Draw(strip)
        x = float(self.margin + 4)
        draw.text((x, middle), title, INK, font(px(27)), anchor="lm")
        x += draw.textlength(title, font(px(27))) + px(22)
        if note:
            length = draw.textlength(note, font(px(18)))
            draw.rounded_rectangle((x, px(15), x + length + px(28), px(47)), px(16), fill=ALERT_PAPER)
            draw.text((x + px(14), middle), note, ALERT, font(px(18)), anchor="lm")
        place = (self.width - self.margin - 4, middle)
        draw.text(place, "   ·   ".join(details), PALE_INK, font(px(20)), anchor="rm")
        self._strips.append(np.asarray(strip))

    def row(self, pictures: Sequence[UInt8], labels: Sequence[str], gap: int) -> None:
        """Pictures of equal height side by side in the middle, each with a label in its upper left corner."""
        height = pictures[0].shape[0]
        strip = _blank(height + gap, self.width)
        taken = sum(picture.shape[1] for picture in pictures) + gap * (len(pictures) - 1)
        x = max((self.width - taken) // 2, 0)
        for picture, label in zip(pictures, labels, strict=True):
            strip[:height, x : x + picture.shape[1]] = card(picture, label, self._px(17))
            x += picture.shape[1] + gap
        self._strips.append(strip)

    def legend(self, shown: npt.NDArray[np.bool_], remark: str = "", classes: ClassTable = OCC3D) -> UInt8:
        """A strip to `add`: all classes with their colours, the absent ones pale, so that it stands still in a video.

        Args:
            shown: by id, which occur.
            remark: stands behind them.
            classes: what the ids mean.
        """
        px = self._px
        face = font(px(19))
        probe = ImageDraw.Draw(Image.new("RGB", (1, 1)))
        names = {c: classes.names[c].replace("_", " ") for c in classes.solid}
        lengths = {c: probe.textlength(name, face) + px(52) for c, name in names.items()}
        lines: list[list[int]] = [[]]
        room = self.width - 2 * self.margin
        for c in classes.solid:
            if sum(lengths[k] for k in lines[-1]) + lengths[c] > room:
                lines.append([])
            lines[-1].append(c)
        strip = Image.fromarray(_blank(px(34) * len(lines) + px(12), self.width))
        draw = ImageDraw.Draw(strip)
        for row, line in enumerate(lines):
            x, y = self.margin + px(6.0), px(20) + px(34) * row
            for c in line:
                color = _on_paper(palette(classes)[1 + c] * 255, 1.0 if shown[c] else 0.25)
                draw.rounded_rectangle((x, y - px(10), x + px(20), y + px(10)), px(5), fill=color)
                draw.text((x + px(28), y), names[c], INK if shown[c] else (176, 182, 190), face, anchor="lm")
                x += round(lengths[c])
            if row == len(lines) - 1:
                draw.text((self.width - self.margin - 4, y), remark, PALE_INK, face, anchor="rm")
        return np.asarray(strip)

    def finish(self, height: int = 0) -> UInt8:
        """(height, width, 3) uint8 RGB; height and width are even. Paper fills it up to ``height``, if given."""
        page = np.concatenate(self._strips)
        page = np.concatenate([page, _blank(max(height - page.shape[0], 0), self.width)])
        return np.ascontiguousarray(np.pad(page, ((0, page.shape[0] % 2), (0, page.shape[1] % 2), (0, 0)), "edge"))


def classes_in(semantics: UInt8) -> npt.NDArray[np.bool_]:
    """(256,) which ids occur."""
    return np.asarray(np.bincount(semantics.ravel(), minlength=256) > 0)


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface: the same on every machine."""
    return ImageFont.load_default(size)


def card(picture: UInt8, label: str, size: int = 17) -> UInt8:
    """A copy with round corners and the label, in writing of ``size`` pixels."""
    card = picture.copy()
    for rows in (slice(0, RADIUS), slice(None, -RADIUS - 1, -1)):
        for columns in (slice(0, RADIUS), slice(None, -RADIUS - 1, -1)):
            corner = card[rows, columns]
            corner[:] = (corner * _quarter() + np.array(PAPER, np.float32) * (1 - _quarter())).astype(np.uint8)
    if not label:
        return card
    plate = _label(label, size)
    high, wide = plate.shape[:2]
    corner = card[12 : 12 + high, 12 : 12 + wide]
    corner[:] = (corner * (1 - plate[..., 3:]) + plate[..., :3] * plate[..., 3:]).astype(np.uint8)
    return card


@functools.cache
def _quarter() -> npt.NDArray[np.float32]:
    """(RADIUS, RADIUS, 1): how much of each pixel lies within the rounded upper left corner."""
    fine = (np.arange(RADIUS * 4, dtype=np.float32) + 0.5) / 4 - RADIUS
    inside = (fine[:, None] ** 2 + fine**2 < RADIUS**2).reshape(RADIUS, 4, RADIUS, 4)
    return np.asarray(inside.mean((1, 3), np.float32)[..., None], np.float32)


@functools.lru_cache(maxsize=64)
def _label(text: str, size: int) -> npt.NDArray[np.float32]:
    """(h, w, 4) float32: text on a dark, half transparent pill."""
    face = font(size)
    wide = round(ImageDraw.Draw(Image.new("L", (1, 1))).textlength(text, face) + 1.4 * size)
    high = round(1.75 * size)
    pill = Image.new("RGBA", (wide, high), (17, 24, 39, 0))
    draw = ImageDraw.Draw(pill)
    draw.rounded_rectangle((0, 0, wide - 1, high - 1), high // 2, fill=(17, 24, 39, 170))
    draw.text((wide / 2, high / 2), text, (255, 255, 255, 255), face, anchor="mm")
    plate = np.asarray(pill, np.float32).copy()
    plate[..., 3] /= 255
    return plate


def _blank(height: int, width: int) -> UInt8:
    return np.full((height, width, 3), PAPER, np.uint8)


def _on_paper(color: npt.NDArray[np.float32], strength: float) -> tuple[int, int, int]:
    mixed = color * strength + np.array(PAPER) * (1 - strength)
    return int(mixed[0]), int(mixed[1]), int(mixed[2])
