"""From a posed set of messages to a `CameraSet`: decoded, free of distortion, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet, Picture
from flashocc_ros.cameras.images import ImageDecoder, compressed_data, is_jpeg
from flashocc_ros.cameras.jpeg import jpeg_size
from flashocc_ros.cameras.rectify import Rectifier, camera_matrix
from flashocc_ros.cameras.road import PosedSet
from flashocc_ros.errors import FlashOccError, ImageError, InputError
from flashocc_ros.structures import CameraRig


class SetDropped(FlashOccError):
    """A set that cannot be used.

    Attributes:
        reason: ``image`` (it cannot be decoded) or ``calibration`` (it does not fit).
        camera: whose fault it is, None when it is that of the set.
    """

    def __init__(self, reason: str, message: str, camera: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.camera = camera


class SetDecoder:
    """Decoders and calibrations of N cameras.

    Args:
        names: the cameras.
        rectified: whether the images of each are free of distortion whatever D says, see `is_rectified_topic`.
        keep_jpeg: leave JPEG files as they are where there is nothing to rectify, for an engine that decodes them.
        say: called once per finding a user should know.
    """

    def __init__(
        self,
        names: Sequence[str],
        rectified: Sequence[bool],
        *,
        keep_jpeg: bool = False,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self.names, self.keep_jpeg = tuple(names), keep_jpeg
        self._decoders = [ImageDecoder(name) for name in self.names]
        self._rectifiers = [Rectifier(name, free, say) for name, free in zip(self.names, rectified, strict=True)]

    def __call__(self, posed: PosedSet) -> CameraSet:
        """N pictures with their rig; a masked camera becomes black pixels.

        Raises:
            SetDropped: an image or a calibration cannot be used.
        """
        images: list[Picture] = []
        intrinsics = np.empty((len(self.names), 3, 3))
        for index in range(len(self.names)):
            picture, intrinsics[index] = self._picture(posed, index)
            images.append(picture)
        try:
            rig = CameraRig(self.names, intrinsics, posed.poses.base_from_camera)
            return CameraSet(
                images,
                rig,
                posed.poses.odom_from_base,
                posed.stamp_ns,
                posed.stamps_ns,
                posed.poses.key_pose,
                posed.epoch,
            )
        except InputError as error:
            raise SetDropped("calibration", str(error)) from error

    def _picture(self, posed: PosedSet, index: int) -> tuple[Picture, npt.NDArray[np.float64]]:
        name, message, info = self.names[index], posed.images[index], posed.infos[index]
        rectifier = self._rectifiers[index]
        stage = "calibration"
        try:
            rectifier.update(info)
            if message is None:
                size = (info.height, info.width)
                return np.zeros((*size, 3), np.uint8), camera_matrix(info, size, name)
            if self.keep_jpeg and is_jpeg(message):
                file = bytes(compressed_data(message))
                matrix, maps = rectifier.prepare(jpeg_size(file))
                if maps is None:
                    return file, matrix
            stage = "image"
            image = self._decoders[index].decode(message)
            stage = "calibration"
            return rectifier(image)
        except ImageError as error:
            raise SetDropped("image", str(error), name) from error
        except InputError as error:
            raise SetDropped(stage, str(error), name) from error


def is_rectified_topic(topic: str) -> bool:
    """By convention ``image_rect*`` is free of distortion already, while its CameraInfo still tells that of the raw."""
    return any(part.startswith("image_rect") for part in topic.split("/"))
