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

"""A variant file on a vehicle of its own, through the whole node over DDS: every topic speaks of its grid and classes.

Ten classes instead of eighteen, voxels of 0.5 m mostly ahead, four cameras of which two are fisheyes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rclpy")
from safetensors.torch import load_file

from flashocc_ros import Occupancy, Predictor
from flashocc_ros.bags import cameras_at, read_messages, read_sets
from flashocc_ros.bags.ids import message_ids
from flashocc_ros.bags.results import ResultFrame, read_results, to_table
from flashocc_ros.data.recorded_frames import truth_stamps
from flashocc_ros.data.synthetic import Drive, load_rig
from flashocc_ros.data.synthetic.bag import write_bag
from flashocc_ros.labels import OCC3D
from flashocc_ros.model.checkpoint import PREDICTS
from flashocc_ros.point_files import POINT_DTYPE
from flashocc_ros.ros.outputs.markers import surface
from flashocc_ros.training.checkpoint import export_weights
from flashocc_ros.variants import Variant, get_variant

pytestmark = [pytest.mark.ros, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "config" / "variant.yaml"
SHIPPED = ROOT / "flashocc_ros" / "weights" / "synthetic-tiny.safetensors"
RIG = ROOT / "config" / "rig_van.yaml"
LIMIT_S = 600
SETS = 2


def adopted(variant: Variant, base: Variant, path: Path) -> Path:
    """Weights of ``base`` for the grid and classes of ``variant``: each class takes the logits of the first one that
    becomes it, each layer those of the layer its middle lies in."""
    values = load_file(SHIPPED)
    sources = [OCC3D.index((*entry.sources, entry.name)[0]) for entry in variant.classes.classes]
    middles_m = variant.grid.origin_m[2] + variant.grid.resolution_m * (np.arange(variant.grid.size[2]) + 0.5)
    layers = np.floor((middles_m - base.grid.origin_m[2]) / base.grid.resolution_m).astype(int)
    rows = (layers[:, None] * len(OCC3D) + np.array(sources)).ravel()
    things = [base.classes.detections.index(sources[c]) for c in variant.classes.detections]
    for name, taken in (("occ_head.predicter.2", rows), ("aux_centerness_head.task_heads.0.heatmap.1", things)):
        for part in ("weight", "bias"):
            values[f"{name}.{part}"] = values[f"{name}.{part}"][list(taken)].contiguous()
    export_weights(path, values, {"variant": variant.name, PREDICTS: variant.predicts})
    return path


@pytest.fixture(scope="module")
def variant() -> Variant:
    return get_variant(FILE)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory, variant: Variant) -> Path:
    path = tmp_path_factory.mktemp("yard") / "drive"
    drawn = Drive(1002, SETS / 2, load_rig(RIG), threads=1, grid=variant.grid)
    write_bag(path, drawn, rate_hz=2.0, truth_every=1, classes=variant.classes)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, variant: Variant) -> Path:
    return adopted(variant, get_variant("synthetic-tiny"), tmp_path_factory.mktemp("weights") / "yard.safetensors")


@pytest.fixture(scope="module")
def expected(drive: Path, weights: Path) -> list[Occupancy]:
    predictor = Predictor(FILE, weights, "torch")
    order = cameras_at(drive, truth_stamps(drive))  # as the demo names them to the node
    return [predictor.predict(camera_set) for camera_set in read_sets(drive, order, fisheye="rays")]


def messages(recording: Path, topic: str) -> list[Any]:
    return [message for _, _, message in read_messages(recording, topic)]


def test_every_topic_of_the_node_speaks_of_the_file(
    tmp_path: Path, domain: int, drive: Path, weights: Path, variant: Variant, expected: list[Occupancy]
) -> None:
    command = [sys.executable, "-m", "flashocc_ros.cli.main", "demo", "--bag", str(drive), "--out", str(tmp_path)]
    options = ["--variant", str(FILE), "--checkpoint", str(weights), "--engine", "torch", "--fisheye", "rays"]
    done = subprocess.run([*command, *options, "--no-pictures"], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    result, names = tmp_path / "result", variant.classes.names

    table = to_table(messages(result, "/class_table")[-1])
    assert table.same_ids(variant.classes)
    assert (table.colors_rgb, table.things, table.flat, table.free) == (
        variant.classes.colors_rgb, variant.classes.things, variant.classes.flat, variant.classes.free
    )  # fmt: skip

    frames: list[ResultFrame] = list(read_results(result))
    assert [frame.stamp_ns for frame in frames] == [occupancy.stamp_ns for occupancy in expected]
    for frame, occupancy in zip(frames, expected, strict=True):
        assert frame.cameras is not None  # those whose first camera gave the stamp
        assert frame.cameras.rig.num_cameras == variant.num_cameras
        assert (frame.grid, occupancy.grid) == (variant.grid, variant.grid)
        assert (frame.semantics == occupancy.semantics).mean() > 0.9999  # threads may add in another order
        assert len(np.unique(frame.semantics)) > 5
    assert set(json.loads((tmp_path / "summary.json").read_text())["truth"]) >= {"mIoU", "frames"}

    found = 0
    for frame, occupancy, message in zip(frames, expected, messages(result, "/instances"), strict=True):
        ids = {message_ids(instance.id, variant.classes) for instance in occupancy.centers}
        assert {instance.id for instance in message.instances} == ids
        for instance in message.instances:
            found += 1
            assert instance.class_id in variant.classes.things
            assert frame.instances is not None
            of_it = frame.instances == instance.id
            assert set(frame.semantics[of_it].tolist()) <= {instance.class_id}
            assert instance.voxel_count == of_it.sum()
    assert found > 2

    colors = np.array(variant.classes.colors_rgb)
    for frame, cloud, marked in zip(frames, messages(result, "/points"), messages(result, "/markers"), strict=True):
        occupied = frame.semantics != variant.classes.free
        points = np.frombuffer(bytes(cloud.data), POINT_DTYPE)
        indices = np.argwhere(occupied)
        np.testing.assert_array_equal(points["class_id"], frame.semantics[occupied])
        xyz = np.stack([points[axis] for axis in "xyz"], 1)
        np.testing.assert_allclose(xyz, variant.grid.centers_m(indices), atol=1e-4)
        texts = {marker.text.split()[0] for marker in marked.markers if marker.text}
        assert texts == {names[instance.class_id] for instance in frame.objects if instance.voxel_count}
        cubes = marked.markers[-1]
        assert cubes.scale.x == variant.grid.resolution_m
        seen = frame.semantics[surface(occupied)]
        shown = np.array([(c.r, c.g, c.b) for c in cubes.colors]) * 255
        np.testing.assert_allclose(shown, colors[seen], atol=0.01)
