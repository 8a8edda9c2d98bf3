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

"""Streaming with cached maps equals the network given all frames at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg
import torch
from numba.core.errors import TypingError
from small_stream import STEP_NS, Shot, drive, rig, small

from flashocc_ros import Occupancy, Predictor
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.errors import EngineError, ImageError
from flashocc_ros.geometry import Geometry, LiftTable
from flashocc_ros.labels import CLASS_NAMES, FREE
from flashocc_ros.model import build_model
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.pipeline.backend import Encoded, HeadOutput
from flashocc_ros.pipeline.decode import Centers
from flashocc_ros.pipeline.observation import Observation
from flashocc_ros.pipeline.preprocess import image_transform, network_input
from flashocc_ros.pipeline.stream import TABLE_TOLERANCE
from flashocc_ros.structures import OCC3D_GRID, CameraRig, VoxelGrid
from flashocc_ros.variants import get_variant

TOLERANCE_STD = 1e-4
EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "variant.yaml"


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


Engine = TypeVar("Engine", bound=LogitBackend)


class FaultyBackend(LogitBackend):
    """Breaks down at the stage that ``fault`` names; "labels" are then of a shape that cannot be decoded."""

    fault: str | None = None

    def _pass(self, stage: str) -> None:
        if self.fault == stage:
            raise EngineError(f"the device was lost in {stage}")

    def encode(self, pixels: Any, camera_params: Any = None, stereo: Any = None) -> Encoded:
        self._pass("encode")
        encoded = super().encode(pixels, camera_params, stereo)
        return replace(encoded, context=encoded.context * np.nan) if self.fault == "nan" else encoded

    def pool(self, encoded: Encoded, table: LiftTable) -> Any:
        self._pass("pool")
        return super().pool(encoded, table)

    def head(
        self, bev: Any, history: Sequence[Any] = (), grids: Any = None, *, with_logits: bool = False
    ) -> HeadOutput:
        self._pass("head")
        output = super().head(bev, history, grids, with_logits=with_logits)
        return replace(output, labels=output.labels[0]) if self.fault == "labels" else output


def open_small(name: str, backend_class: type[Engine] = LogitBackend) -> tuple[Predictor, Engine, FlashOcc]:
    variant = small(name)
    model = build_model(variant)
    backend = backend_class(variant, model=model, device="cpu")
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


def test_after_a_reset_a_camera_that_moved_within_the_tolerance_is_lifted_from_where_it_is() -> None:
    """Else results of a recording depended on those before it."""
    predictor, _, _ = open_small("flashocc-r50")
    shot = drive(1, (0.0, 0.0, 0.0))[0]
    moved = np.array(rig().base_from_camera)
    moved[:, 0, 3] += TABLE_TOLERANCE / 4
    shifted = replace(rig(), base_from_camera=moved)
    names = []
    for cameras, reset in ((rig(), False), (shifted, False), (shifted, True)):
        if reset:
            predictor.reset()
        names.append(predictor.observe(CameraSet(shot.images, cameras, shot.odom_from_base, STEP_NS)).table)
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("name", ["panoptic-flashocc-r50-depth4d-longterm8f", "flashocc-r50-4d-stereo"])
def test_a_stream_starts_afresh_where_the_pose_jumped_between_two_samples_of_odometry(name: str) -> None:
    predictor, backend, model = open_small(name)
    shots = drive(5, (1.0, 0.2, 4.0))
    for index, (shot, pose_epoch) in enumerate(zip(shots, (4, 4, 6, 6, 6), strict=True)):
        stamp_ns = index * STEP_NS
        predictor.predict(CameraSet(shot.images, rig(), shot.odom_from_base, stamp_ns, pose_epoch=pose_epoch))
        first = 0 if index < 2 else 2
        assert deviation_std(backend.logits, all_at_once(model, shots, index, first)) < TOLERANCE_STD
    assert {k: v for k, v in predictor.memory_events.items() if v} == {"pose_jump": 1}


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


PANOPTIC, STEREO = "panoptic-flashocc-r50-depth4d-pano", "flashocc-r50-4d-stereo"
ON_TIME_NS, AFTER_A_GAP_NS = 10**18 + STEP_NS, 10**18 + 20 * STEP_NS


@lru_cache
def undisturbed(name: str) -> tuple[list[Shot], Occupancy, npt.NDArray[np.float32]]:
    """Two frames, and what comes out at the second, with its logits, when nothing ever failed."""
    predictor, backend, _ = open_small(name)
    shots = drive(2, (1.0, 0.2, 3.0))
    for index, shot in enumerate(shots):
        result = predictor(shot.images, rig(), shot.odom_from_base, 10**18 + index * STEP_NS)
    return shots, result, backend.logits


def remembered(predictor: Predictor) -> tuple[Any, ...]:
    """The frames themselves, how often they were cleared, and the tracks."""
    memory, tracker = predictor._stream.memory, predictor._stream._tracker
    tracks = [(t.id, t.stamp_ns, *t.mean, *t.covariance.ravel()) for t in tracker._tracks]
    return list(memory._frames), memory.nbytes, dict(memory.events), memory._last, tracks, tracker._next_id


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *[(name, fault) for name in (PANOPTIC, STEREO) for fault in ("jpeg", "encode", "pool", "head", "nan")],
        (PANOPTIC, "labels"),
    ],
)
def test_a_set_that_fails_leaves_the_stream_as_it_was(name: str, fault: str) -> None:
    """Also one that would have cleared the memory, had it come through."""
    shots, expected, logits = undisturbed(name)
    predictor, backend, _ = open_small(name, FaultyBackend)
    predictor(shots[0].images, rig(), shots[0].odom_from_base, 10**18)
    before = remembered(predictor)
    assert len(before[0]) == 1
    assert len(before[4]) > 0 or not backend.variant.panoptic

    given: list[Any] = list(shots[1].images)
    if fault == "jpeg":
        given[1] = simplejpeg.encode_jpeg(given[1])[:-2000]
    backend.fault = fault
    for stamp_ns in (ON_TIME_NS, AFTER_A_GAP_NS):
        with pytest.raises(ImageError if fault == "jpeg" else (EngineError, TypingError)):
            predictor(given, rig(), shots[1].odom_from_base, stamp_ns)
        assert remembered(predictor) == before

    backend.fault = None
    result = predictor(shots[1].images, rig(), shots[1].odom_from_base, ON_TIME_NS)
    assert deviation_std(backend.logits, logits) < TOLERANCE_STD
    assert [center.id for center in result.centers] == [center.id for center in expected.centers]
    assert {k: v for k, v in predictor.memory_events.items() if v} == {}


def test_an_implausible_rig_is_said_once_and_again_when_it_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    predictor, _, _ = open_small("flashocc-r50")
    good, (shot,) = rig(), drive(1, ALONG_X)
    inverted = CameraRig(good.names, good.intrinsics, np.linalg.inv(good.base_from_camera))
    said = []
    for step, given in enumerate((inverted, inverted, good, inverted)):
        predictor(shot.images, given, shot.odom_from_base, step * STEP_NS)
        said.append(sum("implausible rig" in record.message for record in caplog.records))
        assert [finding.cause for finding in predictor.rig_findings] == ([] if given is good else ["inverse"])
    assert said == [1, 1, 1, 2]


def test_a_stream_on_a_grid_of_ones_own_equals_all_frames_at_once() -> None:
    own = get_variant(EXAMPLE)
    variant = replace(
        small("panoptic-flashocc-r50-depth4d-pano"),
        grid=VoxelGrid(0.8, (-12.8, -6.4, -1.0), (40, 24, 5)),  # neither square nor around the vehicle
        classes=own.classes,
    )
    model = build_model(variant)
    backend = LogitBackend(variant, model=model, device="cpu")
    predictor = Predictor(variant, backend=backend, max_gap_s=0.9)
    for index, shot in enumerate(shots := drive(3, TURNING)):
        result = predictor(shot.images, rig(), shot.odom_from_base, 10**18 + index * STEP_NS)
        assert deviation_std(backend.logits, all_at_once(model, shots, index, 0)) < TOLERANCE_STD
    assert backend.logits.shape == (40, 24, 5, len(own.classes))
    assert result.semantics.shape == (40, 24, 5)
    assert (result.grid, result.classes) == (variant.grid, own.classes)
    assert predictor.memory_nbytes == 2 * 4 * 40 * 24 * variant.cached_channels


@pytest.mark.parametrize("odometry", [True, False])
def test_velocities_are_known_with_odometry_only(odometry: bool) -> None:
    predictor, _, _ = open_small(PANOPTIC)
    labels = np.full(OCC3D_GRID.size, FREE, np.uint8)
    labels[110:121, 98:103, 3:7] = CLASS_NAMES.index("car")
    none = Centers(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    pose = np.eye(4)
    pose[0, 3] = 7.0 * odometry
    for stamp_ns in (0, 10**8):
        result = predictor.track(Observation(labels, none, pose, stamp_ns, False, False, ""))
    (car,) = result.centers
    assert (car.velocity_mps is not None) is odometry
