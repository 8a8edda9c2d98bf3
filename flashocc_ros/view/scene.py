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

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.viz.palette import palette
from flashocc_ros.viz.vehicle import EGO_BOXES_M


def scene(
    title: str,
    note: str = "",
    source: Literal["recording", "live"] = "recording",
    classes: ClassTable = OCC3D,
) -> dict[str, Any]:
    """As JSON.

    Args:
        title: of the page.
        note: a warning set apart, for example that weights are untrained.
        source: frames of a recording stay, of live ones only the newest can be fetched.
        classes: what the ids mean.
    """
    colors = np.round(palette(classes) * 255).astype(np.uint8)
    return {
        "title": title,
        "note": note,
        "source": source,
        "classes": [
            {"name": c.name, "thing": c.thing, "flat": c.flat}
            for c in classes.classes[: max(classes.solid) + 1]  # where free is the last, it needs no row
        ],
        # rows: the vehicle, the classes from 1 on, the objects behind them
        "palette": base64.b64encode(colors.tobytes()).decode(),
        "vehicle_boxes": np.round(EGO_BOXES_M.astype(np.float64), 3).tolist(),
    }


class LiveScene:
    """What a page beside a running network is told when it asks: the classes of the latest result.

    Called, it gives the scene as ``ViewServer`` takes it.
    """

    def __init__(self, title: str, classes: ClassTable = OCC3D) -> None:
        self._title, self._classes = title, classes
        self._told: ClassTable | None = None

    def __call__(self) -> dict[str, Any]:
        self._told = self._classes
        return scene(self._title, source="live", classes=self._classes)

    def take(self, classes: ClassTable) -> None:
        """From now on results have these classes."""
        self._classes = classes

    @property
    def outdated(self) -> str:
        """A sentence for a page that was told of other classes before; empty when there is none."""
        if self._told is None or self._told.same_ids(self._classes):
            return ""
        return "The classes are others now; load this page again."
