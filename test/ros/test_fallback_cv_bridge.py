"""Images to arrays and back, with cv_bridge or its stand-in, whichever is installed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("sensor_msgs.msg")

from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from flashocc_ros.ros.fallback import CvBridge, CvBridgeError

pytestmark = pytest.mark.ros

BGR = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"),
    [
        ("bgr8", np.uint8, 3),
        ("rgba8", np.uint8, 4),
        ("mono8", np.uint8, 1),
        ("mono16", np.uint16, 1),
        ("bgr16", np.uint16, 3),
        ("32FC1", np.float32, 1),
        ("16UC1", np.uint16, 1),
        ("8UC2", np.uint8, 2),
        ("64FC3", np.float64, 3),
    ],
)
def test_there_and_back(encoding: str, dtype: type, channels: int) -> None:
    shape = (6, 8) if channels == 1 else (6, 8, channels)
    image = (np.random.default_rng(1).random(shape) * 200).astype(dtype)
    message = CvBridge().cv2_to_imgmsg(image, encoding, Header(frame_id="camera"))
    assert (message.height, message.width, message.encoding, message.header.frame_id) == (6, 8, encoding, "camera")
    assert message.step == image.strides[0]
    back = CvBridge().imgmsg_to_cv2(message)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image)


def test_the_encoding_of_an_array_is_found() -> None:
    assert CvBridge().cv2_to_imgmsg(BGR).encoding == "8UC3"
    assert CvBridge().cv2_to_imgmsg(BGR[..., 0].astype(np.float32)).encoding in ("32FC1", "32FC")


@pytest.mark.parametrize(
    ("desired", "code"),
    [
        ("rgb8", cv2.COLOR_BGR2RGB),
        ("rgba8", cv2.COLOR_BGR2RGBA),
        ("bgra8", cv2.COLOR_BGR2BGRA),
        ("mono8", cv2.COLOR_BGR2GRAY),
    ],
)
def test_conversion(desired: str, code: int) -> None:
    message = CvBridge().cv2_to_imgmsg(BGR, "bgr8")
    np.testing.assert_array_equal(CvBridge().imgmsg_to_cv2(message, desired), cv2.cvtColor(BGR, code))


@pytest.mark.parametrize(("pattern", "position"), [("rggb", 0), ("grbg", 1), ("gbrg", 2), ("bggr", 3)])
def test_a_red_scene_through_a_bayer_pattern(pattern: str, position: int) -> None:
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[position // 2 :: 2, position % 2 :: 2] = 200
    message = CvBridge().cv2_to_imgmsg(mosaic, f"bayer_{pattern}8")
    inner = CvBridge().imgmsg_to_cv2(message, "rgb8")[2:-2, 2:-2]
    assert (inner[..., 0] == 200).all()
    assert (inner[..., 1:] == 0).all()


def test_sixteen_bits_scale_to_eight_and_back() -> None:
    deep = BGR.astype(np.uint16) * 257
    message = CvBridge().cv2_to_imgmsg(deep, "bgr16")
    np.testing.assert_array_equal(CvBridge().imgmsg_to_cv2(message, "bgr8"), BGR)
    message = CvBridge().cv2_to_imgmsg(BGR[..., 0], "mono8")
    assert np.abs(CvBridge().imgmsg_to_cv2(message, "mono16").astype(int) - deep[..., 0]).max() <= 1


def test_padding_and_byte_order() -> None:
    deep = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    message = CvBridge().cv2_to_imgmsg(deep, "mono16")
    padded = np.pad(deep.astype(">u2").view(np.uint8), ((0, 0), (0, 6)))
    message.is_bigendian, message.step = 1, padded.shape[1]
    message.data = type(message.data)("B", padded.tobytes())
    np.testing.assert_array_equal(CvBridge().imgmsg_to_cv2(message), deep)


@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_compressed(kind: str) -> None:
    message = CompressedImage(format=kind[1:])
    message.data.frombytes(cv2.imencode(kind, BGR)[1].tobytes())
    got = CvBridge().compressed_imgmsg_to_cv2(message)
    np.testing.assert_array_equal(got, cv2.imdecode(cv2.imencode(kind, BGR)[1], cv2.IMREAD_COLOR))
    np.testing.assert_array_equal(CvBridge().compressed_imgmsg_to_cv2(message, "rgb8"), got[..., ::-1])


@pytest.mark.parametrize("desired", ["heat8", "32FC1"])
def test_a_conversion_that_does_not_exist(desired: str) -> None:
    message = CvBridge().cv2_to_imgmsg(BGR, "bgr8")
    with pytest.raises(CvBridgeError):
        CvBridge().imgmsg_to_cv2(message, desired)


def test_an_array_that_does_not_fit_its_encoding() -> None:
    with pytest.raises(CvBridgeError):
        CvBridge().cv2_to_imgmsg(BGR, "mono8")
