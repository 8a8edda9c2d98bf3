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

"""The picture transform of ``preprocess`` on the device: uint8 up, antialiased bicubic in two passes, normalised down.

Pillow's resampler rounds to grey levels between its two passes; so does this one. The sums are float32 instead of
fixed point, so single pixels may differ from the CPU path by a grey level, or two where it happens in both passes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from flashocc_ros.cameras.camera_set import Picture, decoded
from flashocc_ros.engine.tensorrt.stream import pinned
from flashocc_ros.errors import ImageError
from flashocc_ros.pipeline.preprocess import MEAN, STD, ImageTransform


class DevicePreprocessor:
    """Uploads source pictures and computes the network input on one device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # nvJPEG comes with torchvision; the libraries of both must fit, which only its import can tell.
        self.decodes_jpeg = device.type == "cuda" and importlib.util.find_spec("torchvision") is not None
        self._mean = torch.as_tensor(MEAN, device=device)[:, None, None]
        self._scale = torch.as_tensor(np.float32(1) / STD, device=device)[:, None, None]

    def __call__(self, images: Sequence[Picture], transforms: Sequence[ImageTransform]) -> Tensor:
        """Args as ``Backend.preprocess``; returns (N, 3, H_net, W_net) float32 on the device."""
        planes = self.on_device(images)
        return torch.stack([self._one(*pair) for pair in zip(planes, transforms, strict=True)])

    def on_device(self, images: Sequence[Picture]) -> list[Tensor]:
        """RGB planes (3, H, W) uint8 of every picture; JPEG files are decoded on the GPU in one batch."""
        if self.decodes_jpeg and all(isinstance(image, bytes) for image in images):
            from torchvision.io import ImageReadMode, decode_jpeg

            files = [torch.frombuffer(bytearray(image), dtype=torch.uint8) for image in images]
            try:
                planes: list[Tensor] = decode_jpeg(files, mode=ImageReadMode.RGB, device=self._device)
            except RuntimeError as error:
                raise ImageError(f"a JPEG of this set cannot be decoded on the GPU ({error}); it is dropped") from error
            return planes
        return [pinned(image, self._device).permute(2, 0, 1) for image in decoded(images)]

    def _one(self, source: Tensor, transform: ImageTransform) -> Tensor:
        height, width = transform.size
        planes = source.flip(0)[None].to(torch.float32)
        planes = _resized(planes, (transform.source_size[0], transform.resized[1]))
        planes = _resized(planes, transform.resized)[0]
        planes = planes[:, max(0, transform.crop_top) :, transform.crop_left : transform.crop_left + width]
        planes = functional.pad(planes, (0, 0, height - planes.shape[1], 0))
        return (planes - self._mean) * self._scale


def _resized(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """One pass to ``size``, rounded to grey levels; a side that keeps its size is not filtered."""
    if tuple(planes.shape[-2:]) == size:
        return planes
    planes = functional.interpolate(planes, size, mode="bicubic", antialias=True, align_corners=False)
    return torch.floor(planes + 0.5).clamp_(0, 255)
