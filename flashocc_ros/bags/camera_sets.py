"""Complete camera sets of a recording, for prediction, evaluation and calibration without ROS."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags.poses import PoseLog
from flashocc_ros.bags.reader import BagReader
from flashocc_ros.errors import BagError, InputError
from flashocc_ros.structures import CameraRig

_LOG = logging.getLogger(__name__)

IMAGE_TYPES = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
NUSCENES_ORDER = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")
BASE_FRAME = "base_link"


class CameraSet(NamedTuple):
    """One image of every camera, taken by the same trigger.

    Attributes:
        names: the N cameras.
        images: N uint8 (H, W, 3) RGB, free of lens distortion; with ``decode=False`` the image messages.
        rig: intrinsics of these images and mounting.
        odom_from_base: (N, 4, 4) float64, vehicle pose at each image's stamp; identities without odometry.
        stamp_ns: key stamp, that of the first camera, nanoseconds.
        stamps_ns: (N,) int64, stamp of each image.
    """

    names: tuple[str, ...]
    images: list[Any]
    rig: CameraRig
    odom_from_base: npt.NDArray[np.float64]
    stamp_ns: int
    stamps_ns: npt.NDArray[np.int64]


class CameraTopics(NamedTuple):
    """The two topics of one camera."""

    image: str
    info: str


def camera_topics(topics: dict[str, Any]) -> dict[str, CameraTopics]:
    """Find cameras among recorded topics: an image topic and a ``camera_info`` in the same namespace.

    Args:
        topics: objects with a ``type`` by topic name, as ``BagReader.topics``.

    Returns:
        Topics by camera name, the namespace without slash; nuScenes cameras in their usual order, others sorted. A
        compressed topic is preferred to a raw one.
    """
    found: dict[str, CameraTopics] = {}
    for image_type in IMAGE_TYPES:
        for name in sorted(t for t, topic in topics.items() if topic.type == image_type):
            namespace = name
            while "/" in namespace:
                namespace = namespace.rpartition("/")[0]
                if f"{namespace}/camera_info" in topics:
                    found.setdefault(namespace.strip("/"), CameraTopics(name, f"{namespace}/camera_info"))
                    break
    order = {name: rank for rank, name in enumerate(NUSCENES_ORDER)}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def read_sets(
    path: str | Path, cameras: Sequence[str] | None = None, *, decode: bool = True, base_frame: str = BASE_FRAME
) -> Iterator[CameraSet]:
    """Every complete camera set of a recording in time order; incomplete and damaged ones are left out with a warning.

    Args:
        path: rosbag2 folder or file.
        cameras: camera names in the wanted order; None means all that ``camera_topics`` finds. The first is the anchor
            that gives the key stamp.
        decode: False leaves images as recorded messages (cheap; not rectified).
        base_frame: the frame of the rig and of the poses.

    Raises:
        BagError: the recording is unreadable, a camera, its calibration or its static transform is missing, or it
            holds no complete set.
        InputError: a calibration cannot be used.
    """
    with BagReader(path) as bag:
        known = camera_topics(bag.topics)
        names = tuple(cameras) if cameras is not None else tuple(known)
        missing = [name for name in names if name not in known]
        if missing or not names:
            raise BagError(
                f"{path} holds no camera {', '.join(missing) or 'at all'}; cameras there: {', '.join(known) or 'none'}"
            )
        topics = [known[name] for name in names]
        bag.require([t for pair in topics for t in pair])
        infos, poses, stamps = _scan(bag, topics)
        rig = _rig(bag, names, infos, poses, base_frame)
        groups = match_stamps([stamps[t.image] for t in topics])
        odom = poses.moving_parent(base_frame)
        odom_from_base, usable = _base_poses(poses, odom, base_frame, groups)
        skipped = len(stamps[topics[0].image]) - int(usable.sum())
        if skipped:
            _LOG.warning(
                "%s: %d of %d sets are incomplete or outside the recorded odometry and are left out",
                path,
                skipped,
                len(stamps[topics[0].image]),
            )
        if not usable.any():
            raise BagError(f"{path} holds no complete set of {len(names)} cameras with odometry at their stamps")
        prepare = _Preparation(names, topics, list(infos.values())) if decode else None
        wanted = groups[usable]
        images = _images_by_set(bag, topics, wanted)
        for index, messages in images:
            try:
                pixels, set_rig = prepare(messages, rig) if prepare is not None else (messages, rig)
            except InputError as error:
                _LOG.warning("%s: the set at %d ns is left out: %s", path, wanted[index, 0], error)
                continue
            yield CameraSet(names, pixels, set_rig, odom_from_base[usable][index], int(wanted[index, 0]), wanted[index])


def match_stamps(stamps_ns: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Group images by trigger: each camera fires at its own constant offset from the first one.

    Args:
        stamps_ns: per camera, sorted stamps in nanoseconds.

    Returns:
        (S, N) int64 stamps of the complete sets. An image more than a quarter period off its camera's usual offset
        belongs to no set, and none is used twice.
    """
    anchor = np.asarray(stamps_ns[0], np.int64)
    period_ns = int(np.median(np.diff(anchor))) if len(anchor) > 1 else 1_000_000_000
    columns, complete = [anchor], np.ones(len(anchor), bool)
    for stamps in stamps_ns[1:]:
        stamps = np.asarray(stamps, np.int64)
        nearest = stamps[_nearest(stamps, anchor)]
        offset = int(np.median(nearest - anchor))
        nearest = stamps[_nearest(stamps, anchor + offset)]
        complete &= np.abs(nearest - anchor - offset) <= period_ns // 4
        complete &= np.append(True, np.diff(nearest) > 0) | ~np.append(False, complete[:-1])
        columns.append(nearest)
    return np.stack(columns, 1)[complete]


def _nearest(sorted_values: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    right = np.clip(np.searchsorted(sorted_values, targets), 1, max(len(sorted_values) - 1, 1))
    right = np.minimum(right, len(sorted_values) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(targets - sorted_values[left] <= sorted_values[right] - targets, left, right)


def _scan(
    bag: BagReader, topics: Sequence[CameraTopics]
) -> tuple[dict[str, Any], PoseLog, dict[str, npt.NDArray[np.int64]]]:
    """First pass: calibration, transforms and image stamps, without keeping an image."""
    infos: dict[str, Any] = {}
    poses = PoseLog()
    stamps: dict[str, list[int]] = {t.image: [] for t in topics}
    info_topics = {t.info for t in topics}
    wanted = [t for t in ("/tf", "/tf_static") if t in bag.topics and bag.topics[t].count]
    for topic, _, cdr in bag.messages([*stamps, *info_topics, *wanted]):
        if topic.name in stamps:
            stamps[topic.name].append(header_stamp_ns(cdr))
        elif topic.name in info_topics:
            if topic.name not in infos:
                infos[topic.name] = bag.deserialize(cdr, topic.type)
        else:
            poses.add(bag.deserialize(cdr, topic.type), static=topic.name == "/tf_static")
    return {t.image: infos[t.info] for t in topics}, poses, {t: np.unique(s) for t, s in stamps.items()}


def header_stamp_ns(cdr: bytes) -> int:
    """Stamp in nanoseconds of a serialised message that begins with a std_msgs/Header."""
    order = "little" if cdr[1] & 1 else "big"
    seconds = int.from_bytes(cdr[4:8], order, signed=True)  # type: ignore[arg-type]
    return seconds * 1_000_000_000 + int.from_bytes(cdr[8:12], order)  # type: ignore[arg-type]


def _rig(bag: BagReader, names: tuple[str, ...], infos: dict[str, Any], poses: PoseLog, base_frame: str) -> CameraRig:
    intrinsics, mounting = [], []
    for name, info in zip(names, infos.values(), strict=True):
        if not info.header.frame_id:
            raise BagError(f"{bag.path}: the camera_info of {name} has no frame_id, so its mounting is unknown")
        intrinsics.append(np.asarray(info.k, np.float64).reshape(3, 3))
        mounting.append(poses.static(base_frame, info.header.frame_id.lstrip("/")))
    return CameraRig(names, np.stack(intrinsics), np.stack(mounting))


def _base_poses(
    poses: PoseLog, odom: str | None, base_frame: str, groups: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    count, cameras = groups.shape
    if odom is None:
        return np.tile(np.eye(4), (count, cameras, 1, 1)), np.ones(count, bool)
    matrices, known = poses.at(odom, base_frame, groups.ravel())
    return matrices.reshape(count, cameras, 4, 4), np.asarray(known.reshape(count, cameras).all(1))


def _images_by_set(
    bag: BagReader, topics: Sequence[CameraTopics], wanted: npt.NDArray[np.int64]
) -> Iterator[tuple[int, list[Any]]]:
    """Second pass: the image messages of each wanted set; holds at most the few sets that are still incomplete."""
    column = {t.image: k for k, t in enumerate(topics)}
    row = [{int(s): k for k, s in enumerate(wanted[:, c])} for c in range(len(topics))]
    open_sets: dict[int, list[Any]] = {}
    done: dict[int, list[Any]] = {}
    following = 0
    for topic, _, cdr in bag.messages(list(column)):
        camera = column[topic.name]
        index = row[camera].get(header_stamp_ns(cdr))
        if index is None or index < following or index in done:
            continue
        messages = open_sets.setdefault(index, [None] * len(topics))
        messages[camera] = bag.deserialize(cdr, topic.type)
        if all(m is not None for m in messages):
            done[index] = open_sets.pop(index)
        while following in done:
            yield following, done.pop(following)
            following += 1


class _Preparation:
    """Decodes and undistorts the messages of a set, as the node does."""

    def __init__(self, names: Sequence[str], topics: Sequence[CameraTopics], infos: Sequence[Any]) -> None:
        from flashocc_ros.ros.images import ImageDecoder, Rectifier

        self._decoders = [ImageDecoder(name) for name in names]
        # by convention image_rect* is free of distortion already, whatever the raw image's D says
        self._rectifiers = [Rectifier(n, rectified="image_rect" in t.image) for n, t in zip(names, topics, strict=True)]
        for rectifier, info in zip(self._rectifiers, infos, strict=True):
            rectifier.update(info)

    def __call__(self, messages: list[Any], rig: CameraRig) -> tuple[list[npt.NDArray[np.uint8]], CameraRig]:
        images, intrinsics = [], []
        for decoder, rectifier, message in zip(self._decoders, self._rectifiers, messages, strict=True):
            image, matrix = rectifier(decoder.decode(message))
            images.append(image)
            intrinsics.append(matrix)
        return images, CameraRig(rig.names, np.stack(intrinsics), rig.base_from_camera)
