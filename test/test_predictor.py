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

"""The predictor as a whole: golden outputs from JPEG files, input checks, results and timings."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from flashocc_ros import CameraRig, Occupancy, Predictor, weights
from flashocc_ros.engine.select import trained_on
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.errors import CheckpointError, ConfigError, InputError
from flashocc_ros.labels import CLASS_NAMES
from flashocc_ros.model import build_model, get_variant
from flashocc_ros.pipeline.backend import HeadOutput
from flashocc_ros.pipeline.countable import traits_of
from flashocc_ros.pipeline.panoptic import MAX_DISTANCE_M

CAMERAS = ("FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_LEFT", "BACK", "BACK_RIGHT")
KEY_NS = 1_533_201_470_448_696_000
STEP_NS = 500_000_000
TINY = "synthetic-tiny"
SCORE_TOLERANCE = 0.005
"""A stream lifts the past with its own camera poses, the golden run with the key frame's: scores differ by 0.0042 at
most. A cell that leads its neighbours, or the threshold, by less may or may not be a centre (three of 22)."""


class LogitBackend(TorchBackend):
    """Keeps the logits and the other outputs of the last call."""

    logits: npt.NDArray[np.float32]
    output: HeadOutput

    def head(
        self, bev: Any, history: Sequence[Any] = (), grids: Any = None, *, with_logits: bool = False
    ) -> HeadOutput:
        output = super().head(bev, history, grids, with_logits=True)
        assert output.logits is not None
        self.logits, self.output = output.logits, output
        return output


@dataclass
class Golden:
    """A golden file with its inputs; frame 0 is the key frame."""

    arrays: Any
    images: list[npt.NDArray[np.uint8]]
    backend: LogitBackend

    def rig(self) -> CameraRig:
        return CameraRig(CAMERAS, self.arrays["intrin"][:6], self.arrays["sensor2ego"][:6])

    def odom_from_base(self, frame: int) -> npt.NDArray[np.float64]:
        return self.arrays["ego2global"][frame * 6 : frame * 6 + 6].astype(np.float64)

    def wrong_voxels(self, semantics: npt.NDArray[np.uint8]) -> int:
        ambiguous = np.unpackbits(self.arrays["occ_ambiguous_bits"]).reshape(semantics.shape).astype(bool)
        return int(((semantics != self.arrays["occ"]) & ~ambiguous).sum())

    def logit_deviation_std(self) -> npt.NDArray[np.float32]:
        expected = self.arrays["occ_logits"]
        return np.asarray(np.abs(self.backend.logits[::10, ::10, ::3] - expected) / expected.std())


@pytest.fixture(scope="module")
def golden(shared_dir: Path, spec_module: Callable[[str], ModuleType]) -> Callable[[str], Golden]:
    def load(name: str) -> Golden:
        model = build_model(name)
        model.load_state_dict(spec_module("named_weights").fill_state_dict(model.state_dict()))
        folder = shared_dir / "data" / "nuscenes_frame_scene0003"
        return Golden(
            np.load(shared_dir / "spec" / "golden" / f"{name}.npz"),
            [np.asarray(Image.open(folder / f"CAM_{camera}.jpg")) for camera in CAMERAS],
            LogitBackend(get_variant(name), model=model, device="cpu"),
        )

    return load


@pytest.mark.data
def test_m0_reproduces_the_golden_output_from_jpeg_files(golden: Callable[[str], Golden]) -> None:
    case = golden("flashocc-r50-M0")
    predictor = Predictor("flashocc-r50-M0", backend=case.backend)
    result = predictor(case.images, case.rig(), case.odom_from_base(0), KEY_NS)
    assert case.wrong_voxels(result.semantics) == 0
    assert case.logit_deviation_std().max() < 1e-3
    assert result.instances is None
    assert result.stamp_ns == KEY_NS


@pytest.mark.data
@pytest.mark.slow
def test_m2_streamed_over_three_frames_reproduces_the_golden_output(golden: Callable[[str], Golden]) -> None:
    case = golden("flashocc-r50-4d-stereo")
    predictor = Predictor("flashocc-r50-4d-stereo", backend=case.backend)
    for frame in (2, 1, 0):
        result = predictor(case.images, case.rig(), case.odom_from_base(frame), KEY_NS - frame * STEP_NS)
    # The golden run lifts the past with the key frame's per-camera poses: a few border points change cell.
    assert np.percentile(case.logit_deviation_std(), 99) < 0.02
    assert case.wrong_voxels(result.semantics) < 100


@pytest.mark.data
@pytest.mark.slow
def test_eight_past_frames_streamed_reproduce_the_golden_output(golden: Callable[[str], Golden]) -> None:
    name = "panoptic-flashocc-r50-depth4d-longterm8f-pano"
    case = golden(name)
    predictor = Predictor(name, backend=case.backend, panoptic_reference_mode=True)
    for frame in range(8, -1, -1):
        result = predictor(case.images, case.rig(), case.odom_from_base(frame), KEY_NS - frame * STEP_NS)
    assert np.percentile(case.logit_deviation_std(), 99) < 0.02
    assert case.wrong_voxels(result.semantics) < 100
    output, limit = case.backend.output, get_variant(name).score_threshold - SCORE_TOLERANCE
    assert output.heatmap is not None
    assert output.reg is not None
    assert output.height is not None
    row, column = np.mgrid[:200, :200]
    x_m, y_m = (column + output.reg[0]) * 0.4 - 40, (row + output.reg[1]) * 0.4 - 40
    placed_m = np.stack([x_m, y_m, output.height[0]], axis=-1)
    score = 1 / (1 + np.exp(-output.heatmap))
    for center_m, label in zip(case.arrays["center_xyz"], case.arrays["center_label"], strict=True):
        distance_m = np.linalg.norm(placed_m - center_m, axis=-1)
        r, c = np.unravel_index(distance_m.argmin(), distance_m.shape)
        assert distance_m[r, c] < 0.05
        around = score[label, max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2]
        assert score[label, r, c] > max(limit, around.max() - SCORE_TOLERANCE)
    missing = len(case.arrays["center_xyz"]) - len(result.centers)
    assert abs(missing) <= 2
    assert result.instances is not None
    pairs, counts = np.unique(
        np.stack([result.instances.ravel(), case.arrays["pano_inst"].ravel().astype(np.int32)]),
        axis=1,
        return_counts=True,
    )
    partner: dict[int, tuple[int, int]] = {}
    for (ours, theirs), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
        partner[ours] = max(partner.get(ours, (0, 0)), (count, theirs))
    agreeing = sum(count for count, _ in partner.values())
    assert agreeing > 0.998 * result.instances.size


@pytest.fixture(scope="module")
def tiny() -> TorchBackend:
    """The small network, untrained, with centre maps scaled down to sane heights and some peaks."""
    variant = get_variant(TINY)
    model = build_model(variant)
    assert model.aux_centerness_head is not None
    with torch.no_grad():
        for name, scale in (("heatmap", 0.15), ("reg", 0.01), ("height", 0.01)):
            model.aux_centerness_head.task_heads[0][name][1].weight *= scale  # type: ignore[index]
    return TorchBackend(variant, model=model, device="cpu")


def tiny_input(count: int = 2) -> tuple[list[npt.NDArray[np.uint8]], CameraRig, npt.NDArray[np.float64], int]:
    rng = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    poses[:, 2, 3] = 1.5
    intrinsics = np.tile([[200.0, 0, 176], [0, 200.0, 99], [0, 0, 1]], (count, 1, 1))
    images = [rng.integers(0, 256, (198, 352, 3), dtype=np.uint8) for _ in range(count)]
    rig = CameraRig([f"camera{i}" for i in range(count)], intrinsics, poses)
    return images, rig, np.tile(np.eye(4), (count, 1, 1)), KEY_NS


@pytest.mark.parametrize("count", [1, 3, 7])
def test_any_number_of_cameras(tiny: TorchBackend, count: int) -> None:
    result = Predictor(TINY, backend=tiny)(*tiny_input(count))
    assert isinstance(result, Occupancy)
    assert (result.semantics.shape, result.semantics.dtype) == ((200, 200, 16), np.uint8)
    assert result.instances is not None
    assert (result.instances.shape, result.instances.dtype) == ((200, 200, 16), np.int32)
    assert result.semantics.max() < len(CLASS_NAMES)


def test_a_vehicle_that_stands_needs_no_poses(tiny: TorchBackend) -> None:
    images, rig, poses, stamp_ns = tiny_input()
    standing = Predictor(TINY, backend=tiny)(images, rig, None, stamp_ns)
    given = Predictor(TINY, backend=tiny)(images, rig, poses, stamp_ns)
    np.testing.assert_array_equal(standing.semantics, given.semantics)


def test_a_network_with_a_past_needs_poses() -> None:
    images, rig, _, stamp_ns = tiny_input()
    predictor = Predictor("synthetic-tiny-4d", engine="torch")
    with pytest.raises(InputError, match=r"odom_from_base is None, but synthetic-tiny-4d looks back"):
        predictor(images, rig, None, stamp_ns)


def test_instances_agree_with_semantics_and_centres(tiny: TorchBackend) -> None:
    wide = dict.fromkeys(MAX_DISTANCE_M, 30.0)
    result = Predictor(TINY, backend=tiny, panoptic_max_distance_m=wide)(*tiny_input())
    assert result.instances is not None
    assert sum(c.voxel_count for c in result.centers) > 100
    stuff = result.instances < 18
    np.testing.assert_array_equal(result.instances[stuff], result.semantics[stuff])
    for instance in result.centers[:25]:
        owned = result.instances == instance.id
        assert owned.sum() == instance.voxel_count
        group_of_class = traits_of(result.classes).group
        groups = group_of_class[result.semantics[owned]]
        assert (groups == group_of_class[instance.class_id]).all()
    assert set(np.unique(result.instances[~stuff])) <= {c.id for c in result.centers}


def test_timings_cover_every_stage(tiny: TorchBackend) -> None:
    timings = Predictor(TINY, backend=tiny)(*tiny_input()).timings
    assert list(timings) == ["preprocess", "encoder", "pooling", "head", "decode", "total"]
    stages = sum(v for k, v in timings.items() if k != "total")
    assert 0 < stages <= timings["total"]


def test_the_result_is_in_the_frame_of_the_key_pose(tiny: TorchBackend) -> None:
    images, rig, odom, stamp = tiny_input()
    predictor = Predictor(TINY, backend=tiny)
    plain = predictor(images, rig, odom, stamp)
    world = np.eye(4)
    world[:3, 3] = (500.0, -20.0, 3.0)
    moved = predictor(images, rig, world @ odom, stamp, key_pose=world)
    np.testing.assert_array_equal(plain.semantics, moved.semantics)
    shifted_key = np.eye(4)
    shifted_key[0, 3] = 8.0
    shifted = predictor(images, rig, odom, stamp, key_pose=shifted_key)
    assert (shifted.semantics != plain.semantics).mean() > 0.001


def test_a_later_exposure_moves_the_camera(tiny: TorchBackend) -> None:
    """A camera whose picture was taken 2 m further on sees from there."""
    images, rig, odom, stamp = tiny_input()
    predictor = Predictor(TINY, backend=tiny)
    late = odom.copy()
    late[1, 0, 3] = 2.0
    extrinsics = rig.base_from_camera.copy()
    extrinsics[1, 0, 3] += 2.0
    by_pose = predictor(images, rig, late, stamp)
    by_mounting = predictor(images, CameraRig(rig.names, rig.intrinsics, extrinsics), odom, stamp)
    np.testing.assert_array_equal(by_pose.semantics, by_mounting.semantics)


def test_changed_calibration_takes_effect_at_once(tiny: TorchBackend) -> None:
    images, rig, odom, stamp = tiny_input()
    predictor = Predictor(TINY, backend=tiny)
    predictor(images, rig, odom, stamp)
    other = CameraRig(rig.names, rig.intrinsics * [[[1.5], [1.5], [1.0]]], rig.base_from_camera)
    after = predictor(images, other, odom, stamp + STEP_NS)
    np.testing.assert_array_equal(after.semantics, Predictor(TINY, backend=tiny)(images, other, odom, stamp).semantics)
    assert predictor.memory_events["calibration"] == 1


def test_instance_ids_are_stable_for_a_standing_scene(tiny: TorchBackend) -> None:
    images, rig, odom, stamp = tiny_input()
    predictor = Predictor(TINY, backend=tiny)
    first = predictor(images, rig, odom, stamp)
    second = predictor(images, rig, odom, stamp + 100_000_000)
    assert len(first.centers) > 0
    assert [c.id for c in first.centers] == [c.id for c in second.centers]
    assert min(c.id for c in first.centers) == 18


def test_the_same_input_gives_the_same_output_after_a_reset(tiny: TorchBackend) -> None:
    predictor = Predictor(TINY, backend=tiny)
    first = predictor(*tiny_input())
    predictor.reset()
    again = predictor(*tiny_input())
    assert first.instances is not None
    assert again.instances is not None
    np.testing.assert_array_equal(first.instances, again.instances)
    assert predictor.memory_events["reset"] == 1


def swap(position: int, value: Any) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    return lambda given: (*given[:position], value, *given[position + 1 :])


def not_a_number(poses: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    poses = poses.copy()
    poses[1, 0, 3] = np.nan
    return poses


BLACK = np.zeros((198, 352, 3), np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swap(0, [BLACK]), "got 1 images for 2 cameras"),
        (swap(0, None), "images are NoneType"),
        (swap(1, None), "rig is NoneType, needs a CameraRig"),
        (swap(0, [BLACK, BLACK.astype(np.float32)]), "camera camera1: the image is float32"),
        (swap(0, [BLACK, BLACK[..., 0]]), r"camera camera1: the image is uint8 \(198, 352\)"),
        (swap(0, [BLACK, BLACK[:0]]), "352x0 pixels is empty"),
        (swap(0, [BLACK, None]), "camera camera1: the image is NoneType"),
        (swap(2, np.eye(4)), r"odom_from_base has shape \(4, 4\)"),
        (swap(2, not_a_number(np.tile(np.eye(4), (2, 1, 1)))), "odom_from_base holds a value that is not finite"),
        (swap(2, 2 * np.tile(np.eye(4), (2, 1, 1))), "odom_from_base is not a rigid transform"),
        (swap(2, "here"), "odom_from_base is no array"),
        (swap(3, -1), "stamp_ns is -1"),
        (swap(3, 0.5), "stamp_ns is 0.5"),
        (swap(3, None), "stamp_ns is None"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_the_predictor_usable(
    tiny: TorchBackend, change: Callable[[tuple[Any, ...]], tuple[Any, ...]], message: str
) -> None:
    predictor = Predictor(TINY, backend=tiny)
    good = predictor(*tiny_input())
    with pytest.raises(InputError, match=message) as caught:
        predictor(*change(tiny_input()))
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(predictor(*tiny_input()).semantics, good.semantics)
    assert sum(predictor.memory_events.values()) == 0


def test_untrained_weights_are_announced(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="flashocc_ros"):
        predictor = Predictor("flashocc-r50-M0", engine="torch")
    assert not predictor.trained
    assert "untrained" in predictor.description.lower()
    assert "untrained" in caplog.text


def test_shipped_weights_say_that_they_know_no_real_pictures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    copy = tmp_path / "mine.safetensors"
    shipped = weights.path(TINY)
    assert shipped is not None
    copy.write_bytes(shipped.read_bytes())
    with caplog.at_level(logging.WARNING, logger="flashocc_ros"):
        for checkpoint in (None, copy, weights.export_dir(TINY)):
            assert trained_on(TINY, checkpoint) == weights.SYNTHETIC
        assert Predictor(TINY, copy, engine="torch").trained_on == weights.SYNTHETIC
    assert weights.SYNTHETIC_NOTE in caplog.text


def test_weights_of_ones_own_are_not_called_synthetic(tmp_path: Path) -> None:
    torch.save(build_model(TINY).state_dict(), tmp_path / "own.pth")
    assert trained_on(TINY, tmp_path / "own.pth") == ""


def test_bad_options_are_refused(tiny: TorchBackend, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown variant 'flashocc-M0'"):
        Predictor("flashocc-M0")
    with pytest.raises(ConfigError, match="unknown engine 'gpu'"):
        Predictor(TINY, engine="gpu")
    with pytest.raises(CheckpointError, match=r"missing\.pth does not exist"):
        Predictor(TINY, tmp_path / "missing.pth")
    with pytest.raises(ConfigError, match="panoptic distance limit"):
        Predictor(TINY, backend=tiny, panoptic_max_distance_m={"tree": 3.0})
    with pytest.raises(ConfigError, match="the backend runs synthetic-tiny"):
        Predictor("flashocc-r50-M0", backend=tiny)


def test_importing_the_predictor_needs_neither_torch_nor_ros() -> None:
    code = "import sys; from flashocc_ros import Predictor; print([m for m in ('torch', 'rclpy') if m in sys.modules])"
    root = Path(__file__).resolve().parents[1]
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": 5}, "variant is 5, needs a name"),
        ({"variant": ["a"]}, "variant is .*needs a name"),
        ({"engine": []}, "unknown engine"),
        ({"checkpoint": 5}, "checkpoint is 5, needs a path"),
        ({"cache_dir": 5}, "cache_dir is 5, needs a path"),
        ({"engine": np.zeros(3)}, "unknown engine array"),
        ({"precision": np.zeros(3)}, "unknown precision array"),
        ({"backend": 5}, "backend is 5, needs an opened engine or None"),
        ({"backend": False}, "backend is False, needs an opened engine or None"),
        ({"panoptic_max_distance_m": 5}, "panoptic_max_distance_m is 5, needs metres by class name"),
        ({"panoptic_max_distance_m": {"car": "far"}}, "distance limit of car is 'far', needs a number"),
        ({"panoptic_max_distance_m": {"car": True}}, "distance limit of car is True, needs a number"),
        ({"panoptic_reference_mode": "false"}, "panoptic_reference_mode is 'false', needs True or False"),
        ({"memory_interval_s": "1"}, "memory.interval_s is '1', needs a number"),
        ({"max_gap_s": None}, "memory.max_gap_s is None, needs a number"),
        ({"max_speed_mps": 10**400}, "memory.max_speed_mps is inf, out of range"),
        ({"track_max_age_s": True}, "panoptic.track_max_age_s is True, needs a number"),
    ],
)
def test_an_argument_of_another_type_is_one_sentence(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Predictor(**({"variant": TINY} | arguments))


@pytest.mark.parametrize("count", [None, "6", 0, -1, 2.5, True])
def test_no_number_of_cameras_is_refused(tiny: TorchBackend, count: Any) -> None:
    with pytest.raises(ConfigError, match=r"num_cameras is .*needs a whole number of at least 1"):
        Predictor(TINY, backend=tiny).prepare(count)


def test_the_first_set_compiles_nothing_for_objects_that_prepare_has_not() -> None:
    script = """
import numpy as np
from numba.core.registry import CPUDispatcher
from flashocc_ros import Predictor
from flashocc_ros.checks.speed import camera_jpegs
from flashocc_ros.pipeline import segment_kernels
kernels = [k for k in vars(segment_kernels).values() if isinstance(k, CPUDispatcher)]
predictor = Predictor("synthetic-tiny", engine="torch")
assert not any(k.signatures for k in kernels)
predictor.prepare(6)
ready = [list(k.signatures) for k in kernels]
jpegs, rig = camera_jpegs(None)
found = predictor(jpegs, rig, np.tile(np.eye(4), (6, 1, 1)), 0)
assert found.centers, "nothing to cut into objects in this picture"
assert [len(s) for s in ready] == [1] * 9, ready
assert [list(k.signatures) for k in kernels] == ready
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
