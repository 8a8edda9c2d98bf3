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

"""Argmax over classes on the CPU, straight from the layouts the head graphs produce.

NaN loses every comparison, so it would come out as class 0 without a word. The kernels therefore look at the exponents
of the numbers they hold anyway: all ones is NaN or infinity, and one more carries into the sign bit.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba as nb
import numpy as np
import numpy.typing as npt

from flashocc_ros.threads import worker_count

Float32 = npt.NDArray[np.float32]

WITHOUT_SIGN, EXPONENT_ONE, SIGN = np.uint32(0x7FFFFFFF), np.uint32(0x00800000), np.uint32(0x80000000)
"""Bits of a float32."""


@nb.njit("b1(f4[:, :, :, ::1], i8, i8, u1[:, :, ::1])", cache=True, nogil=True, boundscheck=False)
def _columns(logits: Float32, first: int, stop: int, labels: npt.NDArray[np.uint8]) -> bool:
    """Rows y in [first, stop) of channel-last logits (Dy, Dx, Dz, classes); whether they are finite."""
    columns, heights, classes = logits.shape[1:]
    bits = logits.view(np.uint32)
    carried = np.uint32(0)
    for y in range(first, stop):
        for x in range(columns):
            for z in range(heights):
                row = logits[y, x, z]
                best, label = row[0], 0
                for c in range(1, classes):
                    if row[c] > best:
                        best, label = row[c], c
                labels[x, y, z] = label
                for c in range(classes):
                    carried |= (bits[y, x, z, c] & WITHOUT_SIGN) + EXPONENT_ONE
    return bool(carried < SIGN)


@nb.njit("b1(f4[:, :, :, ::1], i8, i8, u1[:, :, ::1])", cache=True, nogil=True, boundscheck=False)
def _planes(logits: Float32, first: int, stop: int, labels: npt.NDArray[np.uint8]) -> bool:
    """Rows y in [first, stop) of channel-first logits (Dz, classes, Dy, Dx); whether they are finite."""
    heights, classes, _, columns = logits.shape
    bits = logits.view(np.uint32)
    carried = np.uint32(0)
    best = np.empty(columns, np.float32)
    label = np.empty(columns, np.uint8)
    for y in range(first, stop):
        for z in range(heights):
            best[:] = logits[z, 0, y]
            label[:] = 0
            for c in range(1, classes):
                row = logits[z, c, y]
                for x in range(columns):
                    larger = row[x] > best[x]
                    best[x] = row[x] if larger else best[x]
                    label[x] = c if larger else label[x]
            for x in range(columns):
                labels[x, y, z] = label[x]
            for c in range(classes):
                for x in range(columns):
                    carried |= (bits[z, c, y, x] & WITHOUT_SIGN) + EXPONENT_ONE
    return bool(carried < SIGN)


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(worker_count(), thread_name_prefix="flashocc-labels")


def labels_from_columns(logits: Float32) -> tuple[npt.NDArray[np.uint8], bool]:
    """(Dy, Dx, Dz, classes) float32 to labels (Dx, Dy, Dz) uint8, the first class on ties; whether all are finite."""
    rows, columns, heights, _ = logits.shape
    return _run(_columns, logits, rows, (columns, rows, heights))


def labels_from_planes(logits: Float32) -> tuple[npt.NDArray[np.uint8], bool]:
    """(Dz, classes, Dy, Dx) float32 to labels (Dx, Dy, Dz) uint8, the first class on ties; whether all are finite."""
    heights, _, rows, columns = logits.shape
    return _run(_planes, logits, rows, (columns, rows, heights))


def _run(kernel: object, logits: Float32, rows: int, shape: tuple[int, int, int]) -> tuple[npt.NDArray[np.uint8], bool]:
    labels = np.empty(shape, np.uint8)
    contiguous = np.ascontiguousarray(logits, np.float32)
    bounds = np.linspace(0, rows, worker_count() + 1).astype(int).tolist()

    def work(part: int) -> bool:
        return bool(kernel(contiguous, bounds[part], bounds[part + 1], labels))  # type: ignore[operator]

    return labels, all(list(_threads().map(work, range(len(bounds) - 1))))
