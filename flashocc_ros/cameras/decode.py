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

"""From a posed set of messages to a `CameraSet`: decoded, free of distortion, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet, Picture, masked_picture
from flashocc_ros.cameras.findings import CameraFindings, Say
from flashocc_ros.cameras.images import ImageDecoder, plain_jpeg
from flashocc_ros.cameras.rectify import Fisheye, Rectifier
from flashocc_ros.cameras.road import PosedSet
from flashocc_ros.errors import FlashOccError, InputError
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
        bit_depth: bits that the sensors use of 16 bit images, 8 to 16; 0 means all of them.
        keep_jpeg: leave JPEG files as they are where there is nothing to rectify, for an engine that decodes them.
        say: called once per finding a user should know, whatever the number of cameras it holds for.
        fisheye: what becomes of wide lenses, see `rectify.Rectifier`.
    """

    def __init__(
        self,
        names: Sequence[str],
        rectified: Sequence[bool],
        bit_depth: int = 0,
        *,
        keep_jpeg: bool = False,
        say: Say | None = None,
        fisheye: Fisheye = "rectify",
    ) -> None:
        self.names, self.keep_jpeg = tuple(names), keep_jpeg
        self._findings = CameraFindings(say)
        self._decoders = [ImageDecoder(name, bit_depth, self._findings.of(name)) for name in self.names]
        self._rectifiers = [
            Rectifier(name, free, self._findings.of(name), fisheye)
            for name, free in zip(self.names, rectified, strict=True)
        ]

    def __call__(self, posed: PosedSet) -> CameraSet:
        """N pictures with their rig; a masked camera becomes black pixels.

        Raises:
            SetDropped: an image or a calibration cannot be used.
        """
        images: list[Picture] = []
        intrinsics = np.empty((len(self.names), 3, 3))
        try:
            for index in range(len(self.names)):
                picture, intrinsics[index] = self._picture(posed, index)
                images.append(picture)
        finally:
            self._findings.tell()
        try:
            models = [rectifier.model for rectifier in self._rectifiers]
            rig = CameraRig(self.names, intrinsics, posed.poses.base_from_camera, models)
            return CameraSet(
                images,
                rig,
                posed.poses.odom_from_base,
                posed.stamp_ns,
                posed.stamps_ns,
                posed.poses.key_pose,
                posed.epoch,
                posed.pose_epoch,
            )
        except InputError as error:
            raise SetDropped("calibration", str(error)) from error

    def _picture(self, posed: PosedSet, index: int) -> tuple[Picture, npt.NDArray[np.float64]]:
        """What does not fit to its calibration is refused by its header, before it is decoded."""
        name, message = self.names[index], posed.images[index]
        decoder, rectifier = self._decoders[index], self._rectifiers[index]
        stage = "calibration"
        try:
            rectifier.update(posed.infos[index])
            if message is None:
                size = rectifier.image_size
                return masked_picture(size), rectifier.prepare(size)[0]
            stage = "image"
            size = decoder.size(message)
            file = plain_jpeg(message) if self.keep_jpeg else None
            stage = "calibration"
            matrix, maps = rectifier.prepare(size)
            if file is not None and maps is None:
                return file, matrix
            stage = "image"
            image = decoder.decode(message)
            stage = "calibration"
            return rectifier(image)
        except InputError as error:
            raise SetDropped(stage, str(error), name) from error


def is_rectified_topic(topic: str) -> bool:
    """By convention ``image_rect*`` is free of distortion already, while its CameraInfo still tells that of the raw."""
    return any(part.startswith("image_rect") for part in topic.split("/"))
