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

"""Label a recording from its lidar, as ``flashocc label`` does."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flashocc_ros import remote
from flashocc_ros.data.label_files import FRAME, camera_model
from flashocc_ros.fleet.rig_digest import rig_digest
from flashocc_ros.fleet.work import Made, Tell
from flashocc_ros.labelling.recording import Recording
from flashocc_ros.labelling.run import label_drive
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sources import Sources
from flashocc_ros.labelling.writer import described
from flashocc_ros.structures import CameraRig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelWork:
    """Labels of every key frame; an attempt that was killed is continued at its last one.

    Attributes:
        sources: what of a recording is used; label: how; pictures: keep them beside the labels.
    """

    sources: Sources = field(default_factory=Sources)
    label: Settings = field(default_factory=Settings)
    pictures: bool = True
    goes_on: bool = field(default=True, init=False)
    shared: bool = field(default=False, init=False)

    @property
    def settings(self) -> dict[str, Any]:
        """See `Work`."""
        values = {"work": "label", "pictures": self.pictures, **described(self.label), **asdict(self.sources)}
        return {
            key: value if isinstance(value, int | float | str) else json.dumps(value) for key, value in values.items()
        }

    def open(self) -> str:
        """Nothing is loaded."""
        return "labels from lidar"

    def make(self, name: str, location: str, folder: Path, tell: Tell) -> Made:
        """A folder of key frames."""
        recording = Recording(remote.location(location), self.sources, self.label, logger.warning)
        expected = max(1, round(recording.seconds * self.label.key_rate_hz))
        summary = label_drive(
            recording,
            folder,
            name,
            recording.described(),
            self.label,
            pictures=self.pictures,
            progress=lambda share: tell(min(expected, round(share * expected)), expected),
        )
        frame = json.loads(next(iter(sorted(summary.folder.glob(f"*/{FRAME}")))).read_text())
        return Made(summary.frames, recording.seconds, _rig(frame), summary.quality)

    def help(self, location: str, folder: Path, tell: Tell) -> None:
        """Key frames need what was seen before and after them; one worker makes all."""
        raise NotImplementedError


def _rig(frame: dict[str, Any]) -> str:
    cameras = frame.get("cameras", [])
    if not cameras:
        return ""
    names, intrinsics, mounting = (
        [camera[key] for camera in cameras] for key in ("name", "intrinsics", "base_from_camera")
    )
    models = [camera_model(camera) for camera in cameras]
    return rig_digest(CameraRig(names, np.array(intrinsics), np.array(mounting), models))
