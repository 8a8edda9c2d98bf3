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

"""Label folders: ``<scene>/<token>/labels.npz`` as Occ3D has them, with what training needs beside it.

Each key frame is a folder that appears whole: ``labels.npz`` (``semantics``, ``mask_lidar``, ``mask_camera`` uint8;
``instances`` int32; ``boxes`` (B, 9) float32 centre, size, yaw, velocity in the base frame, ``box_classes``,
``box_ids``), ``depth.npz`` (hits of the nearest sweep in the pictures), the pictures, and ``frame.json``.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.errors import ConfigError
from flashocc_ros.labelling.boxes import Placed
from flashocc_ros.labelling.frame import Labels
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sweeps import RETURN, Sweep
from flashocc_ros.labels import CLASS_TABLE_NAME, CLASS_TABLE_VERSION
from flashocc_ros.version import __version__
from flashocc_ros.whole_file import make_folder, unwritable, write_whole

MANIFEST, FRAME = "manifest.json", "frame.json"
METHOD = 1
"""Raised when the same drive and settings give other labels."""
_NEAREST_M = 0.5


def fingerprint(settings: Settings, sources: dict[str, Any]) -> str:
    """Of all that decides the labels of a drive."""
    text = json.dumps({"method": METHOD, "settings": asdict(settings), "sources": sources}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class FrameFiles:
    """What one key frame consists of; see the module."""

    labels: dict[str, npt.NDArray[Any]]
    depth: dict[str, npt.NDArray[Any]]
    pictures: dict[str, bytes]
    facts: dict[str, Any]


class SceneWriter:
    """The folder of one drive.

    Args:
        out: folder of all drives; scene: name of this one.
        key: `fingerprint` of this labelling.

    Raises:
        ConfigError: the folder holds labels made otherwise.
        OutputError: it cannot be made.
    """

    def __init__(self, out: Path, scene: str, key: str) -> None:
        self.folder, self.scene, self.key = out / scene, scene, key
        for path in (self.folder / MANIFEST, *self.folder.glob(f"*/{FRAME}")):
            facts = _read(path)
            if facts is not None and facts.get("fingerprint") != key:
                raise ConfigError(
                    f"{self.folder} holds labels of another recording or other settings ({path.name} says so); "
                    "remove it or choose another --out"
                )
        make_folder(self.folder)
        for left in self.folder.glob(".writing.*"):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)

    @property
    def complete(self) -> dict[str, Any] | None:
        """The manifest of a drive that is done, None before."""
        return _read(self.folder / MANIFEST)

    def done(self, token: str) -> bool:
        """Whether a key frame is there."""
        return (self.folder / token / FRAME).is_file()

    def write(self, token: str, files: FrameFiles) -> None:
        """A key frame, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        target, part = self.folder / token, self.folder / f".writing.{token}"
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            packed = packed_arrays(files.labels)
            (part / "labels.npz").write_bytes(packed)
            if files.depth:
                (part / "depth.npz").write_bytes(packed_arrays(files.depth))
            for name, jpeg in files.pictures.items():
                (part / name).write_bytes(jpeg)
            facts = {"fingerprint": self.key, "sha256": hashlib.sha256(packed).hexdigest(), **files.facts}
            (part / FRAME).write_text(json.dumps(facts, indent=1) + "\n")
            shutil.rmtree(target, ignore_errors=True)
            part.replace(target)
        except BaseException as error:
            shutil.rmtree(part, ignore_errors=True)
            if isinstance(error, OSError):
                raise unwritable(target, error) from error
            raise

    def frames(self) -> list[dict[str, Any]]:
        """What is known of every key frame that is there, in the order of time."""
        found = [facts for path in self.folder.glob(f"*/{FRAME}") if (facts := _read(path)) is not None]
        return sorted(found, key=lambda facts: int(facts["stamp_ns"]))

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write the manifest: the drive is done.

        Raises:
            OutputError: it cannot be written.
        """
        text = json.dumps({"fingerprint": self.key, "version": __version__, **manifest}, indent=1) + "\n"
        write_whole(self.folder / MANIFEST, text)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else {}


def packed_arrays(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    """A compressed NPZ; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def label_arrays(
    labels: Labels, mask_camera: npt.NDArray[np.bool_], boxes: Placed | None, later: Placed | None, base_from_fixed: Any
) -> dict[str, npt.NDArray[Any]]:
    """Contents of ``labels.npz``.

    Args:
        later: the boxes 0.1 s after the key frame, for their velocities.
    """
    arrays: dict[str, npt.NDArray[Any]] = {
        "semantics": labels.semantics,
        "mask_lidar": labels.observed.astype(np.uint8),
        "mask_camera": mask_camera.astype(np.uint8),
        "instances": labels.instances,
    }
    if boxes is None or later is None:
        return arrays
    poses = base_from_fixed @ boxes.poses
    velocity = np.zeros((boxes.count, 2))
    place = {int(i): k for k, i in enumerate(later.ids)}
    for index, identity in enumerate(boxes.ids.tolist()):
        if identity in place:
            moved = later.poses[place[identity], :3, 3] - boxes.poses[index, :3, 3]
            velocity[index] = (base_from_fixed[:3, :3] @ moved)[:2] / 0.1
    yaw = np.arctan2(poses[:, 1, 0], poses[:, 0, 0])
    rows = np.concatenate([poses[:, :3, 3], boxes.sizes, yaw[:, None], velocity], 1)
    arrays["boxes"] = rows.astype(np.float32)
    arrays["box_classes"], arrays["box_ids"] = boxes.classes, boxes.ids.astype(np.int32)
    return arrays


def depth_targets(cameras: CameraSet, sweeps: Sequence[Sweep]) -> dict[str, npt.NDArray[Any]]:
    """Hits of the sweep nearest to each shutter: ``camera`` (P,) uint8, ``pixel`` (P, 2), ``depth_m`` (P,) float32."""
    camera, pixel, depth = [], [], []
    for index, (height, width) in enumerate(cameras.image_sizes):
        stamp_ns = int(cameras.stamps_ns[index])
        nearest = min(sweeps, key=lambda s: abs((s.start_ns + s.end_ns) // 2 - stamp_ns))
        camera_from_fixed = np.linalg.inv(cameras.odom_from_base[index] @ cameras.rig.base_from_camera[index])
        shift = camera_from_fixed[:3, :3] @ nearest.anchor + camera_from_fixed[:3, 3]
        points = nearest.ends[nearest.kind == RETURN] @ camera_from_fixed[:3, :3].T + shift
        points = points[points[:, 2] > _NEAREST_M]
        uv = (points / points[:, 2:]) @ cameras.rig.intrinsics[index].T
        inside = (uv[:, 0] >= -0.5) & (uv[:, 0] < width - 0.5) & (uv[:, 1] >= -0.5) & (uv[:, 1] < height - 0.5)
        camera.append(np.full(int(inside.sum()), index, np.uint8))
        pixel.append(uv[inside, :2].astype(np.float32))
        depth.append(points[inside, 2].astype(np.float32))
    return {"camera": np.concatenate(camera), "pixel": np.concatenate(pixel), "depth_m": np.concatenate(depth)}


def picture_files(cameras: CameraSet) -> dict[str, bytes]:
    """JPEG files by name; a recorded one stays as it is."""
    return {
        picture_name(name): image
        if isinstance(image, bytes)
        else simplejpeg.encode_jpeg(np.ascontiguousarray(image), 95)
        for name, image in zip(cameras.names, cameras.images, strict=True)
    }


def picture_name(camera: str) -> str:
    return f"{camera.replace('/', '_')}.jpg"


def camera_facts(cameras: CameraSet) -> dict[str, Any]:
    """Calibration and poses for ``frame.json``."""
    return {
        "class_table": f"{CLASS_TABLE_NAME} {CLASS_TABLE_VERSION}",
        "cameras": [
            {
                "name": name,
                "picture": picture_name(name),
                "stamp_ns": int(cameras.stamps_ns[i]),
                "height": cameras.image_sizes[i][0],
                "width": cameras.image_sizes[i][1],
                "intrinsics": cameras.rig.intrinsics[i].tolist(),
                "base_from_camera": cameras.rig.base_from_camera[i].tolist(),
                "odom_from_base": cameras.odom_from_base[i].tolist(),
            }
            for i, name in enumerate(cameras.names)
        ],
    }
