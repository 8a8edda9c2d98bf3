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

"""Images of a set: what a masked camera shows, and what is refused before it costs anything."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import simplejpeg
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest

from flashocc_ros.camera_model import CameraModel
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.decode import SetDecoder, SetDropped, is_rectified_topic
from flashocc_ros.cameras.poses import Poses
from flashocc_ros.cameras.road import PosedSet

pytestmark = pytest.mark.ros

HEIGHT, WIDTH = 90, 160


def decoded(message: Any, calibration: CameraInfo, keep_jpeg: bool = False) -> CameraSet:
    poses = Poses(np.eye(4)[None], np.eye(4)[None], np.eye(4))
    posed = PosedSet(("front",), (message,), (calibration,), poses, 10**18, np.array([10**18]), 0, 0)
    return SetDecoder(("front",), (False,), 12, keep_jpeg=keep_jpeg, say=lambda sentence: None)(posed)


def info(height: int = HEIGHT, width: int = WIDTH, **more: Any) -> CameraInfo:
    k = [120.0, 0.0, WIDTH / 2, 0.0, 120.0, HEIGHT / 2, 0.0, 0.0, 1.0]
    return CameraInfo(height=height, width=width, k=k, **more)


def compressed(claimed: tuple[int, int] | None = None) -> CompressedImage:
    """A JPEG whose header may claim another (height, width)."""
    data = bytearray(simplejpeg.encode_jpeg(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)))
    if claimed:
        frame = data.find(b"\xff\xc0")
        data[frame + 5 : frame + 9] = struct.pack(">HH", *claimed)
    return CompressedImage(format="jpeg", data=bytes(data))


def test_a_masked_camera_is_black_and_as_large_as_its_images() -> None:
    region = RegionOfInterest(x_offset=20, y_offset=0, width=80, height=60)
    found = decoded(None, info(roi=region, binning_x=2, binning_y=2))
    images, intrinsics = found.pictures, found.rig.intrinsics
    assert images[0].shape == (30, 40, 3)
    assert not images[0].any()
    np.testing.assert_allclose(intrinsics[0], [[60, 0, 30], [0, 60, 22.5], [0, 0, 1]])


@pytest.mark.parametrize(("height", "width"), [(0, 0), (4_000_000_000, 4_000_000_000)])
def test_a_masked_camera_of_no_or_absurd_size_is_refused(height: int, width: int) -> None:
    with pytest.raises(SetDropped, match="camera front: its CameraInfo") as caught:
        decoded(None, info(height, width))
    assert caught.value.reason == "calibration"


@pytest.mark.parametrize("decodes_jpeg", [False, True])
@pytest.mark.parametrize(
    ("claimed", "reason", "words"),
    [
        ((24750, 44000), "image", "claims 44000x24750 pixels"),
        ((900, 1600), "calibration", "1600x900, more than 4 times"),
        ((100, 100), "calibration", "another aspect ratio"),
        (None, "", ""),
    ],
)
def test_a_claimed_size_is_checked_before_decoding(
    decodes_jpeg: bool,
    claimed: tuple[int, int] | None,
    reason: str,
    words: str,
) -> None:
    if not reason:
        found = decoded(compressed(), info(), decodes_jpeg)
        assert isinstance(found.images[0], bytes) == decodes_jpeg
        return
    with pytest.raises(SetDropped, match=words) as caught:
        decoded(compressed(claimed), info(), decodes_jpeg)
    assert caught.value.reason == reason


def test_the_bit_depth_is_a_parameter() -> None:
    pixels = np.full((HEIGHT, WIDTH), 200 << 4, "<u2")
    message = Image(height=HEIGHT, width=WIDTH, encoding="mono16", step=2 * WIDTH, data=pixels.tobytes())
    assert (decoded(message, info()).pictures[0] == 200).all()


@pytest.mark.parametrize(
    ("topic", "rectified"),
    [
        ("/front/image_rect_compressed", True),
        ("/front/image_rect/compressed", True),
        ("/front/image_rect_color/compressed", True),
        ("/front/image_raw", False),
        ("/front/image/compressed", False),
    ],
)
def test_a_topic_of_rectified_images_is_known_by_its_name(topic: str, rectified: bool) -> None:
    assert is_rectified_topic(topic) == rectified


def test_a_fisheyes_jpeg_stays_one_where_its_rays_are_followed() -> None:
    poses = Poses(np.eye(4)[None], np.eye(4)[None], np.eye(4))
    calibration = info(distortion_model="equidistant", d=[0.01, 0.0, 0.0, 0.0])
    posed = PosedSet(("front",), (compressed(),), (calibration,), poses, 10**18, np.array([10**18]), 0, 0)
    found = SetDecoder(("front",), (False,), keep_jpeg=True, fisheye="rays")(posed)
    assert isinstance(found.images[0], bytes)
    assert found.rig.models == (CameraModel("equidistant", (0.01, 0, 0, 0)),)
