"""Streaming with cached maps equals the network given all frames at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from small_stream import STEP_NS, Shot, drive, rig, small

from flashocc_ros import Predictor
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.geometry import Geometry
from flashocc_ros.model import build_model
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.pipeline.backend import HeadOutput
from flashocc_ros.pipeline.preprocess import image_transform, network_input

TOLERANCE_STD = 1e-4


class LogitBackend(TorchBackend):
    """Keeps the logits of the last call."""

    logits: npt.NDArray[np.float32]

    def head(
        self, bev: Any, history: Sequence[Any] = (), grids: Any = None, *, with_logits: bool = False
    ) -> HeadOutput:
        output = super().head(bev, history, grids, with_logits=True)
        assert output.logits is not None
        self.logits = output.logits
        return output


def open_small(name: str) -> tuple[Predictor, LogitBackend, FlashOcc]:
    variant = small(name)
    model = build_model(variant)
    backend = LogitBackend(variant, model=model, device="cpu")
    return Predictor(variant, backend=backend, max_gap_s=0.9), backend, model


def all_at_once(model: FlashOcc, shots: Sequence[Shot], index: int, first: int) -> npt.NDArray[np.float32]:
    """Logits of the stateless network for key frame ``index`` of a scene that starts at frame ``first``."""
    wanted = [index - back for back in range(model.variant.num_input_frames)]
    frames = [shots[i if i >= first else index] for i in wanted]
    transforms = [image_transform(image.shape[:2], model.variant) for image in shots[0].images]
    pixels = np.stack([network_input(shot.images, transforms) for shot in frames])
    count = len(frames)
    geometry = Geometry(
        sensor2ego=np.tile(rig().base_from_camera, (count, 1, 1, 1)),
        ego2global=np.stack([shot.odom_from_base for shot in frames]),
        intrinsics=np.tile(rig().intrinsics, (count, 1, 1, 1)),
        post_rot=np.tile(np.stack([t.post_rot for t in transforms]), (count, 1, 1, 1)),
        post_tran=np.tile(np.stack([t.post_tran for t in transforms]), (count, 1, 1)),
        bda=np.eye(3),
    )
    with torch.inference_mode():
        return model(torch.from_numpy(pixels), geometry, align="warp").occ_logits.numpy()


def deviation_std(got: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    return float(np.abs(got - expected).max() / expected.std())


ALONG_X, ALONG_Y, TURNING = (3.0, 0.0, 0.0), (0.5, 1.5, 0.0), (2.0, 0.3, 8.0)


@pytest.mark.parametrize(
    ("name", "frames", "motion"),
    [
        ("panoptic-flashocc-r50-depth4d", 3, ALONG_X),
        ("panoptic-flashocc-r50-depth4d", 3, ALONG_Y),
        ("panoptic-flashocc-r50-depth4d", 3, TURNING),
        ("flashocc-r50-4d-stereo", 4, ALONG_X),
        ("flashocc-r50-4d-stereo", 4, ALONG_Y),
        ("flashocc-r50-4d-stereo", 4, TURNING),
        ("bevdet-occ-r50-4d-stereo", 2, TURNING),
    ],
)
def test_a_stream_equals_all_frames_at_once_from_the_first_frame_on(
    name: str, frames: int, motion: tuple[float, float, float]
) -> None:
    predictor, backend, model = open_small(name)
    shots = drive(frames, motion)
    for index, shot in enumerate(shots):
        predictor(shot.images, rig(), shot.odom_from_base, 10**18 + index * STEP_NS)
        assert deviation_std(backend.logits, all_at_once(model, shots, index, 0)) < TOLERANCE_STD
    assert sum(predictor.memory_events.values()) == 0


@pytest.mark.parametrize(
    ("name", "checked"),
    [
        ("panoptic-flashocc-r50-depth4d-longterm8f-pano", (1, 8, 9)),
        ("panoptic-flashocc-r50-depth4d-longterm16f-pano", (16, 17)),
    ],
)
def test_a_long_stream_equals_all_frames_at_once(name: str, checked: tuple[int, ...]) -> None:
    predictor, backend, model = open_small(name)
    shots = drive(checked[-1] + 1, (0.8, 0.2, 3.0))
    for index, shot in enumerate(shots):
        predictor(shot.images, rig(), shot.odom_from_base, 10**18 + index * STEP_NS)
        if index in checked:
            assert deviation_std(backend.logits, all_at_once(model, shots, index, 0)) < TOLERANCE_STD


@pytest.mark.parametrize("how", ["reset", "gap", "backward"])
@pytest.mark.parametrize("name", ["panoptic-flashocc-r50-depth4d-longterm8f", "flashocc-r50-4d-stereo"])
def test_a_stream_starts_afresh_after_it_was_interrupted(name: str, how: str) -> None:
    predictor, backend, model = open_small(name)
    shots = drive(5, (1.0, 0.2, 4.0))
    stamps = {"gap": (0, 1, 4, 5, 6), "backward": (10, 11, 5, 6, 7), "reset": (0, 1, 2, 3, 4)}[how]
    for index, (shot, stamp) in enumerate(zip(shots, stamps, strict=True)):
        if how == "reset" and index == 2:
            predictor.reset()
        predictor(shot.images, rig(), shot.odom_from_base, stamp * STEP_NS)
        first = 0 if index < 2 else 2
        assert deviation_std(backend.logits, all_at_once(model, shots, index, first)) < TOLERANCE_STD
    assert {k: v for k, v in predictor.memory_events.items() if v} == {how: 1}


def test_the_past_matters() -> None:
    """The comparison above can fail: without its past a temporal network answers differently."""
    _, _, model = open_small("panoptic-flashocc-r50-depth4d-longterm8f")
    shots = drive(3, (2.0, 0.0, 5.0))
    assert deviation_std(all_at_once(model, shots, 2, 2), all_at_once(model, shots, 2, 0)) > 0.01


def test_ten_hertz_uses_frames_half_a_second_apart() -> None:
    predictor, backend, model = open_small("panoptic-flashocc-r50-depth4d")
    shots = drive(8, (0.3, 0.0, 1.0))
    for index, shot in enumerate(shots):
        predictor(shot.images, rig(), shot.odom_from_base, 10**18 + index * STEP_NS // 5)
    expected = all_at_once(model, [shots[2], shots[7]], 1, 0)
    assert deviation_std(backend.logits, expected) < TOLERANCE_STD


def test_staggered_shutters_deviate_only_a_little() -> None:
    """Cameras at different poses: the reference then lifts the past with the key frame's offsets, we with its own."""
    predictor, backend, model = open_small("panoptic-flashocc-r50-depth4d")
    shots = drive(3, (2.0, 0.0, 2.0))
    for shot, offset_m in zip(shots, (0.10, 0.12, 0.08), strict=True):
        shot.odom_from_base[1, 0, 3] += offset_m
    for index, shot in enumerate(shots):
        predictor(shot.images, rig(), shot.odom_from_base, 10**18 + index * STEP_NS)
    difference = np.abs(backend.logits - all_at_once(model, shots, 2, 0))
    assert 0 < difference.mean() / backend.logits.std() < 0.02


def test_the_memory_is_stated_and_bounded() -> None:
    predictor, _, model = open_small("panoptic-flashocc-r50-depth4d-longterm8f")
    shots = drive(12, (1.0, 0.0, 0.0))
    sizes = []
    for index, shot in enumerate(shots):
        predictor(shot.images, rig(), shot.odom_from_base, index * STEP_NS)
        sizes.append(predictor.memory_nbytes)
    one_map = 200 * 200 * model.variant.lift_channels * 4
    assert sizes[:3] == [one_map, 2 * one_map, 3 * one_map]
    assert sizes[-1] == sizes[-2] <= 9 * one_map
    predictor.reset()
    assert predictor.memory_nbytes == 0
