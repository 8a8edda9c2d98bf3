"""Shapes of everything that stands or moves: each function returns the solids of one thing in its own frame.

Thing frame: origin on the ground below the middle, x forward, y left, z up, metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.spatial.transform import Rotation

from flashocc_ros.data.synthetic.materials import (
    BARK,
    BRICK,
    CLOTH,
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
from flashocc_ros.data.synthetic.shapes import BOX, CYLINDER, ELLIPSOID
from flashocc_ros.labels import CLASS_NAMES

Rgb = tuple[float, float, float]


@lru_cache(maxsize=1024)
def _rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    """thing_from_solid, (3, 3)."""
    if yaw_deg == pitch_deg == roll_deg == 0:
        return np.eye(3)
    return Rotation.from_euler("ZYX", (yaw_deg, pitch_deg, roll_deg), degrees=True).as_matrix()


DARK: Rgb = (0.03, 0.03, 0.035)
STEEL: Rgb = (0.32, 0.33, 0.35)


@dataclass
class Shape:
    """Solids of one thing; ``size`` is its box (length, width, height) in metres."""

    name: str
    size: tuple[float, float, float]
    solids: list[tuple[int, list[float], list[float], list[float], np.ndarray, Rgb, int]] = field(default_factory=list)

    @property
    def label(self) -> int:
        return CLASS_NAMES.index(self.name)

    def add(
        self,
        kind: int,
        center: tuple[float, float, float],
        size: tuple[float, float, float],
        color: Rgb,
        material: int,
        taper: tuple[float, float] = (0.0, 0.0),
        euler_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        """Append a solid: centre and full size in metres, rotation as yaw, pitch, roll."""
        rotation = _rotation(*(float(a) for a in euler_deg))
        self.solids.append((kind, list(center), [0.5 * v for v in size], list(taper), rotation, color, material))

    def box(
        self, center: tuple[float, float, float], size: tuple[float, float, float], color: Rgb, **kw: object
    ) -> None:
        self.add(BOX, center, size, color, int(kw.pop("material", PAINT)), **kw)  # type: ignore[arg-type, call-overload]

    def ball(self, center: tuple[float, float, float], size: tuple[float, float, float], color: Rgb, m: int) -> None:
        self.add(ELLIPSOID, center, size, color, m)

    def post(
        self, x: float, y: float, low: float, high: float, radius: float, color: Rgb, m: int, k: float = 0
    ) -> None:
        """A vertical cylinder that loses the share ``k`` of its radius to the top."""
        self.add(CYLINDER, (x, y, 0.5 * (low + high)), (2 * radius, 2 * radius, high - low), color, m, (k, k))

    def wheel(self, x: float, y: float, radius: float, width: float, color: Rgb = DARK) -> None:
        self.add(CYLINDER, (x, y, radius), (2 * radius, 2 * radius, width), color, RUBBER, euler_deg=(0, 0, 90))


def _paint(rng: np.random.Generator) -> Rgb:
    base = [
        (0.75, 0.75, 0.75), (0.03, 0.03, 0.04), (0.28, 0.29, 0.31), (0.5, 0.04, 0.03), (0.03, 0.08, 0.35),
        (0.45, 0.42, 0.36), (0.02, 0.16, 0.08), (0.12, 0.13, 0.15), (0.55, 0.55, 0.58), (0.65, 0.35, 0.03),
    ][rng.integers(10)]  # fmt: skip
    r, g, b = (float(np.clip(c * rng.uniform(0.8, 1.2), 0.01, 0.9)) for c in base)
    return r, g, b


def _lights(shape: Shape, z: float) -> None:
    length, width, _ = shape.size
    for y in (-0.38 * width, 0.38 * width):
        shape.box((length / 2, y, z), (0.04, 0.3, 0.14), (1.0, 0.95, 0.8), material=GLOW)
        shape.box((-length / 2, y, z + 0.1), (0.04, 0.22, 0.18), (0.9, 0.03, 0.02), material=GLOW)


def car(rng: np.random.Generator) -> Shape:
    van = rng.random() < 0.25
    length, width = rng.uniform(4.1, 4.9), rng.uniform(1.75, 1.95)
    height = rng.uniform(1.75, 2.0) if van else rng.uniform(1.42, 1.7)
    color = _paint(rng)
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
    cab, cargo = _paint(rng), _paint(rng)
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


def _rider(shape: Shape, rng: np.random.Generator, seat: float, lean_deg: float) -> None:
    jacket, trousers = _cloth(rng), _cloth(rng)
    shape.add(ELLIPSOID, (-0.05, 0, seat + 0.32), (0.36, 0.46, 0.75), jacket, CLOTH, euler_deg=(0, lean_deg, 0))
    shape.ball((0.12, 0, seat + 0.78), (0.26, 0.24, 0.3), _skin(rng) if rng.random() < 0.4 else _cloth(rng), CLOTH)
    for y in (-0.14, 0.14):
        shape.add(CYLINDER, (0.1, y, seat - 0.22), (0.16, 0.16, 0.75), trousers, CLOTH, euler_deg=(0, -25, 0))
        shape.add(CYLINDER, (0.25, y * 1.5, seat + 0.35), (0.11, 0.11, 0.6), jacket, CLOTH, euler_deg=(0, 62, 0))


def bicycle(rng: np.random.Generator, rider: bool = False) -> Shape:
    color = _paint(rng)
    shape = Shape("bicycle", (1.75, 0.6, 1.75 if rider else 1.1))
    for x in (-0.52, 0.52):
        shape.wheel(x, 0, 0.35, 0.06)
        shape.wheel(x, 0, 0.27, 0.065, (0.4, 0.4, 0.42))
    shape.box((-0.02, 0, 0.62), (0.95, 0.06, 0.07), color, euler_deg=(0, -8, 0))
    shape.box((-0.05, 0, 0.5), (0.8, 0.05, 0.06), color, euler_deg=(0, -32, 0))
    shape.box((-0.2, 0, 0.7), (0.06, 0.06, 0.55), color, euler_deg=(0, -15, 0))
    shape.box((0.46, 0, 0.72), (0.06, 0.06, 0.75), color, euler_deg=(0, -15, 0))
    shape.box((0.38, 0, 1.05), (0.07, 0.56, 0.06), DARK, material=RUBBER)
    shape.box((-0.27, 0, 0.98), (0.28, 0.16, 0.07), DARK, material=RUBBER)
    if rider:
        _rider(shape, rng, 1.0, 22)
    elif rng.random() < 0.4:
        shape.box((0.6, 0, 0.9), (0.35, 0.4, 0.28), (0.35, 0.25, 0.12), material=BARK)
    return shape


def motorcycle(rng: np.random.Generator, rider: bool = False) -> Shape:
    color = _paint(rng)
    shape = Shape("motorcycle", (2.1, 0.8, 1.75 if rider else 1.25))
    for x in (-0.68, 0.7):
        shape.wheel(x, 0, 0.33, 0.18)
        shape.wheel(x, 0, 0.2, 0.2, (0.45, 0.45, 0.45))
    shape.box((0.0, 0, 0.5), (0.75, 0.36, 0.42), STEEL, material=METAL)
    shape.ball((0.22, 0, 0.84), (0.7, 0.42, 0.4), color, PAINT)
    shape.box((-0.45, 0, 0.82), (0.8, 0.34, 0.14), DARK, material=RUBBER)
    shape.box((-0.75, 0, 0.72), (0.4, 0.3, 0.22), color)
    shape.box((0.62, 0, 0.75), (0.1, 0.22, 0.75), STEEL, material=METAL, euler_deg=(0, -24, 0))
    shape.box((0.48, 0, 1.12), (0.08, 0.76, 0.07), DARK, material=RUBBER)
    shape.ball((0.68, 0, 0.98), (0.22, 0.26, 0.24), (1.0, 0.95, 0.8), GLOW)
    shape.box((-0.96, 0, 0.8), (0.05, 0.18, 0.1), (0.9, 0.03, 0.02), material=GLOW)
    if rider:
        _rider(shape, rng, 0.9, 12)
    return shape


def _cloth(rng: np.random.Generator) -> Rgb:
    base = [
        (0.02, 0.03, 0.06), (0.35, 0.05, 0.05), (0.06, 0.1, 0.3), (0.6, 0.58, 0.52), (0.08, 0.2, 0.1),
        (0.6, 0.42, 0.05), (0.2, 0.2, 0.22), (0.4, 0.12, 0.3), (0.75, 0.3, 0.05),
    ][rng.integers(9)]  # fmt: skip
    return base


def _skin(rng: np.random.Generator) -> Rgb:
    k = float(rng.uniform(0.3, 1.0))
    return 0.62 * k, 0.4 * k, 0.28 * k


def pedestrian(rng: np.random.Generator, walking: bool = True) -> Shape:
    tall = rng.uniform(0.9, 1.1) if rng.random() < 0.85 else rng.uniform(0.65, 0.8)
    jacket, trousers = _cloth(rng), _cloth(rng)
    shape = Shape("pedestrian", (0.65, 0.62, 1.75 * tall))
    stride = float(rng.integers(10, 24)) if walking else 4.0
    for side in (-1, 1):
        shape.add(CYLINDER, (0, 0.1 * side, 0.42 * tall), (0.17, 0.17, 0.86 * tall), trousers, CLOTH,
                  euler_deg=(0, stride * side, 0))  # fmt: skip
        shape.add(CYLINDER, (0, 0.26 * side, 1.12 * tall), (0.12, 0.12, 0.62 * tall), jacket, CLOTH,
                  euler_deg=(0, -stride * side, 0))  # fmt: skip
    shape.add(BOX, (0, 0, 1.12 * tall), (0.26, 0.42, 0.66 * tall), jacket, CLOTH, (-0.05, -0.12))
    shape.ball((0.02, 0, 1.6 * tall), (0.23, 0.21, 0.29), _skin(rng), CLOTH)
    shape.ball(
        (-0.02, 0, 1.66 * tall), (0.24, 0.23, 0.22), (0.04, 0.03, 0.02) if rng.random() < 0.8 else _cloth(rng), CLOTH
    )
    if rng.random() < 0.3:
        shape.box((-0.2, 0, 1.18 * tall), (0.2, 0.32, 0.45 * tall), _cloth(rng), material=CLOTH)
    return shape


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
        shape.box((0, front - 0.5, 2.75), (length * 0.9, 1.1, 0.14), _paint(rng), material=STRIPES)
    for x in rng.uniform(-0.4, 0.4, 2) * length:
        shape.box((float(x), front - 0.06, 1.1), (1.1, 0.16, 2.2), _paint(rng), material=BARK)
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
