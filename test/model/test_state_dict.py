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

"""Keys, shapes, order and sizes of every network against the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from flashocc_ros.checks.complexity import count_gmacs, count_gmacs_per_frame, count_parameters_m
from flashocc_ros.model import VARIANTS, build_model
from flashocc_ros.model.network import FlashOcc

OFFICIAL = [
    name for name, row in VARIANTS.items() if not row.stands_for.startswith("none") and not name.endswith("-published")
]


def test_the_table_holds_the_18_published_configurations(shared_dir: Path) -> None:
    assert sorted(OFFICIAL) == sorted(file.stem for file in (shared_dir / "spec/state_dict").glob("*.json"))


@pytest.mark.parametrize("name", OFFICIAL)
def test_keys_shapes_and_order_are_those_of_the_reference(name: str, shared_dir: Path) -> None:
    expected = json.loads((shared_dir / "spec/state_dict" / f"{name}.json").read_text())["state_dict"]
    with torch.device("meta"):
        actual = {key: list(value.shape) for key, value in FlashOcc(VARIANTS[name]).state_dict().items()}
    assert list(actual.items()) == list(expected.items())


@pytest.mark.parametrize("name", VARIANTS)
def test_parameter_count_is_the_stated_one(name: str) -> None:
    with torch.device("meta"):
        assert round(count_parameters_m(FlashOcc(VARIANTS[name])), 4) == VARIANTS[name].params_m


def test_stated_counts_are_the_published_ones(shared_dir: Path) -> None:
    published = json.loads((shared_dir / "spec/params_flops.json").read_text())["results"]
    for name, row in published.items():
        assert (VARIANTS[name].params_m, VARIANTS[name].gmacs) == (row["params_M"], row["GMAC"]), name


@pytest.mark.parametrize(
    "name",
    [
        "bevdet-occ-r50",
        "flashocc-r50-M0",
        "flashocc-r50-4d-stereo",
        "flashocc-stbase-4d-stereo-512x1408_4x4_2e-4",
        "panoptic-flashocc-r50-depth-pano",
        "panoptic-flashocc-r50-depth-published",
        "panoptic-flashocc-r50-depth4d-pano",
        "panoptic-flashocc-r50-depth4d-longterm8f",
        "synthetic-tiny-4d",
    ],
)
def test_stated_multiply_adds_are_what_the_counter_finds(name: str) -> None:
    variant = VARIANTS[name]
    counted = count_gmacs(variant)
    assert (None if counted is None else round(counted, 4)) == variant.gmacs
    assert round(count_gmacs_per_frame(variant), 4) == variant.gmacs_per_frame


def test_untrained_weights_are_the_same_every_time_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(3)
    first = build_model("synthetic-tiny").state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.rand(1) == drawn
    second = build_model("synthetic-tiny").state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
