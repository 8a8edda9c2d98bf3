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

"""JPEG files as input of predictor and engines."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from flashocc_ros import CameraRig, Predictor
from flashocc_ros.cameras import jpeg
from flashocc_ros.engine.tensorrt.device_preprocess import DevicePreprocessor
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.errors import ImageError
from flashocc_ros.pipeline.preprocess import image_transform
from flashocc_ros.variants import get_variant


def file(seed: int = 0) -> bytes:
    """A JPEG of 320x180 pixels."""
    coarse = np.random.default_rng(seed).integers(0, 256, (18, 32, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.resize(coarse, (320, 180)))[1].tobytes()


@pytest.mark.parametrize("decoder", ["simplejpeg", "cv2"])
def test_size_and_pixels(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = cv2.imdecode(np.frombuffer(file(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    if decoder == "cv2":
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    assert jpeg.jpeg_size(file()) == (180, 320)
    assert np.abs(jpeg.decode_jpeg(file()).astype(int) - expected).max() <= 4


@pytest.mark.parametrize("decoder", ["simplejpeg", "cv2"])
def test_damaged_file_is_an_image_error(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if decoder == "cv2":
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    with pytest.raises(ImageError, match="is damaged"):
        jpeg.decode_jpeg(file()[:-500])
    with pytest.raises(ImageError, match="is damaged"):
        jpeg.jpeg_size(b"\xff\xd8 no picture")


def test_predictor_takes_files_like_pictures() -> None:
    variant = get_variant("synthetic-tiny")
    predictor = Predictor(variant, backend=TorchBackend(variant))
    rig = CameraRig(["a"], [[[200.0, 0, 160], [0, 200, 90], [0, 0, 1]]], np.eye(4)[None])
    pose = np.eye(4)[None]
    from_file = predictor([file()], rig, pose, 1)
    predictor.reset()
    from_picture = predictor([jpeg.decode_jpeg(file())], rig, pose, 1)
    np.testing.assert_array_equal(from_file.semantics, from_picture.semantics)


def test_damaged_file_leaves_the_predictor_usable() -> None:
    variant = get_variant("synthetic-tiny")
    predictor = Predictor(variant, backend=TorchBackend(variant))
    rig = CameraRig(["a"], [[[200.0, 0, 160], [0, 200, 90], [0, 0, 1]]], np.eye(4)[None])
    with pytest.raises(ImageError):
        predictor([file()[:-500]], rig, np.eye(4)[None], 1)
    assert predictor([file()], rig, np.eye(4)[None], 2).stamp_ns == 2


def test_device_preprocessor_takes_both_at_once() -> None:
    transform = image_transform((180, 320), get_variant("flashocc-r50-M0"))
    preprocess = DevicePreprocessor(torch.device("cpu"))
    both = preprocess([file(), jpeg.decode_jpeg(file())], [transform, transform])
    assert torch.equal(both[0], both[1])
