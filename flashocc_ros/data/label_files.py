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

"""Label folders: ``<drive>/<token>/labels.npz`` as Occ3D has them, with what training needs beside it.

Each key frame is a folder that appears whole: ``labels.npz`` (``semantics``, ``mask_lidar``, ``mask_camera`` uint8;
``guessed`` uint8, occupied of a class that nothing tells; ``instances`` int32; ``boxes`` (B, 9) float32 centre, size,
yaw, velocity in the base frame, ``box_classes``, ``box_ids``), ``depth.npz`` (hits of the nearest sweep in the
pictures), the pictures, and ``frame.json``. ``manifest.json`` is the last file of a drive.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from flashocc_ros.camera_model import PINHOLE, CameraModel
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.errors import ConfigError
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.version import __version__
from flashocc_ros.whole_file import make_folder, unwritable, write_whole

MANIFEST, FRAME, LABELS, DEPTH = "manifest.json", "frame.json", "labels.npz", "depth.npz"


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
        key: fingerprint of this labelling.
        made_of: ``settings`` and ``sources`` behind it, as manifests have them, to name what differs.

    Raises:
        ConfigError: the folder holds labels made otherwise.
        OutputError: it cannot be made.
    """

    def __init__(self, out: Path, scene: str, key: str, made_of: Mapping[str, Any] | None = None) -> None:
        self.folder, self.scene, self.key = out / scene, scene, key
        for path in (self.folder / MANIFEST, *self.folder.glob(f"*/{FRAME}")):
            facts = read_facts(path)
            if facts is not None and facts.get("fingerprint") != key:
                why = _difference(facts, made_of or {}) or f"{path.name} says so"
                raise ConfigError(
                    f"{self.folder} holds labels of another recording or other settings ({why}); remove it or choose "
                    "another --out"
                )
        self._made = [folder for folder in (self.folder, out) if not folder.exists()]
        make_folder(self.folder)
        for left in self.folder.glob(".writing.*"):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)

    def drop_empty(self) -> None:
        """Remove what was made for labels that did not come."""
        for folder in self._made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    @property
    def complete(self) -> dict[str, Any] | None:
        """The manifest of a drive that is done, None before."""
        return read_facts(self.folder / MANIFEST)

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
            (part / LABELS).write_bytes(packed)
            if files.depth:
                (part / DEPTH).write_bytes(packed_arrays(files.depth))
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
        found = [facts for path in self.folder.glob(f"*/{FRAME}") if (facts := read_facts(path)) is not None]
        return sorted(found, key=lambda facts: int(facts["stamp_ns"]))

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write the manifest: the drive is done.

        Raises:
            OutputError: it cannot be written.
        """
        text = json.dumps({"fingerprint": self.key, "version": __version__, **manifest}, indent=1) + "\n"
        write_whole(self.folder / MANIFEST, text)


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The first setting or source that two manifests do not share; empty where nothing tells."""
    here = json.loads(json.dumps(here))
    for part in ("settings", "sources"):
        old, new = there.get(part), here.get(part)
        if isinstance(old, dict) and isinstance(new, dict):
            for name in {**new, **old}:
                if old.get(name) != new.get(name):
                    return f"{name}: there {_short(old.get(name))}, now {_short(new.get(name))}"
    return ""


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def read_facts(path: Path) -> dict[str, Any] | None:
    """Of ``frame.json`` or ``manifest.json``; None where there is none, nothing where it is damaged."""
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


def _lens_facts(model: CameraModel) -> dict[str, Any]:
    if model == PINHOLE:
        return {}
    return {"model": {"kind": model.kind, "coefficients": list(model.coefficients)}}


def camera_model(facts: Mapping[str, Any]) -> CameraModel:
    """Of one of the cameras of ``frame.json``.

    Raises:
        InputError, KeyError, TypeError: it is damaged.
    """
    model = facts.get("model")
    return PINHOLE if model is None else CameraModel(model["kind"], tuple(model["coefficients"]))


def class_facts(classes: ClassTable) -> dict[str, Any]:
    """What the class ids of a key frame mean, for ``frame.json``."""
    facts: dict[str, Any] = {"class_table": f"{classes.name} {classes.version}"}
    return facts if classes is OCC3D else {**facts, "classes": list(classes.names), "free": classes.free}


def has_classes(facts: Mapping[str, Any], classes: ClassTable) -> bool:
    """Whether the ids of a key frame mean those of a table; colours and costs may differ."""
    wanted = class_facts(classes)
    if classes is OCC3D:
        return facts.get("class_table") == wanted["class_table"]
    return all(facts.get(name) == wanted[name] for name in ("classes", "free"))


def camera_facts(cameras: CameraSet) -> dict[str, Any]:
    """Calibration and poses for ``frame.json``."""
    return {
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
                **_lens_facts(cameras.rig.models[i]),
            }
            for i, name in enumerate(cameras.names)
        ],
    }
