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

"""Key frames of recordings: their truth by stamp, and label folders of what training needs of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags import BagReader, Frames, cameras_at, read_sets
from flashocc_ros.bags.headers import header_stamp_ns
from flashocc_ros.bags.results import TRUTH_TYPE, Truth, class_tables, to_truth
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.data.label_files import (
    DEPTH,
    FRAME,
    LABELS,
    FrameFiles,
    SceneWriter,
    camera_facts,
    camera_model,
    class_facts,
    picture_files,
    read_facts,
)
from flashocc_ros.data.label_folder import LabelDrive, open_drives, stamp_of
from flashocc_ros.errors import BagError, InputError
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.npz_damage import NPZ_DAMAGE
from flashocc_ros.remote import Location
from flashocc_ros.structures import OCC3D_GRID, VoxelGrid


def read_truth(bag: Location) -> dict[int, Truth]:
    """Ground truth of a recording by stamp.

    Raises:
        BagError: the recording has no topic of type ``OccupancyTruth``, or one that cannot be read.
    """
    with BagReader(bag) as reader:
        topics = [name for name, topic in reader.topics.items() if topic.type == TRUTH_TYPE]
        if not topics:
            raise no_truth(bag)
        tables = class_tables(reader)
        messages = reader.messages(topics[:1])
        return {header_stamp_ns(c): to_truth(reader.deserialize(c, topic.type), tables) for topic, _, c in messages}


def objects_of(ids: npt.NDArray[np.uint16], classes: ClassTable) -> npt.NDArray[np.int32]:
    """Ids below the first of an object repeat the class, in messages as in results; here they are 0."""
    return np.where(ids >= classes.first_instance_id, ids.astype(np.int32), 0)


def no_truth(bag: Location) -> BagError:
    """What is raised where one is needed."""
    return BagError(f"{bag} has no ground truth ({TRUTH_TYPE}); `flashocc synth` writes recordings with it")


def truth_stamps(recording: Location) -> set[int]:
    """Stamps of the ground truth of a recording, nanoseconds; empty where it has none."""
    with BagReader(recording) as reader:
        topics = [name for name, topic in reader.topics.items() if topic.type == TRUTH_TYPE and topic.count]
        return {header_stamp_ns(cdr) for _, _, cdr in reader.messages(topics[:1])} if topics else set()


def take_out(
    recording: Path,
    out: Path,
    labels: Path | None = None,
    truth: str | None = None,
    cameras: Sequence[str] | None = None,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    fisheye: Fisheye = "rectify",
    grid: VoxelGrid = OCC3D_GRID,
    classes: ClassTable = OCC3D,
) -> Path:
    """Write the key frames of a recording as a labelled drive, unless it is there.

    Args:
        out: folder of all drives; labels: of a drive of the recording's name, for its voxels or lidar points.
        truth: ``topic`` for the voxels of the recording's truth, ``labels`` for those of ``labels``; None takes labels
            where they are given.
        fisheye: what becomes of wide lenses, see `cameras.rectify`; of labels it has to be the same.
        grid: that voxels must have; classes: that labels must have, or else those of Occ3D, as the truth has.

    Returns:
        The folder of the drive.

    Raises:
        BagError: the recording is unreadable or has no truth.
        InputError: there are no such labels, or no camera set belongs to them.
        ConfigError: the folder holds another drive of that name.
        OutputError: it cannot be written.
    """
    name = recording.resolve().name.removesuffix(".mcap").removesuffix(".db3")
    drive = None if labels is None else _labelled(labels, name, grid, classes)
    by_labels = drive is not None and truth != "topic"
    files = [recording] if recording.is_file() else sorted(file for file in recording.glob("*") if file.is_file())
    sources = {
        "recording": {file.name: file.stat().st_size for file in files},
        "labels": None if drive is None else [frame.name for frame in drive.frames],
        "truth": "labels" if by_labels else "topic",
        "cameras": cameras,
        "frames": asdict(frames),
        **({"fisheye": fisheye} if fisheye != "rectify" else {}),
        **(class_facts(drive.classes) if by_labels and drive is not None and drive.classes is not OCC3D else {}),
    }
    writer = SceneWriter(
        out, name, hashlib.sha256(json.dumps(sources, sort_keys=True, default=str).encode()).hexdigest()
    )
    if writer.complete is not None:
        return writer.folder
    table = drive.classes if by_labels and drive is not None else OCC3D
    of_stamp = {} if drive is None else {stamp_of(frame): frame for frame in drive.frames}
    truths = {} if by_labels else read_truth(recording)
    for true in truths.values():
        if true.grid != grid or true.classes is not OCC3D:
            raise InputError(
                f"{recording}: its truth has {true.grid} and the classes {true.classes.name}; to learn from it takes "
                f"{grid} and those of {OCC3D.name}"
            )
    wanted = of_stamp if by_labels else truths
    cameras = cameras_at(recording, wanted, cameras, frames)
    for camera_set in read_sets(recording, cameras, frames=frames, keep_jpeg=True, fisheye=fisheye):
        token = str(camera_set.stamp_ns)
        if camera_set.stamp_ns not in wanted or writer.done(token):
            continue
        _check_lenses(of_stamp.get(camera_set.stamp_ns), camera_set)
        kept = _arrays(of_stamp.get(camera_set.stamp_ns))
        voxels = kept[LABELS] if by_labels else _voxels(truths[camera_set.stamp_ns])
        facts = {
            "token": token,
            "stamp_ns": camera_set.stamp_ns,
            "odom_from_base": camera_set.key_pose.tolist(),
            **class_facts(table),
            **camera_facts(camera_set),
        }
        writer.write(token, FrameFiles(voxels, kept[DEPTH], picture_files(camera_set), facts))
    taken = writer.frames()
    if not taken:
        raise InputError(
            f"{recording}: no camera set has the stamp of its {'labels' if by_labels else 'truth'}; record both "
            "together"
        )
    if drive is not None and not any(int(facts["stamp_ns"]) in of_stamp for facts in taken):
        raise InputError(
            f"{recording}: its truth and {drive.folder} have no stamp in common, so labels have no points for its key "
            "frames; label it with the cameras in another order (--cameras), the first gives the stamp"
        )
    convention = drive.convention if by_labels and drive is not None else "truth"
    writer.finish(
        {
            "scene": name,
            "sources": sources,
            "settings": {"grid": asdict(grid), "convention": convention},
            "frames": [{"token": facts["token"], "sha256": facts["sha256"]} for facts in taken],
        }
    )
    return writer.folder


def _labelled(labels: Path, name: str, grid: VoxelGrid, classes: ClassTable) -> LabelDrive:
    folder = labels / name if (labels / name).is_dir() else labels
    drives = [drive for drive in open_drives([folder], False, grid, classes) if drive.name == name]
    if not drives:
        raise InputError(f"{labels} holds no labels of the recording {name}; label it, or name the folder like it")
    return drives[0]


def _check_lenses(frame: Path | None, camera_set: CameraSet) -> None:
    """Pixels of lidar points in labels are those of the pictures that were labelled."""
    facts = None if frame is None else read_facts(frame / FRAME)
    if facts is None:
        return
    labelled = {str(camera.get("name")): camera_model(camera).kind for camera in facts.get("cameras", ())}
    for name, model in zip(camera_set.names, camera_set.rig.models, strict=True):
        if labelled.get(name, model.kind) != model.kind:
            raise InputError(
                f"{frame}: camera {name} was labelled as {labelled[name]}, here its pictures are {model.kind}; give "
                "`flashocc label --fisheye` and data.fisheye the same value"
            )


def _arrays(frame: Path | None) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Arrays of the files of a labelled key frame; nothing without."""
    result: dict[str, dict[str, npt.NDArray[Any]]] = {LABELS: {}, DEPTH: {}}
    for name, arrays in result.items():
        path = None if frame is None else frame / name
        if path is None or not path.is_file():
            continue
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays.update({key: stored[key] for key in stored.files})
        except NPZ_DAMAGE as error:
            raise InputError(f"{path} is damaged: {' '.join(str(error).split())}; label the drive again") from error
    return result


def _voxels(truth: Truth) -> dict[str, npt.NDArray[Any]]:
    """Truth is known everywhere, whatever the lidar saw."""
    voxels = {
        "semantics": truth.semantics,
        "mask_lidar": np.ones_like(truth.mask_camera),
        "mask_camera": truth.mask_camera,
    }
    if truth.instances is not None:
        voxels["instances"] = objects_of(truth.instances, truth.classes)
    return voxels
