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

"""Pictures of a folder are read by the rules of images in messages."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from flashocc_ros.cameras.rectify import Lens, Rectifier
from flashocc_ros.data.folder import ImageFolder
from flashocc_ros.errors import ConfigError, InputError

HEIGHT, WIDTH = 90, 160
K = [[120.0, 0.0, 82.0], [0.0, 120.0, 43.0], [0.0, 0.0, 1.0]]
D = [-0.2, 0.05, 0.0, 0.0, 0.0]


def picture() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT))


def folder(path: Path, data: bytes | None = None, **camera: Any) -> ImageFolder:
    """A folder of one camera whose picture is a PNG."""
    data = cv2.imencode(".png", picture()[..., ::-1])[1].tobytes() if data is None else data
    (path / "front.png").write_bytes(data)
    pose = {"translation_xyz": [0.0, 0.0, 1.5], "rotation_xyzw": [-0.5, 0.5, -0.5, 0.5]}
    entry = {"K": K, "T_base_cam": pose, "image": "front.png", **camera}
    (path / "calibration.yaml").write_text(yaml.safe_dump({"cameras": {"front": entry}}))
    return ImageFolder(path)


def turned(*rotation_xyzw: float) -> dict[str, Any]:
    return {"translation_xyz": [0.0, 0.0, 1.5], "rotation_xyzw": list(rotation_xyzw)}


def test_pixels_and_calibration_are_handed_through(tmp_path: Path) -> None:
    (only,) = folder(tmp_path)
    np.testing.assert_array_equal(only.images[0], picture())
    np.testing.assert_array_equal(only.rig.intrinsics, [K])


@pytest.mark.parametrize(("model", "d"), [("plumb_bob", D), ("equidistant", [0.0] * 4), ("equidistant", [])])
def test_lenses_are_those_of_camera_info(tmp_path: Path, model: str, d: list[float]) -> None:
    (only,) = folder(tmp_path, D=d, distortion_model=model)
    rectifier = Rectifier()
    rectifier.update(Lens(K, d, model))
    image, matrix = rectifier(picture())
    assert (image != picture()).any()
    np.testing.assert_array_equal(only.images[0], image)
    np.testing.assert_array_equal(only.rig.intrinsics[0], matrix)


def test_a_smaller_picture_scales_its_k(tmp_path: Path) -> None:
    (only,) = folder(tmp_path, width=2 * WIDTH, height=2 * HEIGHT)
    np.testing.assert_allclose(only.rig.intrinsics[0, :2], np.array(K)[:2] / 2)


def test_a_picture_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"front\.png: camera front: the image is 160x90 but .* 160x120"):
        list(folder(tmp_path, width=160, height=120))


def test_twelve_bits_of_sixteen(tmp_path: Path) -> None:
    data = cv2.imencode(".png", picture()[..., ::-1].astype(np.uint16) << 4)[1].tobytes()
    (only,) = folder(tmp_path, data, bit_depth=12)
    np.testing.assert_array_equal(only.images[0], picture())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the image is empty"),
        (cv2.imencode(".jpg", picture())[1].tobytes()[:-400], "a JPEG of .* is damaged"),
        (cv2.imencode(".png", picture())[1].tobytes()[:-400], "a PNG of .* is damaged"),
        (b"GIF89a" + b"\xff\xff\xff\xff", "claims 65535x65535 pixels"),
    ],
)
def test_a_bad_picture_is_one_sentence(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=rf"front\.png: camera front: .*{words}") as caught:
        list(folder(tmp_path, data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "words"), [("gone.png", "No such file"), (".", "directory"), ("a\0b", "null")])
def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=rf"picture {re.escape(str(tmp_path))}.* cannot be read: .*{words}"):
        list(folder(tmp_path, image=name))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"distorsion": D}, "cameras.front.distorsion"),
        ({"distortion": D}, "cameras.front.distortion.* write coefficients as D"),
        ({"bit_depth": 4}, "cameras.front.bit_depth: .*bit depth of 4"),
        ({"width": -1}, "cameras.front.width"),
        ({"T_base_cam": {"xyz": [0, 0, 0]}}, "cameras.front.T_base_cam"),
        ({"T_base_cam": turned(0, 0, 0, 0)}, "cameras.front.T_base_cam.rotation_xyzw: .*a quaternion of length 0"),
        ({"T_base_cam": turned(0, 0, 0, 0.5)}, "cameras.front.T_base_cam.rotation_xyzw: .*a quaternion of length 0.5"),
        ({"T_base_cam": turned(float("nan"), 0, 0, 1)}, r"rotation_xyzw.0 must be a finite number"),
        ({"T_map_base_at_image": turned(0, 0, 0, 0)}, "cameras.front.T_map_base_at_image.rotation_xyzw"),
        ({"K": [[120.0, 0, 82], [0, 120.0, 43], [0, 0, float("nan")]]}, r"cameras.front.K.2.2 must be a finite number"),
        ({"D": [float("nan")] * 5}, r"cameras.front.D.0 must be a finite number"),
        ({"timestamp_us": 10**30}, "cameras.front.timestamp_us"),
    ],
)
def test_a_key_that_is_not_known_or_not_possible_is_refused(tmp_path: Path, entry: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        folder(tmp_path, **entry)


def test_the_remark_of_the_example_frames_is_taken(tmp_path: Path) -> None:
    assert len(list(folder(tmp_path, distortion="none (the images are rectified)"))) == 1


@pytest.mark.parametrize(("model", "d"), [("double_sphere", []), ("plumb_bob", [0.1, 0.2, 0.3])])
def test_an_unknown_lens_is_refused_before_a_picture_is_read(tmp_path: Path, model: str, d: list[float]) -> None:
    with pytest.raises(InputError, match="camera front: distortion model"):
        folder(tmp_path, D=d, distortion_model=model)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 100_000, "nesting depth|nested deeper"),
        (b"{a: " * 5000, "nested deeper"),
        (b"x: [" + b"1," * 600_000 + b"]", "1.2 MB long, the limit is"),
        (b"cameras: 2024-99-99", "month must be in"),
        (b"cameras: !!timestamp x", "no YAML"),
        (b"cameras: " + b"9" * 10_000, "digits"),
        (b"\xe9", "no YAML"),
        (b"cameras: {front: {}, front: {}}", "the key 'front' twice"),
    ],
)
def test_a_calibration_that_is_none_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "calibration.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"calibration\.yaml .*({words})") as caught:
        ImageFolder(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", ["", "1,0,0,0,0,0,0,1\n"])
def test_too_few_poses_are_one_sentence(tmp_path: Path, rows: str) -> None:
    (tmp_path / "front").mkdir()
    cv2.imwrite(str(tmp_path / "front" / "1533201470412460000.png"), picture())
    (tmp_path / "poses.csv").write_text("stamp_ns,x,y,z,qx,qy,qz,qw\n" + rows)
    with pytest.raises(InputError, match=r"poses\.csv needs rows stamp_ns.*: it has less than two of them"):
        folder(tmp_path, image=None)


def test_a_picture_named_by_no_stamp_is_refused(tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    cv2.imwrite(str(tmp_path / "front" / f"{2**63}.png"), picture())
    with pytest.raises(InputError, match=rf"{2**63}\.png is not named by its stamp"):
        folder(tmp_path, image=None)


def test_two_pictures_of_one_stamp_are_refused(tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    for name in ("5.png", "05.jpg"):
        cv2.imwrite(str(tmp_path / "front" / name), picture())
    with pytest.raises(InputError, match=r"two pictures of one stamp, .*; remove one"):
        folder(tmp_path, image=None)


@pytest.mark.parametrize("name", ["calibration.yaml", "front.png"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    folder(tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises((ConfigError, InputError), match="it is a pipe or a device"):
        list(ImageFolder(tmp_path))


def test_a_file_larger_than_any_picture_is_not_read(tmp_path: Path) -> None:
    sound = folder(tmp_path)
    os.truncate(tmp_path / "front.png", 10**12)  # takes no room on disk
    with pytest.raises(InputError, match="it is 1000000 MB long, the limit is 537 MB"):
        list(sound)


def test_a_calibration_may_ask_for_the_rays_of_its_fisheyes(tmp_path: Path) -> None:
    folder(tmp_path, D=[0.01, 0.0, 0.0, 0.0], distortion_model="equidistant")
    path = tmp_path / "calibration.yaml"
    path.write_text(path.read_text() + "fisheye: rays\n")
    (only,) = ImageFolder(tmp_path)
    np.testing.assert_array_equal(only.images[0], picture())
    assert only.rig.models[0].kind == "equidistant"
    (straight,) = ImageFolder(tmp_path, fisheye="rectify")
    assert straight.rig.models[0].kind == "pinhole"
    path.write_text(path.read_text().replace("rays", "flat"))
    with pytest.raises(ConfigError, match=r"fisheye must be one of 'rays' or 'rectify', got 'flat'"):
        ImageFolder(tmp_path)
