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

"""Labels over camera pictures, one for each of what a recording may give: points, boxes, and a class per point.

    python -m benchmarks.label_pictures --out docs/images

Labels of the key frame in the middle of a synthetic drive, as ``<out>/labels_<what>.jpg``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from PIL import Image

from flashocc_ros.data.label_files import FRAME
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import BOXES_TOPIC, write_bag
from flashocc_ros.data.synthetic.lidar import make_lidar
from flashocc_ros.labelling.page import label_figure
from flashocc_ros.labelling.recording import Recording
from flashocc_ros.labelling.run import label_drive
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sources import Sources
from flashocc_ros.viz.render import render_figure

MODES = {
    "points": Sources(),
    "boxes": Sources(boxes=BOXES_TOPIC),
    "classes": Sources(boxes=BOXES_TOPIC, class_field="label"),
}
SETTINGS = Settings(key_rate_hz=0.25)
"""Key frames at the start and in the middle of the drive."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--width", type=int, default=1000, help="of the files, pixels")
    parser.add_argument("--quality", type=int, default=75, help="of JPEG")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "drive"
        write_bag(recording, Drive(given.seed, 8.0, None, (396, 704), threads=1), 0.5, lidar=make_lidar())
        for name, sources in MODES.items():
            drive = Recording(recording, sources, SETTINGS, print)
            labels = label_drive(drive, Path(folder) / name, "drive", drive.described(), SETTINGS)
            frame = sorted(labels.folder.glob(f"*/{FRAME}"))[-1].parent
            figure = label_figure(frame, json.loads((frame / FRAME).read_text()), SETTINGS.grid, SETTINGS.classes)
            picture = Image.fromarray(render_figure(figure))
            size = given.width, round(picture.height * given.width / picture.width)
            picture.resize(size, Image.Resampling.LANCZOS).save(given.out / f"labels_{name}.jpg", quality=given.quality)
            print(given.out / f"labels_{name}.jpg", size)


if __name__ == "__main__":
    main()
