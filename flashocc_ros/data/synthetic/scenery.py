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

"""What does not move: cones, barriers, plants, street furniture, buildings."""

from __future__ import annotations

import numpy as np

from flashocc_ros.data.synthetic.materials import (
    BARK,
    BRICK,
    CONCRETE,
    FACADE,
    GLASS,
    GLOW,
    LEAVES,
    MESH,
    METAL,
    PAINT,
    RUBBER,
    STRIPES,
)
from flashocc_ros.data.synthetic.shape import DARK, STEEL, Rgb, Shape, paint


def traffic_cone(rng: np.random.Generator) -> Shape:
    high = rng.uniform(0.65, 0.95)
    shape = Shape("traffic_cone", (0.42, 0.42, high))
    shape.box((0, 0, 0.03), (0.42, 0.42, 0.06), DARK, material=RUBBER)
    shape.post(0, 0, 0.05, high, 0.17, (0.9, 0.2, 0.02), STRIPES, 0.82)
    return shape


def barrier(rng: np.random.Generator) -> Shape:
    if rng.random() < 0.5:
        length = rng.uniform(1.8, 2.4)
        color: Rgb = (0.5, 0.49, 0.46) if rng.random() < 0.6 else (0.75, 0.12, 0.05)
        shape = Shape("barrier", (length, 0.6, 0.95))
        shape.box((0, 0, 0.15), (length, 0.62, 0.3), color, material=CONCRETE, taper=(0, 0.35))
        shape.box((0, 0, 0.62), (length, 0.36, 0.66), color, material=CONCRETE, taper=(0, 0.45))
        return shape
    shape = Shape("barrier", (2.0, 0.55, 1.05))
    for z in (0.55, 0.92):
        shape.box((0, 0, z), (2.0, 0.06, 0.24), (0.8, 0.1, 0.05), material=STRIPES)
    for x in (-0.8, 0.8):
        shape.box((x, 0, 0.5), (0.07, 0.1, 1.0), (0.7, 0.7, 0.7), material=METAL)
        shape.box((x, 0, 0.04), (0.12, 0.6, 0.08), DARK, material=RUBBER)
    return shape


def tree(rng: np.random.Generator) -> Shape:
    tall, wide = rng.uniform(4.0, 8.5), rng.uniform(2.2, 4.6)
    shape = Shape("vegetation", (wide, wide, tall))
    green: Rgb = (float(rng.uniform(0.05, 0.2)), float(rng.uniform(0.17, 0.3)), float(rng.uniform(0.02, 0.06)))
    bole = float(rng.uniform(1.6, 2.4))
    shape.post(0, 0, -0.3, bole + 0.6, rng.uniform(0.11, 0.22), (0.17, 0.11, 0.07), BARK, 0.3)
    if rng.random() < 0.2:
        shape.post(0, 0, bole * 0.6, tall, wide * 0.4, (0.03, 0.12, 0.04), LEAVES, 0.95)
        return shape
    middle = 0.5 * (bole + tall)
    shape.ball((0, 0, middle), (wide * 0.85, wide * 0.85, tall - bole), green, LEAVES)
    for _ in range(4):
        x, y = rng.uniform(-0.3, 0.3, 2) * wide
        z, r = middle + rng.uniform(-0.28, 0.3) * (tall - bole), rng.uniform(0.4, 0.6) * wide
        shade = float(rng.uniform(0.8, 1.25))
        shape.ball((x, y, z), (r, r, r * 0.85), (green[0] * shade, green[1] * shade, green[2]), LEAVES)
    return shape


def bush(rng: np.random.Generator) -> Shape:
    wide, tall = rng.uniform(0.9, 2.0), rng.uniform(0.7, 1.6)
    shape = Shape("vegetation", (wide, wide, tall))
    for _ in range(3):
        x, y = rng.uniform(-0.25, 0.25, 2) * wide
        k = rng.uniform(0.7, 1.0)
        green = (float(rng.uniform(0.06, 0.16)), float(rng.uniform(0.16, 0.28)), 0.04)
        shape.ball((x, y, 0.42 * tall * k), (wide * k, wide * k, tall * k), green, LEAVES)
    return shape


def hedge(rng: np.random.Generator) -> Shape:
    length, tall = rng.uniform(3.0, 6.0), rng.uniform(0.8, 1.9)
    shape = Shape("vegetation", (length, 0.9, tall))
    shape.box((0, 0, tall / 2), (length, 0.9, tall), (0.06, float(rng.uniform(0.15, 0.24)), 0.03), material=LEAVES)
    return shape


def pole(rng: np.random.Generator) -> Shape:
    tall = rng.uniform(5.5, 8.0)
    shape = Shape("manmade", (0.3, 0.3, tall))
    shape.post(0, 0, 0, tall, 0.1, STEEL, METAL, 0.4)
    kind = rng.integers(3)
    if kind == 0:  # street lamp, arm towards -y (the street lies there)
        shape.box((0, -0.9, tall - 0.1), (0.1, 1.8, 0.1), STEEL, material=METAL)
        shape.box((0, -1.7, tall - 0.17), (0.25, 0.6, 0.1), (1.0, 0.85, 0.55), material=GLOW)
    elif kind == 1:  # traffic light
        shape.box((-0.12, 0, 2.9), (0.25, 0.32, 0.95), DARK, material=RUBBER)
        for z, color in ((3.2, (0.8, 0.03, 0.02)), (2.6, (0.02, 0.6, 0.2))):
            shape.ball((-0.24, 0, z), (0.1, 0.2, 0.2), color, GLOW if rng.random() < 0.5 else PAINT)
    else:
        color = [(0.6, 0.03, 0.03), (0.04, 0.1, 0.5), (0.7, 0.6, 0.05)][rng.integers(3)]
        shape.box((-0.1, 0, 2.7), (0.04, 0.75, 0.75), color)
        shape.box((-0.125, 0, 2.7), (0.02, 0.45, 0.2), (0.85, 0.85, 0.85))
    return shape


def fence(rng: np.random.Generator) -> Shape:
    length = rng.uniform(5.0, 9.0)
    shape = Shape("manmade", (length, 0.15, 1.6))
    if rng.random() < 0.5:
        tall = rng.uniform(0.9, 1.8)
        color: Rgb = (0.45, 0.25, 0.16) if rng.random() < 0.5 else (0.5, 0.48, 0.44)
        shape.box((0, 0, tall / 2), (length, 0.25, tall), color, material=BRICK)
        shape.box((0, 0, tall + 0.04), (length, 0.35, 0.1), (0.5, 0.5, 0.48), material=CONCRETE)
        return shape
    for x in np.linspace(-length / 2 + 0.1, length / 2 - 0.1, 4):
        shape.box((float(x), 0, 0.75), (0.1, 0.1, 1.5), STEEL, material=METAL)
    shape.box((0, 0, 0.75), (length, 0.05, 1.3), (0.2, 0.22, 0.22), material=MESH)
    return shape


def building(rng: np.random.Generator, length: float, depth: float) -> Shape:
    """Front towards -y."""
    tall = float(rng.uniform(3.5, 7.0) if rng.random() < 0.3 else rng.uniform(7.0, 22.0))
    walls: list[Rgb] = [
        (0.42, 0.2, 0.13), (0.55, 0.48, 0.36), (0.45, 0.45, 0.44), (0.62, 0.6, 0.55), (0.3, 0.34, 0.4),
        (0.58, 0.42, 0.24), (0.35, 0.18, 0.16), (0.5, 0.5, 0.42),
    ]  # fmt: skip
    shape = Shape("manmade", (length, depth, tall))
    color = walls[rng.integers(len(walls))]
    shape.box((0, 0, tall / 2 - 0.5), (length, depth, tall + 1.0), color, material=FACADE)
    shape.box((0, 0, tall + 0.15), (length + 0.5, depth + 0.5, 0.35), (0.25, 0.24, 0.23), material=CONCRETE)
    front = -depth / 2
    if rng.random() < 0.5:  # shop front with awning
        shape.box((0, front - 0.02, 1.3), (length * 0.85, 0.12, 2.3), DARK, material=GLASS)
        shape.box((0, front - 0.5, 2.75), (length * 0.9, 1.1, 0.14), paint(rng), material=STRIPES)
    for x in rng.uniform(-0.4, 0.4, 2) * length:
        shape.box((float(x), front - 0.06, 1.1), (1.1, 0.16, 2.2), paint(rng), material=BARK)
    return shape


def other(rng: np.random.Generator) -> Shape:
    kind = rng.integers(3)
    if kind == 0:  # litter bin
        shape = Shape("others", (0.6, 0.6, 1.0))
        shape.post(0, 0, 0, 0.95, 0.3, [(0.05, 0.2, 0.1), (0.2, 0.2, 0.22), (0.1, 0.12, 0.3)][rng.integers(3)], METAL)
        shape.post(0, 0, 0.95, 1.05, 0.33, DARK, METAL, 0.5)
    elif kind == 1:  # wheeled bins
        shape = Shape("others", (1.3, 0.8, 1.15))
        for x in (-0.35, 0.35):
            color = [(0.05, 0.25, 0.1), (0.1, 0.1, 0.12), (0.6, 0.5, 0.05)][rng.integers(3)]
            shape.box((x, 0, 0.55), (0.6, 0.7, 0.95), color, taper=(-0.12, -0.12))
            shape.box((x, 0, 1.07), (0.66, 0.78, 0.1), color)
    else:  # bench
        shape = Shape("others", (1.7, 0.6, 0.9))
        shape.box((0, 0, 0.45), (1.7, 0.5, 0.08), (0.35, 0.2, 0.1), material=BARK)
        shape.box((0, 0.27, 0.75), (1.7, 0.07, 0.45), (0.35, 0.2, 0.1), material=BARK)
        for x in (-0.7, 0.7):
            shape.box((x, 0, 0.22), (0.08, 0.5, 0.44), DARK, material=METAL)
    return shape
