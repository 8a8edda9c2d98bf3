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

"""Do object ids cover what they should and stay with an object: share without id, switches, short-lived ids, STQ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from flashocc_ros.evaluation.mean_iou import MeanIoU
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.structures import Instance

Float64 = npt.NDArray[np.float64]

MIN_VISIBLE_VOXELS = 5
"""A true object with fewer seen voxels need not be found."""
MIN_IOU = 0.1
"""Of an object and an id for them to belong together; a voxel of error in depth leaves little more of a good pair."""


class Stability:
    """Ids of things over the frames of a sequence, accumulated over sequences; other classes are left out.

    In every frame the objects that are seen and the ids are paired one to one by the IoU of all their voxels, at least
    ``MIN_IOU``. A pair of the frame before stays while it holds (CLEAR MOT), the others are chosen for the largest sum.

    Args:
        classes: what the ids mean.
    """

    def __init__(self, classes: ClassTable = OCC3D) -> None:
        self.classes = classes
        self._is_thing = np.isin(np.arange(256), classes.things)
        self.reset()

    def reset(self) -> None:
        """Forget all sequences."""
        self.counts = dict.fromkeys(
            ("things", "without_id", "visible", "covered", "follow_ups", "switches", "ids", "one_frame_ids", "empty"), 0
        )
        self.largest_jump_m = 0.0
        self.semantics = MeanIoU(None, self.classes)
        self.association_sum, self.objects = 0.0, 0
        self._start()

    def _start(self) -> None:
        self._held: dict[int, int] = {}  # true object -> id in its last match
        self._paired: dict[int, int] = {}  # the pairs of the frame before
        self._seen_in: dict[int, list[int]] = {}  # id -> its frames
        self._place: dict[int, tuple[int, Float64]] = {}  # id -> its last frame and centre there, fixed frame
        self._volume: dict[tuple[int, int], int] = {}  # voxels shared by true object (0: none) and id (0: none)
        self._frame = 0

    def update(
        self,
        pred_sem: npt.NDArray[np.uint8],
        pred_inst: npt.NDArray[np.int32],
        gt_sem: npt.NDArray[np.uint8],
        gt_inst: npt.NDArray[np.int32],
        mask: npt.NDArray[np.bool_],
        instances: Sequence[Instance] = (),
        odom_from_base: Float64 | None = None,
    ) -> None:
        """Add the next frame of a sequence.

        Args:
            pred_sem, gt_sem: (X, Y, Z) class ids.
            pred_inst: same shape, ids past those of the classes stay the same from frame to frame.
            gt_inst: same shape, 0 = none, likewise.
            mask: same shape, voxels that are seen: they decide whether an object is, and count for STQ.
            instances: as published, for empty ones and jumps.
            odom_from_base: (4, 4) vehicle pose at the key stamp, a fixed frame for jumps; None stands still.
        """
        things = self._is_thing[pred_sem]
        ids = np.where(things & (pred_inst >= self.classes.first_instance_id), pred_inst, 0)
        self.counts["things"] += int(things.sum())
        self.counts["without_id"] += int((things & (ids == 0)).sum())
        self.counts["empty"] += sum(i.voxel_count == 0 for i in instances)
        for track in np.unique(ids[ids > 0]).tolist():
            self._seen_in.setdefault(track, []).append(self._frame)
        self._note_jumps(instances, np.eye(4) if odom_from_base is None else odom_from_base)

        objects = np.where(self._is_thing[gt_sem], gt_inst, 0)
        self.semantics.update(pred_sem[mask], gt_sem[mask])
        for pair, voxels in _shared_voxels(objects[mask], ids[mask]).items():
            self._volume[pair] = self._volume.get(pair, 0) + voxels
        seen, voxels_seen = np.unique(objects[mask], return_counts=True)
        visible = set(seen[(seen > 0) & (voxels_seen >= MIN_VISIBLE_VOXELS)].tolist())
        self._follow(visible, _ious(_shared_voxels(objects, ids)))
        self._frame += 1

    def _follow(self, visible: set[int], ious: dict[tuple[int, int], float]) -> None:
        near = {pair: iou for pair, iou in ious.items() if iou >= MIN_IOU and pair[0] in visible}
        pairs = {thing: track for thing, track in self._paired.items() if (thing, track) in near}
        taken = set(pairs.values())
        pairs |= _assign({p: iou for p, iou in near.items() if p[0] not in pairs and p[1] not in taken})
        self.counts["visible"] += len(visible)
        self.counts["covered"] += len(pairs)
        for thing, track in pairs.items():
            if thing in self._held:
                self.counts["follow_ups"] += 1
                self.counts["switches"] += self._held[thing] != track
            self._held[thing] = track
        self._paired = pairs

    def _note_jumps(self, instances: Iterable[Instance], odom_from_base: Float64) -> None:
        for instance in instances:
            if not self._is_thing[instance.class_id]:
                continue
            place = odom_from_base[:3, :3] @ np.array(instance.center_m) + odom_from_base[:3, 3]
            frame, before = self._place.get(instance.id, (-1, place))
            if frame == self._frame - 1:
                self.largest_jump_m = max(self.largest_jump_m, float(np.linalg.norm(place - before)))
            self._place[instance.id] = self._frame, place

    def end_sequence(self) -> None:
        """What comes next belongs to another sequence: its ids and objects are others."""
        lives = [len(frames) for frames in self._seen_in.values() if frames[0] < self._frame - 1]
        self.counts["ids"] += len(lives)
        self.counts["one_frame_ids"] += lives.count(1)
        of_object, _ = _sizes(self._volume)
        for (thing, track), iou in _ious(self._volume).items():
            self.association_sum += self._volume[thing, track] * iou / of_object[thing]
        self.objects += len(of_object.keys() - {0})
        self._start()

    @property
    def pairs(self) -> dict[int, int]:
        """True objects of the last frame that were found, each with its id."""
        return dict(self._paired)

    def merge(self, other: Stability) -> None:
        """Add the sequences of another metric; ends the current one of both."""
        self.end_sequence()
        other.end_sequence()
        for name, count in other.counts.items():
            self.counts[name] += count
        self.largest_jump_m = max(self.largest_jump_m, other.largest_jump_m)
        self.semantics.merge(other.semantics)
        self.association_sum += other.association_sum
        self.objects += other.objects

    def compute(self) -> dict[str, Any]:
        """Ends the sequence; NaN where nothing was counted.

        Returns:
            ``without_id``: share of predicted thing voxels without an id. ``switches``: share of the matches of an
            object matched before that have another id than its last one. ``one_frame_ids``: share of ids that occur
            in a single frame, those that first occur in the last frame left out. ``coverage``: share of seen objects
            with a match. ``empty_instances``: published without a voxel. ``largest_jump_m``: of a published centre
            between successive frames, fixed frame. ``STQ`` (Weber et al., STEP, 2021) = sqrt(AQ * SQ) over seen
            voxels: ``AQ`` is the mean over true objects g of sum_p |p and g| * IoU(p, g) / |g| with p and g as sets
            of voxels of the whole sequence, ``SQ`` is mIoU.
            ``counts``: the sums behind them.
        """
        self.end_sequence()
        counts = self.counts

        def share(part: str, whole: str) -> float:
            return counts[part] / counts[whole] if counts[whole] else float("nan")

        association = self.association_sum / self.objects if self.objects else float("nan")
        semantic = self.semantics.compute()["mIoU"]
        return {
            "without_id": share("without_id", "things"),
            "switches": share("switches", "follow_ups"),
            "one_frame_ids": share("one_frame_ids", "ids"),
            "coverage": share("covered", "visible"),
            "empty_instances": counts["empty"],
            "largest_jump_m": self.largest_jump_m,
            "STQ": float(np.sqrt(association * semantic)),
            "AQ": association,
            "SQ": semantic,
            "counts": dict(counts),
        }


def _shared_voxels(objects: npt.NDArray[np.int32], ids: npt.NDArray[np.int32]) -> dict[tuple[int, int], int]:
    """Voxels per pair (object, id); 0 stands for none, the pair of none and none is left out."""
    marked = (objects > 0) | (ids > 0)
    keys, shared = np.unique(objects[marked].astype(np.int64) << 32 | ids[marked], return_counts=True)
    pairs = zip((keys >> 32).tolist(), (keys & 0xFFFFFFFF).tolist(), strict=True)
    return dict(zip(pairs, shared.tolist(), strict=True))


def _ious(volume: dict[tuple[int, int], int]) -> dict[tuple[int, int], float]:
    """IoU of every pair of an object and an id that share voxels."""
    of_object, of_id = _sizes(volume)
    return {
        (thing, track): voxels / (of_object[thing] + of_id[track] - voxels)
        for (thing, track), voxels in volume.items()
        if thing and track
    }


def _sizes(volume: dict[tuple[int, int], int]) -> tuple[Counter[int], Counter[int]]:
    """Voxels of every object and of every id."""
    of_object: Counter[int] = Counter()
    of_id: Counter[int] = Counter()
    for (thing, track), voxels in volume.items():
        of_object[thing] += voxels
        of_id[track] += voxels
    return of_object, of_id


def _assign(ious: dict[tuple[int, int], float]) -> dict[int, int]:
    """One-to-one pairs of the largest sum."""
    if not ious:
        return {}
    things, tracks = (sorted({key[i] for key in ious}) for i in (0, 1))
    table = np.zeros((len(things), len(tracks)))
    for (thing, track), value in ious.items():
        table[things.index(thing), tracks.index(track)] = value
    rows, columns = linear_sum_assignment(table, maximize=True)
    return {things[r]: tracks[c] for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if table[r, c] > 0}
