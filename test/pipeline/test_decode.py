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

"""Labels and object centres from raw head outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from flashocc_ros.pipeline.decode import argmax_labels, decode_centers

Maps = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]


def empty_maps(classes: int = 10) -> Maps:
    shape = (200, 200)
    return (
        np.full((classes, *shape), -9.0, np.float32),
        np.zeros((2, *shape), np.float32),
        np.zeros((1, *shape), np.float32),
    )


def slow_centers(heatmap: npt.NDArray[np.float32], threshold: float) -> list[tuple[int, int, int]]:
    """(class, row, column) of every peak by the definition, best score first."""
    score = 1 / (1 + np.exp(-heatmap.astype(np.float64)))
    padded = np.pad(score, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    peak = (score == windows.max((3, 4))) & (score > threshold)
    found = np.argwhere(peak)
    return [tuple(c) for c in found[np.argsort(-score[peak], kind="stable")].tolist()]


def test_labels_are_the_argmax() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 30, 4, 18)).astype(np.float32)
    labels, finite = argmax_labels(logits)
    assert finite
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, logits.argmax(-1))


def test_equal_logits_give_the_first_class() -> None:
    assert argmax_labels(np.zeros((1, 1, 1, 18), np.float32))[0].item() == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_told(value: float) -> None:
    logits = np.zeros((4, 3, 2, 18), np.float32)
    logits[2, 1, 0, 11] = value
    assert not argmax_labels(logits)[1]


def test_a_centre_is_placed_by_cell_offset_and_height() -> None:
    heatmap, reg, height = empty_maps()
    heatmap[3, 120, 40] = 2.0
    reg[:, 120, 40] = (0.25, 0.75)
    height[0, 120, 40] = 1.5
    centers = decode_centers(heatmap, reg, height, 0.3)
    np.testing.assert_allclose(centers.xyz_m, [[40.25 * 0.4 - 40, 120.75 * 0.4 - 40, 1.5]], atol=1e-5)
    np.testing.assert_array_equal(centers.detection, [3])
    np.testing.assert_allclose(centers.score, [1 / (1 + np.exp(-2.0))], rtol=1e-6)


def test_peaks_are_those_of_the_definition() -> None:
    heatmap, reg, height = empty_maps()
    heatmap[:] = np.random.default_rng(1).normal(-2.5, 1.0, heatmap.shape)
    centers = decode_centers(heatmap, reg, height, 0.3)
    cells = np.rint((centers.xyz_m[:, 1::-1] + 40) / 0.4).astype(int)
    got = [(int(d), *map(int, cell)) for d, cell in zip(centers.detection, cells, strict=True)]
    assert len(got) > 100
    assert got == slow_centers(heatmap, 0.3)[:500]


def test_saturated_neighbours_are_all_peaks() -> None:
    heatmap, reg, height = empty_maps()
    heatmap[0, 50, 50:52] = (40.0, 50.0)
    assert len(decode_centers(heatmap, reg, height, 0.3)) == 2


def test_a_score_equal_to_the_threshold_is_dropped() -> None:
    heatmap, reg, height = empty_maps()
    heatmap[0, 10, 10] = 0.0
    assert len(decode_centers(heatmap, reg, height, 0.5)) == 0
    assert len(decode_centers(heatmap, reg, height, 0.499)) == 1


def test_at_most_five_hundred_centres_remain() -> None:
    heatmap, reg, height = empty_maps()
    heatmap[:, ::4, ::4] = np.random.default_rng(2).normal(2, 0.5, (10, 50, 50))
    centers = decode_centers(heatmap, reg, height, 0.3)
    assert len(centers) == 500
    assert centers.score[-1] >= np.sort(1 / (1 + np.exp(-heatmap[heatmap > -9])))[-500] - 1e-6
    assert (np.diff(centers.score) <= 0).all()


def test_centres_out_of_range_are_dropped() -> None:
    heatmap, reg, height = empty_maps()
    heatmap[0, (20, 40, 60), 100] = 3.0
    reg[0, 40, 100] = 200.0
    height[0, 60, 100] = 11.0
    assert len(decode_centers(heatmap, reg, height, 0.3)) == 1


@pytest.mark.data
def test_golden_centres_fall_where_their_maps_say(shared_dir: Path) -> None:
    golden = np.load(shared_dir / "spec" / "golden" / "panoptic-flashocc-r50-depth4d-longterm8f-pano.npz")
    # The stored maps are every fourth cell: centres on such cells must come out of them.
    heatmap, reg, height = empty_maps()
    for name, full in (("head_heatmap", heatmap), ("head_reg", reg), ("head_height", height)):
        full[:, ::4, ::4] = golden[name]
    centers = decode_centers(heatmap, reg, height, 0.3)
    found = 0
    for xyz, score, label in zip(golden["center_xyz"], golden["center_score"], golden["center_label"], strict=True):
        match = (np.abs(centers.xyz_m - xyz).max(1) < 1e-4) & (centers.detection == label)
        if match.any():
            assert centers.score[match][0] == pytest.approx(score, abs=1e-6)
            found += 1
    assert found >= 1
