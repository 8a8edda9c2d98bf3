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

"""From camera pictures to network input, equal to the reference's test-time pipeline to the last grey level.

The reference resizes with Pillow's antialiased bicubic filter, keeps the bottom of the picture and normalises. Here the
same fixed-point arithmetic (Pillow ``src/libImaging/Resample.c``: two passes, horizontal first, 22-bit coefficients,
rounding and clipping to uint8 after each) runs only on the rows that are kept and writes normalised float32 planes.

A picture of any size is scaled so that its width fits the network; what then exceeds the network's height is cropped
from the top. If it is less high than the network's input, the missing rows on top are black.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from flashocc_ros.errors import InputError
from flashocc_ros.threads import worker_count

if TYPE_CHECKING:
    from flashocc_ros.variants import Variant

MEAN = np.array((123.675, 116.28, 103.53), np.float32)
STD = np.array((58.395, 57.12, 57.375), np.float32)
"""Applied to the channels in the order blue, green, red: the published networks were trained with that mix-up."""

PRECISION_BITS = 22
ROUND_HALF = np.int32(1 << (PRECISION_BITS - 1))
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class ImageTransform:
    """How one camera's picture becomes the network's: ``pixel_net = scale * pixel_source - (crop_left, crop_top)``.

    Attributes:
        source_size: (H, W) of the picture in pixels.
        resized: (H, W) after scaling, before the crop.
        scale: factor on both axes; the sizes are rounded down, the factor is not.
        crop_left, crop_top: pixels cut off after scaling; a negative ``crop_top`` adds black rows on top.
        size: (H, W) of the network's picture.
    """

    source_size: tuple[int, int]
    resized: tuple[int, int]
    scale: float
    crop_left: int
    crop_top: int
    size: tuple[int, int]

    @property
    def post_rot(self) -> npt.NDArray[np.float64]:
        """(3, 3) float64: ``scale`` on the first two diagonal entries, 1 on the third."""
        return np.diag([self.scale, self.scale, 1.0])

    @property
    def post_tran(self) -> npt.NDArray[np.float64]:
        """(3,) float64: ``(-crop_left, -crop_top, 0)`` in network pixels."""
        return np.array([-self.crop_left, -self.crop_top, 0.0])


def image_transform(source_hw: tuple[int, int], variant: Variant) -> ImageTransform:
    """Test-time scale and crop for pictures of ``source_hw`` = (H, W) pixels.

    Raises:
        InputError: a picture without pixels, or so wide that nothing of its height is left.
    """
    return _image_transform((int(source_hw[0]), int(source_hw[1])), variant.input_size)


@lru_cache(maxsize=64)
def _image_transform(source_hw: tuple[int, int], size: tuple[int, int]) -> ImageTransform:
    source_height, source_width = source_hw
    height, width = size
    if source_height < 1 or source_width < 1:
        raise InputError(f"an image of {source_width}x{source_height} pixels is empty; check the camera driver")
    scale = width / source_width
    # int(width / source_width * source_width) can fall one short by rounding; the width fits by construction.
    resized = (int(source_height * scale), width)
    if resized[0] < 1:
        raise InputError(
            f"an image of {source_width}x{source_height} pixels is less than one row high at the network's width "
            f"{width}; crop it before"
        )
    return ImageTransform(source_hw, resized, scale, 0, resized[0] - height, size)


def network_input(
    images: Sequence[npt.NDArray[np.uint8]], transforms: Sequence[ImageTransform]
) -> npt.NDArray[np.float32]:
    """Resize, crop and normalise N pictures.

    Args:
        images: N arrays (H, W, 3) uint8, RGB; sizes may differ between cameras.
        transforms: their N transforms, all with the same ``size``.

    Returns:
        (N, 3, H_net, W_net) float32, channels blue, green, red, ``(x - mean) * (1 / std)`` in float32.

    Raises:
        InputError: an image that is not (H, W, 3) uint8 of the size its transform was made for.
    """
    height, width = transforms[0].size
    output = np.empty((len(images), 3, height, width), np.float32)

    def one(index: int) -> None:
        resize_into(output[index], images[index], transforms[index])

    for index, (image, transform) in enumerate(zip(images, transforms, strict=True)):
        shape = (*transform.source_size, 3)
        if image.dtype != np.uint8 or image.shape != shape:
            raise InputError(f"image {index} is {image.dtype} {image.shape}, its transform was made for uint8 {shape}")
    if len(images) == 1 or _THREADS == 1:
        for index in range(len(images)):
            one(index)
    else:
        list(_pool().map(one, range(len(images))))
    return output


_THREADS = min(8, worker_count())


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="preprocess")


def resize_into(output: npt.NDArray[np.float32], image: npt.NDArray[np.uint8], transform: ImageTransform) -> None:
    """Write one normalised picture into ``output`` (3, H_net, W_net) float32; see ``network_input``."""
    height, width = transform.size
    resized_height, resized_width = transform.resized
    x_first, x_weight = coefficients(transform.source_size[1], resized_width)
    y_first, y_weight = coefficients(transform.source_size[0], resized_height)
    top = max(0, transform.crop_top)
    x_first, x_weight = x_first[transform.crop_left :], x_weight[transform.crop_left :]
    y_first, y_weight = y_first[top:], y_weight[top:]
    scale = np.float32(1) / STD
    kept = y_first.shape[0]
    first_row, last_row = int(y_first[0]), int(y_first[-1]) + y_weight.shape[1]
    last_row = min(last_row, transform.source_size[0])
    if kept < height:
        output[:, : height - kept] = ((np.float32(0) - MEAN) * scale)[:, None, None]
    image = np.ascontiguousarray(image)
    planes = np.empty((3, last_row - first_row, width), np.uint8)
    _horizontal(image.reshape(image.shape[0], -1), first_row, x_first, x_weight, planes)
    _vertical(planes, y_first - first_row, y_weight, MEAN, scale, output[:, height - kept :])


@lru_cache(maxsize=64)
def coefficients(size_in: int, size_out: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Bicubic (a = -0.5) antialias weights of Pillow in 22-bit fixed point.

    Returns:
        First source index (size_out,) int32 and weights (size_out, taps) int32. Unused taps are zero; the first index
        is moved so that first + taps never exceeds ``size_in``.
    """
    scale = size_in / size_out
    filter_scale = max(scale, 1.0)
    support = 2.0 * filter_scale
    center = (np.arange(size_out) + 0.5) * scale
    first = np.maximum((center - support + 0.5).astype(np.int64), 0)
    last = np.minimum((center + support + 0.5).astype(np.int64), size_in)
    taps = min(int(np.ceil(support)) * 2 + 1, size_in)
    index = first[:, None] + np.arange(taps)
    weight = _bicubic((index - center[:, None] + 0.5) / filter_scale)
    weight[index >= last[:, None]] = 0.0
    weight /= weight.sum(1, keepdims=True)
    fixed = np.trunc(weight * (1 << PRECISION_BITS) + np.where(weight < 0, -0.5, 0.5)).astype(np.int32)
    shift = np.maximum(first + taps - size_in, 0)
    for row in np.flatnonzero(shift):
        fixed[row] = np.roll(fixed[row], shift[row])
    used = np.flatnonzero(fixed.any(0))
    taps = int(used[-1]) + 1
    result = ((first - shift).astype(np.int32), np.ascontiguousarray(fixed[:, :taps]))
    for array in result:
        array.setflags(write=False)
    return result


def _bicubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    a = -0.5
    x = np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


@nb.njit(nogil=True, cache=True)
def _horizontal(
    image: npt.NDArray[np.uint8],
    first_row: int,
    first: npt.NDArray[np.int32],
    weight: npt.NDArray[np.int32],
    planes: npt.NDArray[np.uint8],
) -> None:
    """Resample rows: image (H, 3 * W) uint8 interleaved -> planes (3, rows, width) uint8, blue first.

    Blocks of rows are transposed so that the sums run over contiguous vectors.
    """
    rows, width, taps = planes.shape[1], planes.shape[2], weight.shape[1]
    columns = image.shape[1]
    block = np.empty((columns, ROWS_AT_ONCE), np.uint8)
    total = np.empty(ROWS_AT_ONCE, np.int32)
    result = np.empty((3, ROWS_AT_ONCE), np.uint8)
    used = min(ROWS_AT_ONCE, rows)
    for nominal_start in range(0, rows, ROWS_AT_ONCE):
        start = min(nominal_start, rows - used)
        for row in range(used):
            source = image[first_row + start + row]
            for column in range(columns):
                block[column, row] = source[column]
        for x in range(width):
            for channel in range(3):
                total[:] = ROUND_HALF
                for tap in range(taps):
                    w = weight[x, tap]
                    values = block[(first[x] + tap) * 3 + channel]
                    for row in range(ROWS_AT_ONCE):
                        total[row] += np.int32(w * np.int32(values[row]))
                for row in range(ROWS_AT_ONCE):
                    result[2 - channel, row] = min(max(total[row] >> PRECISION_BITS, 0), 255)
            for channel in range(3):
                for row in range(used):
                    planes[channel, start + row, x] = result[channel, row]


@nb.njit(nogil=True, cache=True)
def _vertical(
    planes: npt.NDArray[np.uint8],
    first: npt.NDArray[np.int32],
    weight: npt.NDArray[np.int32],
    mean: npt.NDArray[np.float32],
    scale: npt.NDArray[np.float32],
    output: npt.NDArray[np.float32],
) -> None:
    """Resample columns and normalise: planes (3, rows, width) uint8 -> output (3, kept, width) float32."""
    kept, width, taps = output.shape[1], output.shape[2], weight.shape[1]
    total = np.empty(width, np.int32)
    for channel in range(3):
        for y in range(kept):
            total[:] = ROUND_HALF
            for tap in range(taps):
                w = weight[y, tap]
                row = planes[channel, first[y] + tap]
                for x in range(width):
                    total[x] += np.int32(w * np.int32(row[x]))
            for x in range(width):
                value = min(max(total[x] >> PRECISION_BITS, 0), 255)
                output[channel, y, x] = (np.float32(value) - mean[channel]) * scale[channel]
