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

"""Occupied voxels as points in files, read back by rules of the formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashocc_ros.labels import OCC3D
from flashocc_ros.structures import Occupancy, VoxelGrid

CAR, FREE = 4, 17


@pytest.fixture
def occupancy() -> Occupancy:
    semantics = np.full((3, 4, 5), FREE, np.uint8)
    semantics[0, 0, 0], semantics[2, 3, 4] = CAR, 15
    instances = semantics.astype(np.int32)
    instances[0, 0, 0] = 70_000
    return Occupancy(semantics, instances, (), 1, grid=VoxelGrid(0.5, (-1.0, -2.0, 0.0), (3, 4, 5)))


def header_and_body(path: Path, last_line: bytes) -> tuple[list[str], bytes]:
    head, body = path.read_bytes().split(last_line + b"\n", 1)
    return head.decode().splitlines(), body


def test_points_are_voxel_centres_with_class_and_object(occupancy: Occupancy) -> None:
    points = occupancy.points()
    assert np.stack([points[axis] for axis in "xyz"], 1).tolist() == [[-0.75, -1.75, 0.25], [0.25, -0.25, 2.25]]
    assert points["class_id"].tolist() == [CAR, 15]
    assert points["instance_id"].tolist() == [70_000, 0]


def test_ply_has_one_vertex_a_point(occupancy: Occupancy, tmp_path: Path) -> None:
    occupancy.to_ply(tmp_path / "o.ply")
    lines, body = header_and_body(tmp_path / "o.ply", b"end_header")
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 2"]
    kinds = {"float": "<f4", "uchar": "u1", "int": "<i4"}
    dtype = np.dtype([(name, kinds[kind]) for _, kind, name in (line.split() for line in lines[3:])])
    vertices = np.frombuffer(body, dtype)
    assert vertices["z"].tolist() == [0.25, 2.25]
    assert [tuple(vertices[c][0] for c in ("red", "green", "blue"))] == [OCC3D.colors_rgb[CAR]]
    assert vertices["instance_id"].tolist() == [70_000, 0]


def test_pcd_has_one_row_a_point(occupancy: Occupancy, tmp_path: Path) -> None:
    occupancy.to_pcd(tmp_path / "o.pcd")
    lines, body = header_and_body(tmp_path / "o.pcd", b"DATA binary")
    head = {key: values for key, *values in (line.split() for line in lines)}
    kinds = [f"<{t.lower()}{s}" for t, s in zip(head["TYPE"], head["SIZE"], strict=True)]
    rows = np.frombuffer(body, np.dtype(list(zip(head["FIELDS"], kinds, strict=True))))
    assert (head["POINTS"], len(rows)) == (["2"], 2)
    assert rows["x"].tolist() == [-0.75, 0.25]
    red, green, blue = OCC3D.colors_rgb[CAR]
    assert rows["rgb"].view(np.uint32).tolist()[0] == red << 16 | green << 8 | blue


def test_nothing_occupied_is_an_empty_cloud(tmp_path: Path) -> None:
    empty = Occupancy(np.full((2, 2, 2), FREE, np.uint8), None, (), 1)
    empty.to_ply(tmp_path / "o.ply")
    empty.to_pcd(tmp_path / "o.pcd")
    assert b"element vertex 0\n" in (tmp_path / "o.ply").read_bytes()
    assert (tmp_path / "o.pcd").read_bytes().endswith(b"POINTS 0\nDATA binary\n")
