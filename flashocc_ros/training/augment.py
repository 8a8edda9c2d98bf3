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

"""Random changes of the pictures of a sample that keep their geometry known: enlarge and tint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Pixel = TypeVar("Pixel", np.uint8, np.float32)
Uint8 = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]

ZOOM_SHARE, LARGEST_ZOOM = 0.5, 1.15
"""Half of the pictures keep the size at which the network will be used."""
CONTRAST, OFFSET, TINT = (0.9, 1.1), 8.0, 0.03


@dataclass(frozen=True, eq=False)
class PictureAugmentation:
    """What is done to the pictures of N cameras, the same at all times so that they can still be matched.

    Attributes:
        transforms: (N, 2, 3) float64, network pixel before to network pixel after.
        levels: (256, 3) uint8, RGB value before to value after.
    """

    transforms: Float64
    levels: Uint8

    @staticmethod
    def draw(principal_rows: Float64, size: tuple[int, int], rng: np.random.Generator) -> PictureAugmentation:
        """Random numbers for pictures of ``size`` (h, w).

        Args:
            principal_rows: (N,) rows of the principal points. They stay where they are: how far below the horizon a
                thing stands tells its distance, and a network for one rig may learn where that is.
        """
        transforms = np.zeros((len(principal_rows), 2, 3))
        for transform, row in zip(transforms, principal_rows, strict=True):
            zoom = rng.uniform(1.0, LARGEST_ZOOM) if rng.random() < ZOOM_SHARE else 1.0
            transform[:, :2] = np.eye(2) * zoom
            transform[:, 2] = (1.0 - zoom) * np.array([rng.uniform(0.0, size[1] - 1.0), row])
        contrast = np.exp(rng.uniform(*np.log(CONTRAST)))
        tint = np.exp(rng.normal(0.0, TINT, 3))
        levels = (np.arange(256.0)[:, None] - 128.0) * contrast + 128.0 + rng.uniform(-OFFSET, OFFSET)
        return PictureAugmentation(transforms, np.clip(np.rint(levels * tint), 0, 255).astype(np.uint8))

    def pictures(self, images: Uint8) -> Uint8:
        """(N, h, w, 3) uint8 RGB."""
        size = (images.shape[2], images.shape[1])
        return np.stack(
            [
                cv2.LUT(cv2.warpAffine(image, transform, size, flags=cv2.INTER_LINEAR), self.levels[None])
                for image, transform in zip(images, self.transforms, strict=True)
            ]
        )

    def pixels(self, values: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        """(N, h, w) classes or z-depths; enlarging moves no point nearer to the camera."""
        size = (values.shape[2], values.shape[1])
        moved = [
            cv2.warpAffine(value, transform, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
            for value, transform in zip(values, self.transforms, strict=True)
        ]
        return np.stack(moved, dtype=values.dtype)

    def post_transform(self, post_rot: Float64, post_tran: Float64) -> tuple[Float64, Float64]:
        """(N, 3, 3) and (N, 3): the source-to-network transform, of all cameras or of each, followed by this one."""
        linear = np.tile(np.eye(3), (len(self.transforms), 1, 1))
        linear[:, :2, :2] = self.transforms[:, :, :2]
        shift = np.pad(self.transforms[:, :, 2], ((0, 0), (0, 1)))
        return linear @ post_rot, (linear @ post_tran[..., None])[..., 0] + shift
