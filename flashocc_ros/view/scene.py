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

"""What the page is told once: classes, colours and the shape of the vehicle."""

from __future__ import annotations

import base64
from typing import Any, Literal

import numpy as np

from flashocc_ros.labels import CLASS_NAMES, FLAT_CLASSES, FREE, THING_CLASSES
from flashocc_ros.viz.palette import palette
from flashocc_ros.viz.vehicle import EGO_BOXES_M


def scene(title: str, note: str = "", source: Literal["recording", "live"] = "recording") -> dict[str, Any]:
    """As JSON.

    Args:
        title: of the page.
        note: a warning set apart, for example that weights are untrained.
        source: frames of a recording stay, of live ones only the newest can be fetched.
    """
    colors = np.round(palette() * 255).astype(np.uint8)
    return {
        "title": title,
        "note": note,
        "source": source,
        "classes": [
            {"name": name, "thing": index in THING_CLASSES, "flat": index in FLAT_CLASSES}
            for index, name in enumerate(CLASS_NAMES[:FREE])
        ],
        # rows: the vehicle, the classes from 1 on, the objects behind them
        "palette": base64.b64encode(colors.tobytes()).decode(),
        "vehicle_boxes": np.round(EGO_BOXES_M.astype(np.float64), 3).tolist(),
    }
