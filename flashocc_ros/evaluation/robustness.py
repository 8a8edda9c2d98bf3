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

"""What is left of a network's accuracy when cameras fail and when their calibration is off.

Every frame is drawn or read once and predicted under all conditions, each a stream of its own on one engine. The
voxels that count stay those of the whole rig, so what a missing camera would have seen counts as wrong where it is not
guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from flashocc_ros.cameras.camera_set import CameraSet, masked_picture
from flashocc_ros.errors import ConfigError
from flashocc_ros.evaluation.frames import EvalData, EvalFrame
from flashocc_ros.evaluation.mean_iou import Mask, MeanIoU, above_ground
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.pipeline.stream import Stream
from flashocc_ros.structures import CameraRig
from flashocc_ros.voxel_grid import OCC3D_GRID, VoxelGrid

ALL = "all"
"""The order in which cameras are lost where nobody gives one: that of the rig from its end."""
MAX_TURN_DEG, MAX_SHIFT_CM = 45.0, 500.0
_SEED = 20_240_501


@dataclass(frozen=True)
class Disturbance:
    """Of a rig.

    Attributes:
        missing: cameras whose pictures are black, as the node masks them.
        turn_deg, shift_cm: by which every camera's pose is off: turned about an axis through itself, moved in a
            direction, both drawn once per camera and sequence and the same for all sizes.
    """

    missing: tuple[str, ...] = ()
    turn_deg: float = 0.0
    shift_cm: float = 0.0


@dataclass(frozen=True)
class Question:
    """What is to be measured.

    Attributes:
        losing: cameras in the order they are lost, one after the other; also each camera of the rig alone. None: none.
            ``(ALL,)`` is the rig's order from its end. One camera stays always.
        errors: (degrees, centimetres) of calibration errors.
    """

    losing: tuple[str, ...] | None = None
    errors: tuple[tuple[float, float], ...] = ()

    def disturbances(self, names: Sequence[str]) -> list[Disturbance]:
        """All of them for a rig, the undisturbed one first.

        Raises:
            ConfigError: a camera is not there.
        """
        found = [Disturbance()]
        if self.losing is not None:
            order = tuple(reversed(names)) if self.losing == (ALL,) else self.losing
            if unknown := [name for name in order if name not in names]:
                raise ConfigError(f"there is no camera {', '.join(unknown)}; cameras there: {', '.join(names)}")
            order = order[: len(names) - 1]
            found += [Disturbance((name,)) for name in names if len(names) > 1]
            found += [Disturbance(order[:count]) for count in range(2, len(order) + 1)]
        found += [Disturbance((), turn_deg, shift_cm) for turn_deg, shift_cm in self.errors]
        return found


def lost_cameras(text: str) -> tuple[str, ...]:
    """``all`` or names in the order they are lost.

    Raises:
        ConfigError: a name is empty or stands twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) != len(names):
        raise ConfigError(f"--drop-cameras {text!r:.80} needs {ALL} or distinct names of cameras, separated by commas")
    return names


def calibration_errors(text: str) -> tuple[tuple[float, float], ...]:
    """``extrinsics=DEG,CM``, several pairs separated by blanks.

    Raises:
        ConfigError: it is none, or a number is out of range.
    """
    what, _, pairs = text.partition("=")
    try:
        if what.strip() != "extrinsics" or not pairs.split():
            raise ValueError
        errors = [tuple(map(float, pair.split(","))) for pair in pairs.split()]
        if any(len(pair) != 2 for pair in errors):
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"--perturb {text!r:.80} needs extrinsics=DEG,CM, several pairs separated by blanks: "
            "'extrinsics=0.5,0 1,0 0,10'"
        ) from None
    for turn_deg, shift_cm in errors:
        if not (0 <= turn_deg <= MAX_TURN_DEG and 0 <= shift_cm <= MAX_SHIFT_CM):
            raise ConfigError(
                f"--perturb extrinsics={turn_deg:g},{shift_cm:g} must lie within 0 and {MAX_TURN_DEG:g} degrees and "
                f"{MAX_SHIFT_CM:g} cm"
            )
    return tuple((turn_deg, shift_cm) for turn_deg, shift_cm in errors)


def disturbed_rig(rig: CameraRig, disturbance: Disturbance, sequence: int) -> CameraRig:
    """The rig as a calibration that is off describes it; ``sequence`` is the number of the drive."""
    if not disturbance.turn_deg and not disturbance.shift_cm:
        return rig
    poses = rig.base_from_camera.copy()
    for camera, pose in enumerate(poses):
        axis, way = _directions(sequence, camera)
        pose[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(np.deg2rad(disturbance.turn_deg) * axis).as_matrix()
        pose[:3, 3] += disturbance.shift_cm / 100 * way
    return replace(rig, base_from_camera=poses)


def _directions(sequence: int, camera: int) -> npt.NDArray[np.float64]:
    """(2, 3) unit vectors, all directions alike."""
    vectors = np.random.default_rng([_SEED, sequence, camera]).normal(size=(2, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _rig(frame: EvalFrame) -> CameraRig:
    assert frame.rig is not None, "a frame with images has a rig"
    return frame.rig


def disturbed_set(frame: EvalFrame, disturbance: Disturbance, sequence: int) -> CameraSet:
    """What a stream is given of a frame."""
    rig = _rig(frame)
    lost = [name in disturbance.missing for name in rig.names]
    images = [
        masked_picture(image.shape[:2]) if gone else image for image, gone in zip(frame.images, lost, strict=True)
    ]
    return CameraSet(images, disturbed_rig(rig, disturbance, sequence), frame.odom_from_base, frame.stamp_ns)


@dataclass
class Robustness:
    """Scores by disturbance; adding them up is exact."""

    mask: Mask | None
    names: tuple[str, ...] = ()
    frames: int = 0
    voxels: dict[Disturbance, MeanIoU] = field(default_factory=dict)
    above: dict[Disturbance, npt.NDArray[np.int64]] = field(default_factory=dict)

    def add(
        self,
        disturbance: Disturbance,
        found: npt.NDArray[np.uint8],
        frame: EvalFrame,
        grid: VoxelGrid = OCC3D_GRID,
        classes: ClassTable = OCC3D,
    ) -> None:
        mask, truth = frame.mask(self.mask), frame.judge_of(found, grid, classes)
        self.voxels.setdefault(disturbance, MeanIoU(self.mask, classes)).update(found, truth, mask)
        above = self.above.setdefault(disturbance, np.zeros(2, np.int64))
        above += above_ground(found, truth, mask, grid, classes)

    def merge(self, other: Robustness) -> None:
        """Add other sequences, of the same cameras.

        Raises:
            ConfigError: they are of another rig.
        """
        if other.names and self.names and other.names != self.names:
            rigs = f"{', '.join(self.names)} and {', '.join(other.names)}"
            raise ConfigError(f"drives are of different rigs, {rigs}; measure each alone")
        self.names, self.frames = self.names or other.names, self.frames + other.frames
        for disturbance, voxels in other.voxels.items():
            if disturbance in self.voxels:
                self.voxels[disturbance].merge(voxels)
                self.above[disturbance] += other.above[disturbance]
            else:
                self.voxels[disturbance], self.above[disturbance] = voxels, other.above[disturbance]

    def result(self) -> dict[str, Any]:
        """Rows, ready for JSON: the whole rig, one camera missing (mean and each), more of them, calibration errors."""
        rows: list[dict[str, Any]] = []
        alone = [d for d in self.voxels if len(d.missing) == 1]
        for disturbance in self.voxels:
            facts = {"cameras": len(self.names) - len(disturbance.missing), "missing": list(disturbance.missing)}
            errors = {"turn_deg": disturbance.turn_deg, "shift_cm": disturbance.shift_cm}
            if alone and disturbance == alone[0]:
                means = {key: round(float(np.mean([self._row(d)[key] for d in alone])), 6) for key in _COLUMNS}
                rows.append({**facts, "missing": [ANY], **errors, **means})
            rows.append({**facts, **errors, **self._row(disturbance)})
        return {"frames": self.frames, "mask": self.mask, "cameras": list(self.names), "robustness": rows}

    def _row(self, disturbance: Disturbance) -> dict[str, float]:
        hits, union = self.above[disturbance]
        scores = float(self.voxels[disturbance].compute()["mIoU"]), hits / union if union else 0.0
        return {key: round(float(value), 6) for key, value in zip(_COLUMNS, scores, strict=True)}


ANY = "any one (mean)"
_COLUMNS = ("mIoU", "above_ground_occupied_IoU")


def score_robustness(
    data: EvalData, sequence: Any, predictor: Any, mask: Mask | None, *, question: Question
) -> Robustness:
    """One sequence under all conditions; with ``functools.partial`` a `run.Measure`."""
    number = data.sequences().index(sequence)
    scores, streams = Robustness(mask), {}
    for frame in data.frames(sequence):
        scores.names, scores.frames = tuple(_rig(frame).names), scores.frames + 1
        for disturbance in question.disturbances(scores.names):
            if disturbance not in streams:
                streams[disturbance] = Stream(predictor.backend)
            result = streams[disturbance](disturbed_set(frame, disturbance, number))
            scores.add(disturbance, result.semantics, frame, result.grid, result.classes)
    return scores


def format_robustness(result: dict[str, Any]) -> str:
    """The rows as a table, in percent, and what each loses against the undisturbed rig."""
    whole = result["robustness"][0]
    lines = [
        f"{result['frames']} frames, voxels of the whole rig's mask ({result['mask'] or 'all'})",
        f"{'':<52} {'mIoU':>7} {'':>7} {'above ground':>13} {'':>7}",
    ]
    for row in result["robustness"]:
        cells = []
        for key, width in zip(_COLUMNS, (7, 13), strict=True):
            lost = row[key] - whole[key]
            cells += [f"{100 * row[key]:>{width}.2f}", f"{100 * lost:>+7.2f}" if row is not whole else f"{'':>7}"]
        lines.append(f"{_title(row):<52} {' '.join(cells)}")
    return "\n".join(lines)


def _title(row: dict[str, Any]) -> str:
    turn = "degree" if row["turn_deg"] == 1 else "degrees"
    errors = [f"{row[key]:g} {unit}" for key, unit in (("turn_deg", turn), ("shift_cm", "cm")) if row[key]]
    if errors:
        return f"every camera off by {' and '.join(errors)}"
    cameras = "1 camera" if row["cameras"] == 1 else f"{row['cameras']} cameras"
    if not row["missing"]:
        return cameras
    missing = row["missing"]  # of several only the last ones: the row above tells the others
    return f"{cameras}, without {' + '.join(missing if len(missing) <= 2 else ['...', missing[-1]])}"
