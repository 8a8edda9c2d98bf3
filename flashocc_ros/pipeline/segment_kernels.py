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

"""Loops over the voxels of objects: gather, connect, split, and whether some fit into a box."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(nogil=True, cache=True)
def gather(labels, countable, where):  # type: ignore[no-untyped-def]
    """Indices (N, 3) int32 of the voxels whose class is ``countable``; ``where`` gets their numbers, -1 elsewhere."""
    size_y, size_z = labels.shape[1:]
    flat, number = labels.reshape(-1), where.reshape(-1)
    number[:] = -1
    found = np.empty(flat.size + 1, np.int32)
    count = 0
    for i in range(flat.size):  # no branch: writing each and counting some is several times as fast
        found[count] = i
        count += countable[flat[i]]
    voxels = np.empty((count, 3), np.int32)
    for n in range(count):
        i = found[n]
        number[i] = n
        voxels[n, 0], voxels[n, 1], voxels[n, 2] = i // (size_y * size_z), i // size_z % size_y, i % size_z
    return voxels


@nb.njit(nogil=True, cache=True)
def connect(voxels, key, where, part, first):  # type: ignore[no-untyped-def]
    """Number the connected parts (26 neighbours, equal key) of the voxels whose ``part`` is negative.

    Numbers start at ``first``; returns the next one.
    """
    size_x, size_y, size_z = where.shape
    stack = np.empty(len(voxels), np.int64)
    number = first
    for start in range(len(voxels)):
        if part[start] >= 0:
            continue
        part[start] = number
        stack[0], depth = start, 1
        while depth:
            depth -= 1
            n = stack[depth]
            x, y, z = voxels[n, 0], voxels[n, 1], voxels[n, 2]
            for ix in range(max(x - 1, 0), min(x + 2, size_x)):
                for iy in range(max(y - 1, 0), min(y + 2, size_y)):
                    for iz in range(max(z - 1, 0), min(z + 2, size_z)):
                        m = where[ix, iy, iz]
                        if m >= 0 and part[m] < 0 and key[m] == key[n]:
                            part[m] = number
                            stack[depth] = m
                            depth += 1
        number += 1
    return number


@nb.njit(nogil=True, cache=True)
def anchor(centers, class_id, group_of_class, reach, voxels, label, where):  # type: ignore[no-untyped-def]
    """Number of the voxel nearest to each centre (K, 2), voxel units, in the ground plane; -1 beyond its ``reach``.

    Only voxels of the centre's group count; those of its class are taken as half as far.
    """
    size_x, size_y, size_z = where.shape
    found = np.full(len(centers), -1, np.int64)
    for k in range(len(centers)):
        x, y, limit = centers[k, 0], centers[k, 1], reach[k] * reach[k]
        group = group_of_class[class_id[k]]
        best = np.inf
        for ix in range(max(int(x - reach[k]), 0), min(int(x + reach[k]) + 2, size_x)):
            for iy in range(max(int(y - reach[k]), 0), min(int(y + reach[k]) + 2, size_y)):
                distance = (ix - x) ** 2 + (iy - y) ** 2
                if distance > limit or 0.25 * distance >= best:
                    continue
                for iz in range(size_z):
                    n = where[ix, iy, iz]
                    if n < 0 or group_of_class[label[n]] != group:
                        continue
                    weighed = 0.25 * distance if label[n] == class_id[k] else distance
                    if weighed < best:
                        best = weighed
                        found[k] = n
    return found


@nb.njit(nogil=True, cache=True)
def separate(taken, candidates, centers, class_id, group_of_class, width, share):  # type: ignore[no-untyped-def]
    """``taken`` and those candidates, in order, that are ``share`` of a width away from all before them of their group.

    The width is that of the wider class of the two.
    """
    result = np.empty(len(taken) + len(candidates), np.int64)
    result[: len(taken)] = taken
    count = len(taken)
    for k in candidates:
        free = True
        for other in result[:count]:
            if group_of_class[class_id[other]] != group_of_class[class_id[k]]:
                continue
            limit = share * max(width[class_id[other]], width[class_id[k]])
            dx, dy = centers[other, 0] - centers[k, 0], centers[other, 1] - centers[k, 1]
            if dx * dx + dy * dy < limit * limit:
                free = False
                break
        if free:
            result[count] = k
            count += 1
    return result[:count].copy()


@nb.njit(nogil=True, cache=True)
def split(voxels, label, part, seed_of_part, seeds, seed_class, reach, scale, mismatch, owner):  # type: ignore[no-untyped-def]
    """Nearest seed of its part for every voxel in ``owner``, -1 beyond the seed's reach.

    Distances in the ground plane over ``scale`` of the seed (half its length), times ``mismatch`` where classes differ.
    ``seed_of_part`` (P + 1,) are the ends of the seeds of each part in ``seeds`` (S, 2), voxel units.
    """
    for n in range(len(voxels)):
        p = part[n]
        best = np.inf
        owner[n] = -1
        for s in range(seed_of_part[p], seed_of_part[p + 1]):
            dx, dy = voxels[n, 0] - seeds[s, 0], voxels[n, 1] - seeds[s, 1]
            flat = dx * dx + dy * dy
            if flat > reach[s] * reach[s]:
                continue
            cost = flat / (scale[s] * scale[s])
            if label[n] != seed_class[s]:
                cost *= mismatch * mismatch
            if cost < best:
                best = cost
                owner[n] = s


@nb.njit(nogil=True, cache=True)
def contacts(voxels, key, segment, where, reach):  # type: ignore[no-untyped-def]
    """Pairs of voxels of two segments a < b of one key within ``reach`` steps: a << 32 | b for each, in any order.

    That is ``reach`` steps along x and y and one along z.
    """
    size_x, size_y, size_z = where.shape
    result = np.empty(len(voxels) * (3 * (2 * reach + 1) ** 2 // 2), np.int64)  # most of it is never touched
    count = 0
    for n in range(len(voxels)):
        x, y, z = voxels[n, 0], voxels[n, 1], voxels[n, 2]
        for ix in range(max(x - reach, 0), min(x + reach + 1, size_x)):
            for iy in range(max(y - reach, 0), min(y + reach + 1, size_y)):
                for iz in range(max(z - 1, 0), min(z + 2, size_z)):
                    m = where[ix, iy, iz]
                    if m > n and segment[m] != segment[n] and key[m] == key[n]:
                        a, b = np.int64(segment[n]), np.int64(segment[m])
                        result[count] = min(a, b) << 32 | max(a, b)
                        count += 1
    return result[:count].copy()


@nb.njit(nogil=True, cache=True)
def fits(points, length, width):  # type: ignore[no-untyped-def]
    """Whether points (M, 2) in voxels, each a square of one, fit into some upright box; tried every 5 degrees."""
    for step in range(18):
        c, s = np.cos(step * np.pi / 36), np.sin(step * np.pi / 36)
        low_a, high_a, low_b, high_b = np.inf, -np.inf, np.inf, -np.inf
        for i in range(len(points)):
            a, b = c * points[i, 0] + s * points[i, 1], c * points[i, 1] - s * points[i, 0]
            low_a, high_a = min(low_a, a), max(high_a, a)
            low_b, high_b = min(low_b, b), max(high_b, b)
        a, b = high_a - low_a + 1, high_b - low_b + 1
        if max(a, b) <= length and min(a, b) <= width:
            return True
    return False


@nb.njit(nogil=True, cache=True)
def nearest_object(voxels, key, segment, in_crumb, crumbs, reach):  # type: ignore[no-untyped-def]
    """Per voxel in a crumb, in order: the object of its key nearest to the crumb within ``reach`` voxels, else -1."""
    target = np.full(len(crumbs), -1, np.int32)
    best = np.full(len(crumbs), reach * reach + 1, np.int64)
    members = np.flatnonzero(in_crumb)
    number = np.searchsorted(crumbs, segment[members])
    for n in range(len(voxels)):
        if segment[n] < 0 or in_crumb[n]:
            continue
        for i in range(len(members)):
            m = members[i]
            dx, dy, dz = voxels[n, 0] - voxels[m, 0], voxels[n, 1] - voxels[m, 1], voxels[n, 2] - voxels[m, 2]
            distance = dx * dx + dy * dy + dz * dz
            if distance < best[number[i]] and key[n] == key[m]:
                best[number[i]] = distance
                target[number[i]] = segment[n]
    return target[number]


@nb.njit(nogil=True, cache=True)
def measure(voxels, label, segment, count, classes):  # type: ignore[no-untyped-def]
    """Voxels per segment and class (count, classes), and the lowest and highest index (count, 2, 3) of each segment."""
    histogram = np.zeros((count, classes), np.int64)
    box = np.empty((count, 2, 3), np.int64)
    box[:, 0], box[:, 1] = np.iinfo(np.int64).max, -1
    for n in range(len(voxels)):
        s = segment[n]
        if s < 0:
            continue
        histogram[s, label[n]] += 1
        for axis in range(3):
            box[s, 0, axis] = min(box[s, 0, axis], voxels[n, axis])
            box[s, 1, axis] = max(box[s, 1, axis], voxels[n, axis])
    return histogram, box
