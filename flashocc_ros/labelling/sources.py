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

"""What of a recording is used to label it."""

from __future__ import annotations

from dataclasses import dataclass, field

from flashocc_ros.bags.camera_sets import Frames
from flashocc_ros.cameras.rectify import Fisheye


@dataclass(frozen=True)
class Sources:
    """What of a recording is used.

    Attributes:
        lidars: topics; empty for the only one that there is.
        boxes: a topic or a CSV file; empty for none.
        class_field: field of the points that holds their class; empty for none.
        cameras: names in the wanted order; None for all that there are, empty for none of them.
        frames: how the recording names its frames.
        class_map: class ids by names of boxes and numbers of points; 255 leaves out.
        fisheye: what becomes of wide lenses, see `cameras.rectify`.
    """

    lidars: tuple[str, ...] = ()
    boxes: str = ""
    class_field: str = ""
    cameras: tuple[str, ...] | None = None
    frames: Frames = field(default_factory=Frames)
    class_map: dict[str, int] = field(default_factory=dict)
    fisheye: Fisheye = "rectify"
