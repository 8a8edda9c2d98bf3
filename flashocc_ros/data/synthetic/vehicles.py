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

"""Cars, trucks, buses, trailers and building machines."""

from __future__ import annotations

import numpy as np

from flashocc_ros.data.synthetic.materials import (
    CONCRETE,
    GLASS,
    GLOW,
    METAL,
    RUBBER,
    STRIPES,
)
from flashocc_ros.data.synthetic.shape import DARK, STEEL, Rgb, Shape, paint


def _lights(shape: Shape, z: float) -> None:
    length, width, _ = shape.size
    for y in (-0.38 * width, 0.38 * width):
        shape.box((length / 2, y, z), (0.04, 0.3, 0.14), (1.0, 0.95, 0.8), material=GLOW)
        shape.box((-length / 2, y, z + 0.1), (0.04, 0.22, 0.18), (0.9, 0.03, 0.02), material=GLOW)


def car(rng: np.random.Generator) -> Shape:
    van = rng.random() < 0.25
    length, width = rng.uniform(4.1, 4.9), rng.uniform(1.75, 1.95)
    height = rng.uniform(1.75, 2.0) if van else rng.uniform(1.42, 1.7)
    color = paint(rng)
    shape = Shape("car", (length, width, height))
    waist = 0.55 * height
    shape.box((0, 0, 0.5 * (0.22 + waist)), (length, width, waist - 0.22), color, taper=(0.03, 0.06))
    cabin = length * (0.74 if van else 0.58)
    back = -0.1 * length if van else -0.05 * length
    shape.box((back, 0, 0.5 * (waist + height) - 0.03), (cabin, width * 0.92, height - waist), DARK,
              material=GLASS, taper=(0.16 if van else 0.34, 0.14))  # fmt: skip
    shape.box(
        (back, 0, height - 0.04), (cabin * (0.82 if van else 0.64), width * 0.79, 0.08), color, taper=(0.04, 0.04)
    )
    shape.box((length / 2, 0, 0.38), (0.06, width * 0.9, 0.22), DARK, material=RUBBER)
    shape.box((-length / 2, 0, 0.4), (0.06, width * 0.5, 0.12), (0.7, 0.7, 0.65), material=METAL)
    _lights(shape, 0.66)
    for x in (-0.3 * length, 0.31 * length):
        for y in (-width / 2 + 0.1, width / 2 - 0.1):
            shape.wheel(x, y, 0.33, 0.24)
            shape.wheel(x, y * 1.02, 0.19, 0.26, (0.3, 0.3, 0.32))
    return shape


def truck(rng: np.random.Generator) -> Shape:
    length, width, height = rng.uniform(6.3, 8.8), rng.uniform(2.3, 2.5), rng.uniform(2.7, 3.4)
    cab, cargo = paint(rng), paint(rng)
    shape = Shape("truck", (length, width, height))
    front = length / 2
    shape.box((front - 1.0, 0, 1.35), (2.0, width * 0.95, 1.9), cab, taper=(0.08, 0.04))
    shape.box((front - 0.12, 0, 1.75), (0.3, width * 0.84, 0.7), DARK, material=GLASS)
    shape.box((front - 0.8, 0, 1.75), (0.9, width * 0.97, 0.6), DARK, material=GLASS)
    shape.box((0, 0, 0.65), (length * 0.96, width * 0.6, 0.3), DARK, material=METAL)
    bed = length - 2.3
    if rng.random() < 0.7:
        shape.box((-front + bed / 2, 0, 0.5 * (0.9 + height)), (bed, width, height - 0.9), cargo, material=METAL)
    else:
        shape.box((-front + bed / 2, 0, 1.3), (bed, width, 0.9), cargo, taper=(-0.05, -0.08))
        shape.ball((-front + bed / 2, 0, 1.75), (bed * 0.9, width * 0.9, 0.9), (0.3, 0.22, 0.13), CONCRETE)
    _lights(shape, 0.75)
    for x in (front - 1.1, -front + 1.0, -front + 2.1):
        for y in (-width / 2 + 0.16, width / 2 - 0.16):
            shape.wheel(x, y, 0.48, 0.32)
    return shape


def bus(rng: np.random.Generator) -> Shape:
    length, width, height = rng.uniform(9.5, 12.0), 2.55, rng.uniform(3.0, 3.4)
    color = [(0.6, 0.08, 0.05), (0.75, 0.72, 0.65), (0.05, 0.25, 0.5), (0.1, 0.4, 0.2), (0.8, 0.5, 0.05)][
        rng.integers(5)
    ]
    shape = Shape("bus", (length, width, height))
    shape.box((0, 0, 0.5 * (0.3 + height)), (length, width, height - 0.3), color)
    shape.box((0, 0, 1.95), (length * 0.96, width + 0.03, 0.9), DARK, material=GLASS)
    shape.box((0, 0, 1.85), (length + 0.03, width * 0.9, 1.3), DARK, material=GLASS)
    shape.box((length / 2, 0, height - 0.28), (0.06, width * 0.6, 0.25), (1.0, 0.6, 0.1), material=GLOW)
    shape.box((0.2 * length, 0, height + 0.05), (1.8, 1.6, 0.2), (0.6, 0.6, 0.6), material=METAL)
    _lights(shape, 0.7)
    for x in (-0.28 * length, 0.33 * length):
        for y in (-width / 2 + 0.14, width / 2 - 0.14):
            shape.wheel(x, y, 0.5, 0.34)
    return shape


def trailer(rng: np.random.Generator) -> Shape:
    length, width, height = rng.uniform(7.0, 11.0), 2.5, rng.uniform(3.0, 3.7)
    color = [(0.8, 0.8, 0.8), (0.55, 0.55, 0.5), (0.12, 0.22, 0.45), (0.5, 0.12, 0.08)][rng.integers(4)]
    shape = Shape("trailer", (length, width, height))
    shape.box(
        (0, 0, 0.5 * (1.15 + height)),
        (length, width, height - 1.15),
        color,
        material=STRIPES if rng.random() < 0.4 else METAL,
    )
    shape.box((0, 0, 1.02), (length, width * 0.5, 0.26), DARK, material=METAL)
    shape.box((-length / 2 - 0.02, 0, 0.6), (0.08, width * 0.9, 0.14), (0.8, 0.1, 0.05), material=GLOW)
    for x in (-0.38 * length, -0.38 * length + 1.15, -0.38 * length + 2.3):
        for y in (-width / 2 + 0.18, width / 2 - 0.18):
            shape.wheel(x, y, 0.5, 0.36)
    for y in (-0.7, 0.7):
        shape.box((0.3 * length, y, 0.45), (0.16, 0.16, 0.9), STEEL, material=METAL)
    return shape


def construction_vehicle(rng: np.random.Generator) -> Shape:
    yellow: Rgb = (0.75, float(rng.uniform(0.38, 0.52)), 0.02)
    shape = Shape("construction_vehicle", (6.0, 2.7, 3.0))
    if rng.random() < 0.6:  # excavator
        for y in (-1.0, 1.0):
            shape.box((0, y, 0.42), (3.6, 0.55, 0.84), DARK, material=RUBBER)
        swing = float(rng.integers(-25, 25))
        shape.box((-0.5, 0, 1.45), (3.0, 2.5, 1.1), yellow, euler_deg=(swing, 0, 0))
        shape.box((0.3, 0.65, 2.35), (1.5, 1.0, 1.3), DARK, material=GLASS, taper=(0.15, 0.1))
        shape.box((0.3, 0.65, 3.02), (1.4, 1.05, 0.08), yellow)
        shape.box((2.0, -0.4, 2.5), (3.2, 0.35, 0.5), yellow, euler_deg=(0, -32, 0))
        shape.box((3.5, -0.4, 2.3), (0.35, 0.3, 2.4), yellow, euler_deg=(0, -14, 0))
        shape.box((3.4, -0.4, 0.85), (0.8, 1.1, 0.8), STEEL, material=METAL, taper=(0.4, 0.0))
    else:  # wheel loader
        shape.box((-0.9, 0, 1.5), (2.8, 1.9, 1.2), yellow)
        shape.box((0.2, 0, 2.4), (1.5, 1.5, 1.4), DARK, material=GLASS, taper=(0.1, 0.1))
        shape.box((0.2, 0, 3.12), (1.6, 1.6, 0.1), yellow)
        shape.box((1.6, 0, 1.1), (1.8, 0.9, 0.5), yellow, euler_deg=(0, 14, 0))
        shape.box((2.75, 0, 0.7), (0.9, 2.6, 1.0), yellow, taper=(0.5, 0.0))
        for x in (-1.5, 1.2):
            for y in (-1.0, 1.0):
                shape.wheel(x, y, 0.75, 0.55)
    return shape
