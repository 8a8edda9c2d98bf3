"""From a complete camera set to a result: decode, rectify, predict. Runs in the worker thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CameraInfo

from flashocc_ros.cameras.camera_set import Picture
from flashocc_ros.cameras.images import ImageDecoder, Rectifier, camera_matrix, compressed_data, is_jpeg
from flashocc_ros.cameras.jpeg import jpeg_size
from flashocc_ros.cameras.sync import ImageSet
from flashocc_ros.errors import FlashOccError, ImageError, InputError
from flashocc_ros.predictor import Predictor
from flashocc_ros.ros.parameters import NodeParameters
from flashocc_ros.ros.transforms import Poses
from flashocc_ros.structures import CameraRig, Occupancy


class SetDropped(FlashOccError):
    """A set that cannot be used; ``reason`` names the counter ``sets_dropped_<reason>``."""

    def __init__(self, reason: str, message: str, camera: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.camera = camera


@dataclass(frozen=True)
class CameraSet:
    """A complete set with everything inference needs; N cameras in the order of ``cameras.names``.

    Attributes:
        images: the messages and their stamps.
        infos: calibration of each camera.
        poses: extrinsics and vehicle poses.
        epoch: changes when the past no longer belongs to this set.
        completed_s: ``time.perf_counter()`` when the last image came.
    """

    images: ImageSet[Any]
    infos: tuple[CameraInfo, ...]
    poses: Poses
    epoch: int
    completed_s: float


class Inference:
    """The network of a configured node with its image decoders.

    Args:
        parameters: of the node.
        say: logs one sentence; called once per finding a user should know.

    Raises:
        FlashOccError: variant, checkpoint or engine cannot be used.

    The engine is fully loaded when this returns: what is wrong with it, an int8 that was never built for one, is said
    when the node is configured and not at its first picture.
    """

    def __init__(self, parameters: NodeParameters, say: Callable[[str], object]) -> None:
        panoptic = parameters.panoptic
        self.names = parameters.cameras.names
        self.predictor = Predictor(
            parameters.variant,
            parameters.checkpoint or None,
            parameters.engine,
            parameters.precision,
            cache_dir=parameters.cache_dir or None,
            memory_interval_s=parameters.memory.interval_s,
            max_gap_s=parameters.memory.max_gap_s,
            max_speed_mps=parameters.memory.max_speed_mps,
            panoptic_reference_mode=panoptic.reference_mode,
            panoptic_max_distance_m=panoptic.max_distance_m.by_class_name(),
            track_max_age_s=panoptic.track_max_age_s,
        )
        try:
            self.predictor.prepare(len(self.names))
        except Exception:
            self.predictor.close()
            raise
        self._decoders = [ImageDecoder(name) for name in self.names]
        self._rectifiers = [Rectifier(name, parameters.cameras.rectified, say) for name in self.names]
        self._epoch = 0

    def run(self, camera_set: CameraSet) -> Occupancy:
        """Result of one set; ``timings`` gains ``images``.

        Raises:
            SetDropped: an image or a calibration cannot be used; nothing is remembered of the set.
            Exception: whatever an engine raises.
        """
        if camera_set.epoch != self._epoch:
            self._epoch = camera_set.epoch
            self.predictor.reset()
        started = time.perf_counter()
        images, intrinsics = self._images(camera_set)
        images_ms = (time.perf_counter() - started) * 1e3
        try:
            rig = CameraRig(self.names, intrinsics, camera_set.poses.base_from_camera)
        except InputError as error:
            raise SetDropped("calibration", str(error)) from error
        try:
            occupancy = self.predictor(
                images,
                rig,
                camera_set.poses.odom_from_base,
                camera_set.images.key_stamp_ns,
                key_pose=camera_set.poses.key_pose,
            )
        except ImageError as error:
            raise SetDropped("image", str(error)) from error
        except InputError as error:
            raise SetDropped("calibration", str(error)) from error
        return replace(occupancy, timings=occupancy.timings | {"images": images_ms})

    def _images(self, camera_set: CameraSet) -> tuple[list[Picture], npt.NDArray[np.float64]]:
        """N rectified images and (N, 3, 3) intrinsics; a masked camera becomes black pixels.

        JPEG files stay as they are where the engine decodes them and there is nothing to rectify.
        """
        images: list[Picture] = []
        intrinsics = np.empty((len(self.names), 3, 3))
        for index, message in enumerate(camera_set.images.items):
            rectifier, name = self._rectifiers[index], self.names[index]
            try:
                rectifier.update(camera_set.infos[index])
            except InputError as error:
                raise SetDropped("calibration", str(error), name) from error
            if message is None:
                info = camera_set.infos[index]
                images.append(np.zeros((info.height, info.width, 3), np.uint8))
                intrinsics[index] = camera_matrix(info, (info.height, info.width), name)
                continue
            if self.predictor.backend.decodes_jpeg and is_jpeg(message):
                file = bytes(compressed_data(message))
                try:
                    intrinsics[index], maps = rectifier.prepare(jpeg_size(file))
                except InputError as error:
                    raise SetDropped("calibration", str(error), name) from error
                if maps is None:
                    images.append(file)
                    continue
            try:
                image = self._decoders[index].decode(message)
            except InputError as error:
                raise SetDropped("image", str(error), name) from error
            try:
                image, intrinsics[index] = rectifier(image)
            except InputError as error:
                raise SetDropped("calibration", str(error), name) from error
            images.append(image)
        return images, intrinsics
