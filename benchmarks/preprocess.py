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

"""Six JPEG files to network input: this package against the reference's Pillow path, CPU milliseconds, one process.

Run from the checkout: ``python -m benchmarks.preprocess FOLDER`` with a folder of JPEG files.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from flashocc_ros.model import get_variant
from flashocc_ros.pipeline.preprocess import MEAN, STD, image_transform, network_input

REPEATS = 10


def cpu_ms(call: Callable[[], object]) -> float:
    """Least of a few runs; process time counts all threads."""
    call()
    spent = []
    for _ in range(REPEATS):
        begin = time.process_time()
        call()
        spent.append(time.process_time() - begin)
    return 1e3 * min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variant", default="flashocc-r50-M0")
    options = parser.parse_args()
    variant = get_variant(options.variant)
    paths = sorted(options.folder.glob("*.jpg"))
    height, width = variant.input_size

    def decode() -> list[npt.NDArray[np.uint8]]:
        return [simplejpeg.decode_jpeg(path.read_bytes(), colorspace="RGB", fastdct=False) for path in paths]

    def ours() -> npt.NDArray[np.float32]:
        images = decode()
        return network_input(images, [image_transform(image.shape[:2], variant) for image in images])

    def reference() -> npt.NDArray[np.float32]:
        planes = []
        for path in paths:
            with Image.open(path) as image:
                rows = int(image.height * (width / image.width))
                kept = image.resize((width, rows)).crop((0, rows - height, width, rows))
                bgr = np.asarray(kept)[..., ::-1].astype(np.float32)
                planes.append(((bgr - MEAN) * (np.float32(1) / STD)).transpose(2, 0, 1))
        return np.ascontiguousarray(np.stack(planes))

    levels = np.abs(ours() - reference()) * STD[:, None, None]
    print(f"{len(paths)} files for {variant.name}: largest difference {levels.max():.2f} grey levels")
    times = {"decode": cpu_ms(decode), "ours": cpu_ms(ours), "reference": cpu_ms(reference)}
    print(
        ", ".join(f"{name} {ms:.0f} ms" for name, ms in times.items()),
        f"ratio {times['ours'] / times['reference']:.2f}",
    )


if __name__ == "__main__":
    main()
