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

"""The same object in two volumes, so that it can be drawn in the same colour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import FIRST_INSTANCE_ID

Ids = npt.NDArray[np.integer]


def matched(ids: Ids, others: Ids, first_id: int = FIRST_INSTANCE_ID) -> Ids:
    """``others`` with the ids that their objects have in ``ids``; those of no object there keep theirs, made unlike."""
    found = same_objects(ids, others, first_id)
    unlike = int(ids.max(initial=first_id)) + 1
    values, places = np.unique(others, return_inverse=True)
    renamed = [v if v < first_id else found.get(v, unlike + v) for v in values.tolist()]
    return np.asarray(np.array(renamed, np.int64)[places].reshape(others.shape))


def same_objects(ids: Ids, others: Ids, first_id: int = FIRST_INSTANCE_ID) -> dict[int, int]:
    """Which object of ``others`` is which of ``ids``: pairs that share voxels, the largest overlap over union first.

    Args:
        ids, others: volumes of one shape.
        first_id: values below it are no objects.

    Returns:
        An id of ``ids`` by id of ``others``; each object appears at most once.
    """
    both = (ids >= first_id) & (others >= first_id)
    pairs, shared = np.unique(np.stack([ids[both], others[both]]).astype(np.int64), axis=1, return_counts=True)
    sizes = [
        dict(zip(*(a.tolist() for a in np.unique(v[v >= first_id], return_counts=True)), strict=True))
        for v in (ids, others)
    ]
    ranked = sorted(
        (
            (count / (sizes[0][mine] + sizes[1][other] - count), mine, other)
            for (mine, other), count in zip(pairs.T.tolist(), shared.tolist(), strict=True)
        ),
        reverse=True,
    )
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, mine, other in ranked:
        if other not in found and mine not in taken:
            found[other] = mine
            taken.add(mine)
    return found
