"""The picture transform of ``preprocess`` on the device: uint8 up, antialiased bicubic in two passes, normalised down.

Pillow's resampler rounds to grey levels between its two passes; so does this one. The sums are float32 instead of
fixed point, so single pixels may differ from the CPU path by one grey level.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from flashocc_ros.preprocess import MEAN, STD, ImageTransform


class DevicePreprocessor:
    """Uploads source pictures and computes the network input on one device.

    Pinned host memory is kept per camera and picture size, so that the copies run without waiting for each other.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._staging: dict[tuple[int, tuple[int, ...]], Tensor] = {}
        self._mean = torch.as_tensor(MEAN, device=device)[:, None, None]
        self._scale = torch.as_tensor(np.float32(1) / STD, device=device)[:, None, None]

    def __call__(self, images: Sequence[npt.NDArray[np.uint8]], transforms: Sequence[ImageTransform]) -> Tensor:
        """Args as ``preprocess.network_input``; returns (N, 3, H_net, W_net) float32 on the device."""
        return torch.stack([self._one(i, *pair) for i, pair in enumerate(zip(images, transforms, strict=True))])

    def _one(self, camera: int, image: npt.NDArray[np.uint8], transform: ImageTransform) -> Tensor:
        height, width = transform.size
        planes = self._upload(camera, image).permute(2, 0, 1).flip(0)[None].to(torch.float32)
        planes = _resized(planes, (transform.source_size[0], transform.resized[1]))
        planes = _resized(planes, transform.resized)[0]
        planes = planes[:, max(0, transform.crop_top) :, transform.crop_left : transform.crop_left + width]
        planes = functional.pad(planes, (0, 0, height - planes.shape[1], 0))
        return (planes - self._mean) * self._scale

    def _upload(self, camera: int, image: npt.NDArray[np.uint8]) -> Tensor:
        if self._device.type != "cuda":
            return torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
        key = (camera, image.shape)
        if key not in self._staging:
            self._staging[key] = torch.empty(image.shape, dtype=torch.uint8, pin_memory=True)
        self._staging[key].numpy()[:] = image
        return self._staging[key].to(self._device, non_blocking=True)


def _resized(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """One pass to ``size``, rounded to grey levels; a side that keeps its size is not filtered."""
    if tuple(planes.shape[-2:]) == size:
        return planes
    planes = functional.interpolate(planes, size, mode="bicubic", antialias=True, align_corners=False)
    return torch.floor(planes + 0.5).clamp_(0, 255)
