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

"""Frames as bytes: small, whole, and the same object in the same colour."""

from __future__ import annotations

import gzip
import json
import struct
from typing import Any

import numpy as np
import pytest
import simplejpeg
from view_scenes import CAR, CAR_ID, GRID, TRUE_CAR_ID, frame, layer

from flashocc_ros.labels import FREE
from flashocc_ros.view.encode import encode
from flashocc_ros.view.frame import Layer, Shot
from flashocc_ros.view.objects import objects_of
from flashocc_ros.view.pictures import bounded_jpeg
from flashocc_ros.viz.same_object import same_objects


def parts(data: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Head, arrays and pictures of an encoded frame."""
    (size,) = struct.unpack_from("<I", data)
    body = gzip.decompress(data[4 : 4 + size])
    (text,) = struct.unpack_from("<I", body)
    return json.loads(body[4 : 4 + text]), body[4 + text :], data[4 + size :]


def test_all_occupied_voxels_come_back() -> None:
    head, arrays, _ = parts(encode(frame()))
    count = head["layers"]["prediction"]["occupied"]
    cells = int(np.prod(GRID.size))
    there = np.unpackbits(np.frombuffer(arrays, np.uint8, -(-cells // 8)))[:cells].astype(bool)
    rest = np.frombuffer(arrays, np.uint8, offset=-(-cells // 8))
    semantics = np.full(cells, FREE, np.uint8)
    semantics[there] = rest[:count]
    np.testing.assert_array_equal(semantics.reshape(GRID.size), layer(28).semantics)
    owners = np.zeros(cells, np.uint16)
    owners[there] = rest[count : 2 * count] | rest[2 * count : 3 * count].astype(np.uint16) << 8
    row = next(k for k, thing in enumerate(head["layers"]["prediction"]["objects"], 1) if thing["id"] == CAR_ID)
    np.testing.assert_array_equal(owners.reshape(GRID.size) == row, layer(28).instances == CAR_ID)


def test_unknown_classes_are_not_sent() -> None:
    semantics = np.full(GRID.size, 255, np.uint8)
    semantics[0, 0, 0] = CAR
    head, _, _ = parts(encode(frame(prediction=Layer(semantics))))
    assert head["layers"]["prediction"]["occupied"] == 1


def test_the_same_object_takes_the_same_colour() -> None:
    head, _, _ = parts(encode(frame(truth=True)))
    colors = [
        {thing["id"]: thing["color"] for thing in head["layers"][name]["objects"]} for name in ("prediction", "truth")
    ]
    assert colors[0][CAR_ID] == colors[1][TRUE_CAR_ID]


def test_objects_are_matched_by_overlap_and_once_only() -> None:
    mine, others = np.zeros((10, 1, 1), np.int32), np.zeros((10, 1, 1), np.int32)
    mine[0:6] = 30
    mine[6:8] = 31
    others[0:5] = 50
    others[5:8] = 51
    assert same_objects(mine, others) == {50: 30, 51: 31}
    assert same_objects(mine, np.full_like(mine, 4)) == {}


def test_objects_that_nobody_listed_are_found_in_the_volume() -> None:
    known = objects_of(layer(), GRID)
    person = next(thing for thing in known if thing.id != CAR_ID)
    assert (person.class_id, person.voxel_count, person.score) == (7, 2, 0.0)
    assert person.center_m == pytest.approx((2.5, -7.5, 1.0))
    assert person.extent_m == pytest.approx((1.0, 1.0, 2.0))


def test_a_small_jpeg_file_is_passed_on_as_it_is() -> None:
    file = simplejpeg.encode_jpeg(np.zeros((36, 64, 3), np.uint8))
    assert bounded_jpeg(file)[0] is file


def test_a_large_picture_is_made_smaller_and_its_calibration_with_it() -> None:
    file, resized = bounded_jpeg(np.zeros((900, 1600, 3), np.uint8), 400)
    assert simplejpeg.decode_jpeg_header(file)[:2] == (225, 400)
    # the lower right corner of the last pixel stays that corner
    np.testing.assert_allclose(resized @ [1599.5, 899.5, 1], [399.5, 224.5, 1])


def test_pictures_follow_in_the_order_of_their_cameras() -> None:
    files = [simplejpeg.encode_jpeg(np.full((8, 8, 3), value, np.uint8)) for value in (0, 200)]
    shots = [Shot(str(k), file, np.eye(3), np.eye(4)) for k, file in enumerate(files)]
    head, _, pictures = parts(encode(frame(shots=shots)))
    assert pictures == b"".join(files)
    assert [camera["bytes"] for camera in head["cameras"]] == [len(file) for file in files]


def test_a_drive_of_the_usual_grid_stays_small() -> None:
    """17 kB are the measure of a street of 200 x 200 x 16 voxels."""
    rng = np.random.default_rng(0)
    semantics = np.full((200, 200, 16), FREE, np.uint8)
    semantics[:, :, :2] = 11
    for x, y in rng.integers(0, 180, (60, 2)):
        semantics[x : x + 12, y : y + 5, 2 : rng.integers(4, 14)] = rng.integers(0, 17)
    assert len(encode(frame(prediction=Layer(semantics), grid=type(GRID)()))) < 17_000
