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

"""Sun, sky, weather and exposure of a drive."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


class Light(NamedTuple):
    """Numbers the shader needs; colours are linear RGB.

    Attributes:
        sun: (3,) unit vector towards the sun (or moon); sun_color, sky_color (ambient), zenith, horizon: (3,).
        fog_per_m: extinction; wet: 0 dry to 1 wet; night: 0 or 1; exposure: factor before the tone curve.
        noise: standard deviation of sensor noise in 8-bit steps; softness: blur of shadows in metres.
        clouds: share of the sky covered.
    """

    sun: Float64
    sun_color: Float64
    sky_color: Float64
    zenith: Float64
    horizon: Float64
    fog_per_m: float
    wet: float
    night: float
    exposure: float
    noise: float
    clouds: float
    name: str


def make_light(rng: np.random.Generator) -> Light:
    """Day, overcast, wet overcast, dusk or night."""
    name = ("day", "overcast", "wet", "dusk", "night")[rng.choice(5, p=[0.42, 0.2, 0.14, 0.14, 0.1])]
    height = {"day": rng.uniform(30, 65), "dusk": rng.uniform(14, 24)}.get(name, rng.uniform(60, 80))
    around = rng.uniform(0, 2 * np.pi)
    up = np.deg2rad(height)
    sun = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
    table = {
        "day": ((1.15, 1.05, 0.92), (0.42, 0.48, 0.58), (0.16, 0.34, 0.72), (0.62, 0.74, 0.88), 0.0015),
        "overcast": ((0.28, 0.28, 0.28), (0.68, 0.7, 0.73), (0.55, 0.58, 0.63), (0.74, 0.76, 0.78), 0.004),
        "wet": ((0.12, 0.12, 0.13), (0.55, 0.58, 0.62), (0.4, 0.43, 0.48), (0.56, 0.59, 0.63), 0.008),
        "dusk": ((0.9, 0.5, 0.24), (0.28, 0.28, 0.38), (0.14, 0.18, 0.38), (0.85, 0.5, 0.32), 0.003),
        "night": ((0.05, 0.055, 0.08), (0.07, 0.075, 0.1), (0.006, 0.008, 0.018), (0.03, 0.03, 0.045), 0.003),
    }
    sun_color, sky_color, zenith, horizon, fog = table[name]
    clouds = {"day": rng.uniform(0.1, 0.5), "dusk": rng.uniform(0.2, 0.6)}.get(name, 0.0)
    return Light(
        sun,
        np.array(sun_color) * rng.uniform(0.85, 1.15),
        np.array(sky_color) * rng.uniform(0.85, 1.15),
        np.array(zenith),
        np.array(horizon),
        float(fog * rng.uniform(0.5, 1.6)),
        float({"wet": rng.uniform(0.5, 1.0)}.get(name, 0.0)),
        float(name == "night"),
        float(rng.uniform(0.8, 1.25) * (1.8 if name == "night" else 1.15)),
        float(rng.uniform(1.0, 3.0) * (1.8 if name in ("night", "dusk") else 1.0)),
        float(clouds),
        str(name),
    )
