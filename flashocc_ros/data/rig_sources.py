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

"""A rig out of what people have: a recording, a calibration of KITTI or nuScenes, or nothing but pictures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flashocc_ros.bags import BagReader, Frames, read_sets
from flashocc_ros.bags.camera_sets import odom_frame
from flashocc_ros.bags.cameras import find_cameras
from flashocc_ros.bags.files import is_recording
from flashocc_ros.cameras.decode import is_rectified_topic
from flashocc_ros.cameras.headers import read_header
from flashocc_ros.cameras.images import ImageDecoder
from flashocc_ros.cameras.mounting import named_direction_deg
from flashocc_ros.cameras.rectify import Lens, Rectifier
from flashocc_ros.cameras.transports import MESSAGE_TYPES
from flashocc_ros.data.folder_files import SUFFIXES, has_stamps, pictures_in, videos_in
from flashocc_ros.data.kitti import is_kitti, kitti_rig
from flashocc_ros.data.nuscenes_rows import Row, Tables
from flashocc_ros.data.nuscenes_tables import CAMERAS, intrinsics, named_rows, pose
from flashocc_ros.data.rig_files import Rig, RigCamera
from flashocc_ros.data.video_file import VIDEO_SUFFIXES, VideoFile
from flashocc_ros.errors import ConfigError, ImageError, InputError, did_you_mean
from flashocc_ros.ranges import MAX_CAMERAS
from flashocc_ros.regular_file import regular_size
from flashocc_ros.remote import Location, only_local

logger = logging.getLogger(__name__)

NUSCENES_SIZE = (1600, 900)
"""Width and height of every camera picture of nuScenes; its table of calibrations does not tell."""
MAX_HEADER_BYTES = 1 << 20


def read_rig(path: Location, cameras: Sequence[str] = (), frames: Frames = Frames()) -> Rig:  # noqa: B008 - frozen
    """What ``path`` tells of its cameras.

    Args:
        path: a recording, a calibration file of KITTI, the ``calibrated_sensor.json`` of nuScenes (or the folder of
            its tables), or a folder of pictures.
        cameras: only these, in this order; all when empty.
        frames: how a recording names its frames.

    Raises:
        ConfigError: it is none of these, or a camera is not there.
        BagError, InputError: it cannot be used.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a recording, a calibration or a folder of pictures")
    if is_recording(path):
        return _from_recording(path, cameras, frames)
    path = only_local(path, "what is no recording")
    if path.is_dir() and (path / "calibrated_sensor.json").is_file():
        path = path / "calibrated_sensor.json"
    if path.is_dir():
        return _chosen(_from_pictures(path), cameras, path)
    if path.name == "calibrated_sensor.json":
        return _chosen(_from_nuscenes(path), cameras, path)
    if is_kitti(path):
        return _chosen(kitti_rig(path, cameras), cameras, path)
    raise ConfigError(
        f"{path} is no recording, no calibration of KITTI (lines such as P2: or P_rect_02:), no calibrated_sensor.json "
        "and no folder of pictures; give one of these"
    )


def _chosen(rig: Rig, names: Sequence[str], path: Path) -> Rig:
    known = {camera.name: camera for camera in rig.cameras}
    if missing := [name for name in names if name not in known]:
        near = did_you_mean(missing, known)
        raise ConfigError(f"{path} holds no camera {', '.join(missing)}; cameras there: {', '.join(known)}{near}")
    if len(set(names)) != len(names):
        raise ConfigError(f"--cameras must be distinct names, got {', '.join(names)}")
    found = tuple(known[name] for name in names) or rig.cameras
    if len(found) > MAX_CAMERAS:
        raise ConfigError(
            f"{path} holds {len(found)} cameras, a rig has at most {MAX_CAMERAS}; choose some of them with --cameras: "
            f"{', '.join(known)}"
        )
    return replace(rig, cameras=found)


def _from_recording(path: Location, names: Sequence[str], frames: Frames) -> Rig:
    """Of the first set that the node would use, so of what it would see."""
    with BagReader(path) as bag:
        topics = find_cameras(bag, names or None, frames.tf_prefix)
        types = {name: bag.topics[pair.image].type for name, pair in topics.items()}
        odom = odom_frame(bag, frames)
    first = next(iter(read_sets(path, names or None, decode=False, frames=frames)))
    transports = {kind: transport for transport, kind in MESSAGE_TYPES.items()}
    found = []
    for index, (name, pair) in enumerate(topics.items()):
        rectifier = Rectifier(name, is_rectified_topic(pair.image))
        rectifier.update(first.infos[index])
        height, width = ImageDecoder(name).size(first.images[index])
        placed = first.poses.base_from_camera[index]
        lens = rectifier.lens((height, width))
        found.append(
            RigCamera(
                name,
                lens,
                placed,
                width,
                height,
                image_topic=pair.image,
                info_topic=pair.info,
                transport=transports[types[name]],
            )
        )
    prefix = frames.tf_prefix.strip("/")
    remarks = (f"Remap the node's transforms: /tf to /{prefix}/tf and /tf_static likewise.",) if prefix else ()
    return Rig(tuple(found), f"the recording {path.resolve().name}", remarks, frames.base, odom)


def _from_nuscenes(path: Path) -> Rig:
    tables = Tables(path.parent)
    sensors = tables.by_token("sensor")
    rows: dict[str, list[Row]] = {name: [] for name in CAMERAS}
    for row in tables.rows("calibrated_sensor"):
        channel = tables.follow("calibrated_sensor", row, "sensor_token", "sensor", sensors)["channel"]
        if channel in rows:
            rows[channel].append(row)
    rows = {name: found for name, found in rows.items() if found}
    if not rows:
        raise InputError(f"{path} holds no camera ({', '.join(CAMERAS)}); give the table of nuScenes")
    several = max(map(len, rows.values())) > 1
    together = _of_one_vehicle(tables, rows) if several else {name: found[0] for name, found in rows.items()}
    width, height = NUSCENES_SIZE
    found = []
    with named_rows(path):
        for name, row in together.items():
            found.append(RigCamera(name, Lens(intrinsics(row).tolist()), pose(row), width, height))
    remarks = ("Of several vehicles and days in the table these are the cameras of the first one.",) if several else ()
    return Rig(tuple(found), f"{path.parent.name}/{path.name} of nuScenes", remarks)


def _of_one_vehicle(tables: Tables, rows: dict[str, list[Row]]) -> dict[str, Row]:
    """The calibrations that took the first complete sample; the table alone does not tell which belong together."""
    if not tables.path("sample_data").is_file():
        raise InputError(
            f"{tables.path('calibrated_sensor')} holds several calibrations of a camera, and no sample_data.json "
            "beside it tells which belong together; add that table"
        )
    calibrations = {row["token"]: (name, row) for name, found in rows.items() for row in found}
    samples: dict[str, dict[str, Row]] = {}
    for row in tables.rows("sample_data"):
        if row["calibrated_sensor_token"] in calibrations:
            name, calibration = calibrations[row["calibrated_sensor_token"]]
            there = samples.setdefault(row["sample_token"], {})
            there[name] = calibration
            if len(there) == len(rows):
                return {name: there[name] for name in rows}
    raise InputError(f"{tables.path('sample_data')} holds no sample with a picture of {', '.join(rows)}; complete it")


def _from_pictures(path: Path) -> Rig:
    """A folder of pictures or a video for each camera, else one picture for each."""
    sequences = {folder.name: pictures for folder in sorted(path.iterdir()) if (pictures := pictures_in(folder))}
    sizes = {name: _size(pictures[0]) for name, pictures in sequences.items()}
    sizes |= {name: VideoFile(video).size for name, video in videos_in(path).items()}
    alone = {} if sizes else {file.stem: file for file in path.glob("*") if file.suffix.lower() in SUFFIXES}
    sizes |= {name: _size(file) for name, file in alone.items()}
    if not sizes:
        raise ConfigError(
            f"{path} holds no pictures ({', '.join(SUFFIXES)}), no folders of them and no videos "
            f"({', '.join(VIDEO_SUFFIXES)}); put the pictures of each camera into a folder named after it"
        )
    found = []
    for name in sorted(sizes, key=_seat):
        height, width = sizes[name]
        found.append(RigCamera(name, None, None, width, height, image=alone[name].name if alone else ""))
    told = all(has_stamps(path / name) for name in sequences)
    return Rig(tuple(found), f"the pictures in {path.resolve().name}", has_stamps=told)


def _seat(name: str) -> tuple[bool, float, str]:
    """Front before back, in each from left to right, as far as names tell."""
    yaw_deg = named_direction_deg(name)
    if yaw_deg is None:
        return True, 360.0, name
    back = abs(yaw_deg) > 91
    return back, yaw_deg % 360 if back else -yaw_deg, name


def _size(path: Path) -> tuple[int, int]:
    """(H, W) of a picture; its header may stand behind a preview of many kilobytes."""
    regular_size(path)
    with path.open("rb") as file:
        head = file.read(MAX_HEADER_BYTES)
    try:
        header = read_header(head)
    except ImageError as error:
        raise InputError(f"{path}: {error}") from error
    return header.height, header.width
