"""Complete camera sets of a recording, for prediction, evaluation and calibration without ROS."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags.poses import PoseLog
from flashocc_ros.bags.reader import BagReader
from flashocc_ros.bags.synchronise import synchronised, why_no_set
from flashocc_ros.cameras.sync import AnchorSynchronizer, ImageSet
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
    """The camera sets that the node with its default ``sync`` parameters makes of a recording, in its order.

    Sets with a damaged image, or without odometry at a stamp, are left out with a warning.

    Args:
        path: rosbag2 folder or file.
        cameras: camera names in the wanted order; None means all that ``camera_topics`` finds. The first is the anchor
            that gives the key stamp.
        decode: False leaves images as recorded messages (cheap; not rectified).
        base_frame: the frame of the rig and of the poses.

    Raises:
        BagError: the recording is unreadable, a camera, its calibration or its static transform is missing, or it
            holds no complete set.
        ConfigError: a camera is named twice.
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
        sync: AnchorSynchronizer[bytes] = AnchorSynchronizer(names)
        topics = [known[name] for name in names]
        bag.require([t for pair in topics for t in pair])
        infos, poses = _scan(bag, topics)
        rig = _rig(bag, names, infos, poses, base_frame)
        odom = poses.moving_parent(base_frame)
        prepare = _Preparation(names, topics, list(infos.values())) if decode else None
        complete = usable = 0
        for images in synchronised(sync, _images(bag, names, topics)):
            complete += 1
            stamps_ns = np.array(images.stamps_ns, np.int64)
            odom_from_base = _base_poses(poses, odom, base_frame, stamps_ns)
            if odom_from_base is None:
                continue
            usable += 1
            pictures, set_rig = _messages(bag, topics, images), rig
            if prepare is not None:
                try:
                    pictures, set_rig = prepare(pictures, rig)
                except InputError as error:
                    _LOG.warning("%s: the set at %d ns is left out: %s", path, images.key_stamp_ns, error)
                    continue
            yield CameraSet(names, pictures, set_rig, odom_from_base, images.key_stamp_ns, stamps_ns)
        if not complete:
            raise BagError(f"{path} holds no complete set of {len(names)} cameras: {why_no_set(sync)}")
        if not usable:
            raise BagError(
                f"{path} has no odometry at the stamps of its {complete} complete sets; record both together"
            )
        triggers = sync.counters[sync.anchor].received
        if triggers > usable:
            _LOG.warning(
                "%s: %d of %d triggers are left out: %d gave no complete set, %d lie outside the recorded odometry",
                path,
                triggers - usable,
                triggers,
                triggers - complete,
                complete - usable,
            )


def _messages(bag: BagReader, topics: Sequence[CameraTopics], images: ImageSet[bytes]) -> list[Any]:
    return [
        bag.deserialize(cdr, bag.topics[pair.image].type)
        for cdr, pair in zip(images.items, topics, strict=True)
        if cdr is not None
    ]


def _images(
    bag: BagReader, names: Sequence[str], topics: Sequence[CameraTopics]
) -> Iterator[tuple[str, int, bytes, int]]:
    """Camera, stamp, serialised message and record time of every image, as ``synchronised`` takes them."""
    cameras = {pair.image: name for name, pair in zip(names, topics, strict=True)}
    for topic, recorded_ns, cdr in bag.messages(list(cameras)):
        yield cameras[topic.name], header_stamp_ns(cdr), cdr, recorded_ns


def _scan(bag: BagReader, topics: Sequence[CameraTopics]) -> tuple[dict[str, Any], PoseLog]:
    """First pass: calibration and transforms, which may have been recorded after the images that need them."""
    infos: dict[str, Any] = {}
    poses = PoseLog()
    info_topics = {t.info for t in topics}
    wanted = [t for t in ("/tf", "/tf_static") if t in bag.topics and bag.topics[t].count]
    for topic, _, cdr in bag.messages([*info_topics, *wanted]):
        if topic.name not in info_topics:
            poses.add(bag.deserialize(cdr, topic.type), static=topic.name == "/tf_static")
        elif topic.name not in infos:
            infos[topic.name] = bag.deserialize(cdr, topic.type)
    return {t.image: infos[t.info] for t in topics}, poses


def header_stamp_ns(cdr: bytes) -> int:
    """Stamp in nanoseconds of a serialised message that begins with a std_msgs/Header.

    Raises:
        BagError: it is too short to hold a stamp.
    """
    if len(cdr) < 12:
        raise BagError(f"a message of {len(cdr)} bytes is too short for its header (12 or more); record it again")
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def _rig(bag: BagReader, names: tuple[str, ...], infos: dict[str, Any], poses: PoseLog, base_frame: str) -> CameraRig:
    intrinsics, mounting = [], []
    for name, info in zip(names, infos.values(), strict=True):
        if not info.header.frame_id:
            raise BagError(f"{bag.path}: the camera_info of {name} has no frame_id, so its mounting is unknown")
        intrinsics.append(np.asarray(info.k, np.float64).reshape(3, 3))
        mounting.append(poses.static(base_frame, info.header.frame_id.lstrip("/")))
    return CameraRig(names, np.stack(intrinsics), np.stack(mounting))


def _base_poses(
    poses: PoseLog, odom: str | None, base_frame: str, stamps_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64] | None:
    """odom_from_base at each stamp, (N, 4, 4); identities without odometry, None where a stamp lies outside it."""
    if odom is None:
        return np.tile(np.eye(4), (len(stamps_ns), 1, 1))
    matrices, known = poses.at(odom, base_frame, stamps_ns)
    return matrices if known.all() else None


class _Preparation:
    """Decodes and undistorts the messages of a set, as the node does."""

    def __init__(self, names: Sequence[str], topics: Sequence[CameraTopics], infos: Sequence[Any]) -> None:
        from flashocc_ros.cameras.images import ImageDecoder, Rectifier

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
