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

"""Clouds of many drivers: fields, spellings and units of time, organised or not, damaged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flashocc_ros.errors import InputError
from flashocc_ros.labelling.clouds import MAX_POINTS, read_cloud

STAMP_NS = 1_700_000_000_123_456_789
TYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


def cloud(fields: dict[str, np.ndarray], shape: tuple[int, int] | None = None, big: bool = False, pad: int = 0) -> Any:
    """A message with these columns of M values."""
    order = ">" if big else "<"
    kinds = {name: f"{values.dtype.kind}{values.dtype.itemsize}" for name, values in fields.items()}
    dtype = np.dtype([(name, order + kind) for name, kind in kinds.items()])
    count = len(next(iter(fields.values())))
    rows = np.zeros(count, dtype)
    for name, values in fields.items():
        rows[name] = values
    height, width = shape or (1, count)
    lines = rows.reshape(height, width).view(np.uint8).reshape(height, -1)
    data = np.pad(lines, ((0, 0), (0, pad))).ravel()
    described = [
        SimpleNamespace(name=name, offset=dtype.fields[name][1], datatype=TYPES[kind], count=1)
        for name, kind in kinds.items()
    ]
    return SimpleNamespace(
        height=height, width=width, fields=described, is_bigendian=big, point_step=dtype.itemsize,
        row_step=width * dtype.itemsize + pad, data=data, is_dense=False,
    )  # fmt: skip


def xyz(count: int) -> dict[str, np.ndarray]:
    return {name: np.arange(1, count + 1, dtype=np.float32) * (k + 1) for k, name in enumerate("xyz")}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("time", np.linspace(0, 0.05, 6, dtype=np.float32)),
        ("t", np.linspace(0, 50_000_000, 6).astype(np.uint32)),
        ("offset_time", np.linspace(0, 50_000_000, 6).astype(np.uint32)),
        ("timestamp", STAMP_NS / 1e9 + np.linspace(0, 0.05, 6)),
        ("timestamp", STAMP_NS + np.linspace(0, 0.05, 6) * 1e9),
        ("time_us", None),
        ("Time", np.linspace(0, 50, 6).astype(np.float32)),
        ("ts", np.linspace(0, 50_000, 6).astype(np.int32)),
    ],
)
def test_times_of_every_spelling_and_unit_are_seconds_after_the_stamp(name: str, values: np.ndarray | None) -> None:
    fields = xyz(6) if values is None else {**xyz(6), name: np.asarray(values)}
    found = read_cloud(cloud(fields), STAMP_NS)
    if values is None:
        assert found.times_s is None
        assert "without a time per point" in found.remark
        return
    assert found.times_s is not None
    np.testing.assert_allclose(found.times_s, np.linspace(0, 0.05, 6), atol=2e-6)
    assert not found.remark


def test_times_before_the_stamp_stay_before_it() -> None:
    values = np.linspace(-0.1, 0, 6, dtype=np.float32)
    found = read_cloud(cloud({**xyz(6), "time": values}), STAMP_NS)
    np.testing.assert_allclose(found.times_s, values, atol=1e-6)


def test_times_of_another_clock_begin_at_the_stamp_and_that_is_said() -> None:
    found = read_cloud(cloud({**xyz(6), "timestamp": 50_000.0 + np.linspace(0, 0.05, 6)}), STAMP_NS)
    np.testing.assert_allclose(found.times_s, np.linspace(0, 0.05, 6), atol=1e-6)
    assert "another clock" in found.remark


def test_times_that_span_no_sweep_are_not_used_and_that_is_said() -> None:
    found = read_cloud(cloud({**xyz(6), "t": np.zeros(6, np.uint32)}), STAMP_NS)
    assert found.times_s is None
    assert "span 0" in found.remark


def test_organised_clouds_keep_rays_without_return() -> None:
    fields = xyz(6)
    fields["x"][2], fields["y"][4], fields["z"][4], fields["x"][4] = np.nan, 0, 0, 0
    found = read_cloud(cloud(fields, (2, 3)), STAMP_NS)
    assert found.shape == (2, 3)
    np.testing.assert_array_equal(np.isnan(found.points[:, 0]), [False, False, True, False, True, False])
    assert len(read_cloud(cloud(fields), STAMP_NS).points) == 4


def test_bytes_of_the_other_order_and_padded_rows_are_read() -> None:
    for message in (cloud(xyz(6), (2, 3), big=True), cloud(xyz(6), (2, 3), pad=5)):
        np.testing.assert_allclose(read_cloud(message, STAMP_NS).points[:, 2], np.arange(1, 7) * 3)


def test_classes_come_from_the_named_field() -> None:
    values = np.array([0, 4, 16, 255, 17, 3], np.uint8)
    found = read_cloud(cloud({**xyz(6), "label": values}), STAMP_NS, "label")
    assert found.classes is not None
    np.testing.assert_array_equal(found.classes, values)
    with pytest.raises(InputError, match="no field semantic, only x, y, z"):
        read_cloud(cloud(xyz(6)), STAMP_NS, "semantic")


@pytest.mark.parametrize("values", [np.array([3, 300, 3], np.uint16), np.array([3, -1, 3], np.int8)])
def test_classes_that_no_table_has_are_one_sentence(values: np.ndarray) -> None:
    with pytest.raises(InputError, match=f"a point has class {values[1]} in semantic, limit 0 to 255"):
        read_cloud(cloud({**xyz(3), "semantic": values}), STAMP_NS, "semantic")
    lost = xyz(3)
    lost["x"][1] = np.nan
    twice = {name: np.tile(column, 2) for name, column in {**lost, "semantic": values}.items()}
    found = read_cloud(cloud(twice, (2, 3)), STAMP_NS, "semantic")
    assert found.classes is not None
    assert found.classes.tolist() == [3, 255, 3] * 2  # whatever a ray has that gave no return


def test_of_a_cloud_that_is_too_large_every_nth_point_counts() -> None:
    count = 10_000_000
    ones = np.ones(count, np.float32)
    found = read_cloud(cloud({"x": ones, "y": ones, "z": ones}), STAMP_NS)
    assert len(found.points) == MAX_POINTS
    assert f"clouds of {count} points, limit {MAX_POINTS}: every 5th point counts" in found.remark


def test_a_message_that_is_cut_off_is_one_sentence() -> None:
    message = cloud(xyz(6))
    message.data = message.data[:-4]
    with pytest.raises(InputError, match="1 x 6 points of 12 bytes, but 68 bytes"):
        read_cloud(message, STAMP_NS)
    message.fields[0].datatype = 99
    with pytest.raises(InputError, match="does not hold what it announces"):
        read_cloud(message, STAMP_NS)
