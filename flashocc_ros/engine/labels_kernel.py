"""Argmax over classes on the CPU, straight from the layouts the head graphs produce."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba as nb
import numpy as np
import numpy.typing as npt

from flashocc_ros.threads import worker_count

Float32 = npt.NDArray[np.float32]


@nb.njit("void(f4[:, :, :, ::1], i8, i8, u1[:, :, ::1])", cache=True, nogil=True, boundscheck=False)
def _columns(logits: Float32, first: int, stop: int, labels: npt.NDArray[np.uint8]) -> None:
    """Rows y in [first, stop) of channel-last logits (Dy, Dx, Dz, classes)."""
    columns, heights, classes = logits.shape[1:]
    for y in range(first, stop):
        for x in range(columns):
            for z in range(heights):
                row = logits[y, x, z]
                best, label = row[0], 0
                for c in range(1, classes):
                    if row[c] > best:
                        best, label = row[c], c
                labels[x, y, z] = label


@nb.njit("void(f4[:, :, :, ::1], i8, i8, u1[:, :, ::1])", cache=True, nogil=True, boundscheck=False)
def _planes(logits: Float32, first: int, stop: int, labels: npt.NDArray[np.uint8]) -> None:
    """Rows y in [first, stop) of channel-first logits (Dz, classes, Dy, Dx)."""
    heights, classes, _, columns = logits.shape
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


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(worker_count(), thread_name_prefix="flashocc-labels")


def labels_from_columns(logits: Float32) -> npt.NDArray[np.uint8]:
    """(Dy, Dx, Dz, classes) float32 to labels (Dx, Dy, Dz) uint8, the first class on ties."""
    rows, columns, heights, _ = logits.shape
    return _run(_columns, logits, rows, (columns, rows, heights))


def labels_from_planes(logits: Float32) -> npt.NDArray[np.uint8]:
    """(Dz, classes, Dy, Dx) float32 to labels (Dx, Dy, Dz) uint8, the first class on ties."""
    heights, _, rows, columns = logits.shape
    return _run(_planes, logits, rows, (columns, rows, heights))


def _run(kernel: object, logits: Float32, rows: int, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    labels = np.empty(shape, np.uint8)
    contiguous = np.ascontiguousarray(logits, np.float32)
    bounds = np.linspace(0, rows, worker_count() + 1).astype(int).tolist()

    def work(part: int) -> None:
        kernel(contiguous, bounds[part], bounds[part + 1], labels)  # type: ignore[operator]

    list(_threads().map(work, range(len(bounds) - 1)))
    return labels
