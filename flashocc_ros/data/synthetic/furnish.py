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

"""Which things stand where: parking strip, kerb, sidewalk, verge, buildings, lanes, building sites.

Each track is a line beside a path that is filled slot by slot, so things of one track never overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flashocc_ros.data.synthetic import people, scenery, vehicles
from flashocc_ros.data.synthetic.shape import Shape
from flashocc_ros.data.synthetic.street import KERB_M, Street, street_at

STATIC, EGO_LANE = 0.0, 1e6
"""Speeds with a meaning: does not move; moves exactly as the vehicle does."""

_BUILT_UP = 0.65
"""Share of street sides whose houses stand at the sidewalk, as in an old town: most of what a network must place
then lies within the reach of its depth."""


@dataclass
class Placed:
    """A thing on path number ``path`` (0 the main street) at (s, d), turned by ``turn`` against the path.

    ``speed`` is metres per second along s, or STATIC, or EGO_LANE. ``lift`` is the height above the hills in metres.
    """

    shape: Shape
    path: int
    s: float
    d: float
    turn: float = 0.0
    speed: float = STATIC
    lift: float = 0.0


class _Filler:
    def __init__(self, rng: np.random.Generator, street: Street) -> None:
        self.rng, self.street = rng, street
        self.placed: list[Placed] = []

    def put(self, shape: Shape, path: int, s: float, d: float, turn: float = 0.0, speed: float = STATIC,
            low: float = -99.0, reach: float = 0.0) -> bool:  # fmt: skip
        """Place a thing unless its middle (and corners at ``reach``) lies nearer than ``low`` metres to a kerb."""
        line = (self.street.main, *self.street.sides)[path]
        edge, least = 1.0, 1e9
        if low > -99:
            for ds in (0.0, reach, -reach) if reach else (0.0,):
                x, y = line.point(s + ds, d)
                edge = street_at(self.street.ground, x, y)[0]
                least = min(least, edge)
        if least < low:
            return False
        lift = KERB_M if low > -99 else 0.0
        self.placed.append(Placed(shape, path, s, d, turn, speed, lift))
        return True


def place_everything(
    rng: np.random.Generator,
    street: Street,
    ego_d_m: float,
    ego_speed: float,
    duration_s: float,
    ego_s_m: float,
    ego_stop_m: float,
) -> list[Placed]:
    """All things of one world; the vehicle starts at arc length ``ego_s_m`` in the lane at ``ego_d_m``."""
    fill = _Filler(rng, street)
    density = rng.uniform(0.75, 1.25)
    profile = street.ground.profile
    low, high = ego_s_m - 60, ego_stop_m + 60
    mouths = [(s, half + 4.0) for s, half in zip(street.side_s, street.side_half_m, strict=True)]
    for side in (-1, 1):
        _street_side(fill, 0, side, profile[0], profile[1], low, high, density, mouths, profile[5] > 1.5)
    for number, half in enumerate(street.side_half_m, start=1):
        start = float(profile[0] + 7.0)
        for end in (-1, 1):
            span = (start, 62.0) if end > 0 else (-62.0, -start)
            for side in (-1, 1):
                _street_side(fill, number, side, half, profile[1], *span, density, [], False)
            _waiting(fill, number, end, half, start)
    _traffic(fill, street, ego_d_m, ego_speed, duration_s, ego_s_m, ego_stop_m, density)
    _median(fill, street, low, high, mouths)
    return fill.placed


def _blocked(s: float, gap: float, mouths: list[tuple[float, float]]) -> bool:
    return any(abs(s - at) < half + gap for at, half in mouths)


def _street_side(
    fill: _Filler, path: int, side: int, half: float, sidewalk: float, low: float, high: float, density: float,
    mouths: list[tuple[float, float]], parking: bool,
) -> None:  # fmt: skip
    rng = fill.rng
    along = 0.0 if side < 0 else np.pi  # right-hand traffic: the right side looks along s

    # Parking strip or building sites at the kerb.
    s = low + rng.uniform(0, 6)
    while s < high:
        length = _park(fill, path, side, half, s, along, mouths, parking, density)
        s += length
    # Kerb: lamps, signs, street trees, bins, parked two-wheelers, standing people.
    s = low + rng.uniform(0, 4)
    while s < high:
        d = side * (half + rng.uniform(0.45, 0.75))
        kind = rng.random()
        turn = along
        if kind < 0.16:
            shape = scenery.pole(rng)
            turn = 0.0 if side > 0 else np.pi
        elif kind < 0.30:
            shape = scenery.tree(rng)
            d = side * (half + 0.9)
        elif kind < 0.52:
            shape, turn = scenery.other(rng), along + rng.choice([0.0, 0.1])
        elif kind < 0.61:
            shape = scenery.traffic_cone(rng)
        elif kind < 0.71:
            shape, turn = people.bicycle(rng), along + rng.uniform(-0.4, 0.4)
        elif kind < 0.79:
            shape, turn = people.motorcycle(rng), along + rng.uniform(-0.4, 0.4)
        else:
            shape, turn = people.pedestrian(rng, walking=False), rng.uniform(0, 2 * np.pi)
        fill.put(shape, path, s, d, turn, low=0.25)
        s += rng.uniform(2.8, 7.5) / density
    # Walking people; some push along the kerb, some along the walls.
    for direction in (-1, 1):
        d = side * (half + sidewalk * (0.55 if direction < 0 else 0.82))
        speed = direction * rng.uniform(0.9, 1.6)
        pace = speed if path == 0 else STATIC
        s = low + rng.uniform(0, 12)
        while s < high:
            turn = 0.0 if direction > 0 else np.pi
            shape = people.pedestrian(rng)
            fill.put(shape, path, s, d + rng.uniform(-0.2, 0.2), turn, pace, low=-0.5)
            if rng.random() < 0.3:
                fill.put(people.pedestrian(rng), path, s + 0.3, d - side * 0.6, turn, pace, low=-0.5)
            s += rng.uniform(4, 20) / density
    if rng.random() < _BUILT_UP:
        _buildings(fill, path, side, half + sidewalk + 0.6, 0.8, sidewalk, low, high, share=0.9)
    else:
        _gardens(fill, path, side, half, sidewalk, low, high, along)
        back = half + sidewalk + rng.uniform(4.5, 6.5)
        _buildings(fill, path, side, back, 2.0, sidewalk, low, high, share=0.35 if rng.random() < 0.3 else 0.85)


def _gardens(
    fill: _Filler, path: int, side: int, half: float, sidewalk: float, low: float, high: float, along: float
) -> None:
    """What lies between sidewalk and buildings."""
    rng = fill.rng
    # Verge behind the sidewalk: hedges, fences, bushes, or open.
    s = low + rng.uniform(0, 6)
    while s < high:
        kind = rng.random()
        shape = scenery.hedge(rng) if kind < 0.25 else scenery.fence(rng) if kind < 0.5 else scenery.bush(rng)
        if kind < 0.82:
            fill.put(shape, path, s, side * (half + sidewalk + 0.8), along, low=sidewalk + 0.3, reach=shape.size[0] / 2)
        s += shape.size[0] + (rng.uniform(0.2, 2) if rng.random() < 0.6 else rng.uniform(4, 14))
    # Yard: trees, bushes, vehicles on lots.
    s = low + rng.uniform(0, 6)
    while s < high:
        d = half + sidewalk + rng.uniform(3.2, 5.0)
        kind = rng.random()
        turn = float(rng.uniform(0, 2 * np.pi))
        if kind < 0.45:
            shape = scenery.tree(rng)
        elif kind < 0.62:
            shape = scenery.bush(rng)
        elif kind < 0.70:
            shape, turn = vehicles.car(rng), along
        elif kind < 0.76:
            shape, turn = vehicles.construction_vehicle(rng), along + rng.uniform(-0.5, 0.5)
        elif kind < 0.81:
            shape, turn = vehicles.trailer(rng), along
        elif kind < 0.90:
            shape = people.pedestrian(rng, walking=False)
        else:
            shape = people.bicycle(rng)
        gap = 0.5 * shape.size[0]
        s += gap
        fill.put(shape, path, s, side * d, turn, low=sidewalk + 0.6, reach=gap)
        s += gap + rng.uniform(1.5, 9)


def _buildings(
    fill: _Filler, path: int, side: int, back: float, jitter: float, sidewalk: float, low: float, high: float,
    share: float,
) -> None:  # fmt: skip
    """A row of buildings whose fronts stand ``back`` to ``back + jitter`` metres from the centre line."""
    rng = fill.rng
    s = low + rng.uniform(0, 10)
    while s < high:
        length, depth = rng.uniform(9, 22), rng.uniform(8, 14)
        setback = back + rng.uniform(0, jitter)
        if rng.random() < share:
            shape = scenery.building(rng, float(length), float(depth))
            fill.put(shape, path, s + length / 2, side * (setback + depth / 2), 0.0 if side > 0 else np.pi,
                     low=sidewalk + 0.8, reach=length / 2)  # fmt: skip
        s += length + (rng.uniform(0.2, 1.5) if rng.random() < 0.6 else rng.uniform(3, 9))


def _park(
    fill: _Filler, path: int, side: int, half: float, s: float, along: float, mouths: list[tuple[float, float]],
    parking: bool, density: float,
) -> float:  # fmt: skip
    """One slot of the parking strip; returns the length used in metres."""
    rng = fill.rng
    kind = rng.random()
    d = side * (half - 1.25)
    if not parking or path > 0:
        if kind < 0.2 and not _blocked(s + 6, 8, mouths):
            return _site(fill, path, side, half - 0.6, s, along, 0.25, vehicle=False)
        return float(rng.uniform(8, 25))
    table = (
        (0.22, vehicles.car), (0.27, vehicles.truck), (0.31, vehicles.bus), (0.36, vehicles.trailer),
        (0.41, vehicles.construction_vehicle),
    )  # fmt: skip
    for limit, make in table:
        if kind < limit:
            shape = make(rng)
            length = shape.size[0]
            if not _blocked(s + length / 2, length / 2 + 2, mouths):
                turn = along + (np.pi if rng.random() < 0.1 else 0.0) + rng.normal(0, 0.015)
                fill.put(shape, path, s + length / 2, d + side * rng.uniform(-0.1, 0.15), turn)
            return length + float(rng.uniform(0.8, 2.5))
    if kind < 0.64:  # a row of two-wheelers, people beside them
        at = s
        for _ in range(rng.integers(1, 5)):
            if not _blocked(at, 2, mouths):
                two = people.bicycle(rng) if rng.random() < 0.5 else people.motorcycle(rng)
                turn = along + side * 1.2 + rng.normal(0, 0.1) if rng.random() < 0.7 else along
                fill.put(two, path, at, d + rng.uniform(-0.2, 0.2), turn)
            at += rng.uniform(1.1, 2.2)
        return at - s + 1.0
    if kind < 0.73:
        for _ in range(rng.integers(1, 4)):
            at = s + rng.uniform(0, 4)
            if not _blocked(at, 1, mouths):
                person, turn = people.pedestrian(rng, walking=False), rng.uniform(0, 6.28)
                fill.put(person, path, at, d + rng.uniform(-0.8, 0.8), turn)
        return 5.0
    if kind < 0.92:
        if _blocked(s + 6, 8, mouths):
            return 6.0
        return _site(fill, path, side, half - 1.25, s, along, 1.05, vehicle=rng.random() < 0.4)
    return float(rng.uniform(3, 8) / density)


def _site(fill: _Filler, path: int, side: int, d: float, s: float, along: float, inset: float, vehicle: bool) -> float:
    """A building site: a row of cones or barriers, perhaps a machine and workers behind them."""
    rng = fill.rng
    length = float(rng.uniform(7, 14))
    row = d - inset
    at = s
    use_barriers = rng.random() < 0.5
    while at < s + length:
        if use_barriers:
            fill.put(scenery.barrier(rng), path, at, side * row, along)
            at += rng.uniform(2.2, 2.9)
        else:
            fill.put(scenery.traffic_cone(rng), path, at, side * (row + rng.uniform(-0.1, 0.1)), 0.0)
            at += rng.uniform(1.2, 2.4)
    for end in (s - 1.0, s + length + 0.5):
        for k in range(3):
            fill.put(scenery.traffic_cone(rng), path, end, side * (row + (0.2 + 0.8 * k) * min(inset, 1.0)), 0.0)
    if vehicle:
        fill.put(vehicles.construction_vehicle(rng), path, s + length / 2, side * (d + 0.6), along)
    for _ in range(rng.integers(0, 3)):
        person, turn = people.pedestrian(rng, walking=False), rng.uniform(0, 6.28)
        fill.put(person, path, s + rng.uniform(0, length * 0.25), side * d, turn)
    return length + 3.5


def _waiting(fill: _Filler, path: int, end: int, half: float, start: float) -> None:
    """Vehicles that wait in a side street for the main street to clear."""
    rng = fill.rng
    s = start + 1.5
    for _ in range(rng.integers(0, 4)):
        shape = _vehicle(rng)
        s += shape.size[0] / 2
        turn = np.pi if end > 0 else 0.0
        fill.put(shape, path, end * s, end * half * 0.5, turn + rng.normal(0, 0.02))
        s += shape.size[0] / 2 + rng.uniform(1.5, 4)


def _vehicle(rng: np.random.Generator) -> Shape:
    kind = rng.random()
    if kind < 0.56:
        return vehicles.car(rng)
    if kind < 0.68:
        return vehicles.truck(rng)
    if kind < 0.77:
        return vehicles.bus(rng)
    return people.motorcycle(rng, rider=True)


def _traffic(
    fill: _Filler, street: Street, ego_d_m: float, ego_speed: float, duration_s: float, ego_s_m: float,
    ego_stop_m: float, density: float,
) -> None:  # fmt: skip
    rng, profile = fill.rng, street.ground.profile
    median, lane, lanes = profile[2], profile[3], int(profile[4])
    for side in (-1, 1):
        along = 0.0 if side < 0 else np.pi
        for number in range(lanes):
            d = side * (median + (number + 0.5) * lane)
            own = side < 0 and abs(d - ego_d_m) < 0.5 * lane
            speed = EGO_LANE if own else -side * rng.uniform(0.5, 1.4) * ego_speed
            travel = 0.0 if own else speed * duration_s
            low = ego_s_m - 75 - max(travel, 0.0)
            high = (ego_s_m if own else ego_stop_m) + 75 - min(travel, 0.0)
            s = low + rng.uniform(0, 15)
            while s < high:
                shape = _vehicle(rng)
                s += shape.size[0] / 2
                # The vehicle reaches from 1 m behind base_link to 4 m before it: keep its lane free around it.
                clear = own and ego_s_m - 9 - shape.size[0] / 2 < s < ego_s_m + 11 + shape.size[0] / 2
                if not clear:
                    fill.put(shape, 0, s, d + rng.uniform(-0.2, 0.2), along, speed)
                s += shape.size[0] / 2 + rng.uniform(5, 38) / density
        # A margin for two-wheelers between lanes and parking strip.
        d = side * (median + lanes * lane + 0.5)
        speed = -side * rng.uniform(3.0, 5.0)
        travel = speed * duration_s
        s = ego_s_m - 60 - max(travel, 0.0) + rng.uniform(0, 15)
        while s < ego_stop_m + 60 - min(travel, 0.0):
            two = people.bicycle(rng, rider=True) if rng.random() < 0.7 else people.motorcycle(rng, rider=True)
            fill.put(two, 0, s, d, along, speed)
            s += rng.uniform(5, 22) / density


def _median(fill: _Filler, street: Street, low: float, high: float, mouths: list[tuple[float, float]]) -> None:
    rng = fill.rng
    if street.ground.profile[2] <= 0:
        return
    style = rng.integers(3)
    s = low
    while s < high:
        shape = (scenery.barrier, scenery.bush, scenery.pole)[style](rng)
        if rng.random() < 0.2:
            shape = scenery.traffic_cone(rng)
        if not _blocked(s, 1.5, mouths):
            fill.put(shape, 0, s, 0.0, 0.0)
            fill.placed[-1].lift = KERB_M
        s += (2.5, 3.0, 14.0)[style] * rng.uniform(1.0, 1.4)
