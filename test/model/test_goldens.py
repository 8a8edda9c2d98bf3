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

"""Every stored output of the reference implementation, reproduced from the real frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

from flashocc_ros.checks.golden_parity import compare_golden, read_golden
from flashocc_ros.errors import InputError
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.variants import VARIANTS, Variant

SWIN = "flashocc-stbase-4d-stereo-512x1408_4x4_2e-4"
LONG = "panoptic-flashocc-r50-depth4d-longterm8f-pano"


@pytest.mark.parametrize(
    "file",
    [
        "flashocc-r50-M0",
        "bevdet-occ-r50",
        "flashocc-r50-4d-stereo",
        pytest.param("flashocc-r50-4d-stereo.noaavt", marks=pytest.mark.slow),
        pytest.param(SWIN, marks=pytest.mark.slow),
        pytest.param(f"{SWIN}.noaavt", marks=pytest.mark.slow),
        pytest.param(LONG, marks=pytest.mark.slow),
        pytest.param(f"{LONG}.noaavt", marks=pytest.mark.slow),
    ],
)
def test_stages_and_voxels_equal_the_reference(
    file: str,
    shared_dir: Path,
    named_model: Callable[[str], FlashOcc],
    golden_pictures: Callable[[Variant], npt.NDArray[np.float32]],
    spec_module: Callable[[str], ModuleType],
) -> None:
    variant = VARIANTS[file.removesuffix(".noaavt")]
    golden = read_golden(shared_dir / "spec/golden" / f"{file}.npz", variant)
    model = named_model(variant.name)
    checksum = spec_module("named_weights").checksum(model.state_dict())
    assert checksum == pytest.approx(golden.meta["weights_checksum"], rel=1e-12)

    result = compare_golden(model, golden, golden_pictures(variant))

    compared = {stage.name for stage in result.stages}
    assert compared >= {"bev_pool_f0", "bev_out", "occ_logits"}
    assert {"head_heatmap", "head_reg", "head_height"} <= compared or not variant.panoptic
    assert [stage for stage in result.stages if not stage.passed] == []
    assert result.point_difference <= 2
    assert result.wrong_voxels == 0
    assert (result.instances is not None) == variant.panoptic
    assert result.instances is None or result.instances.passed


def test_a_golden_of_another_variant_is_refused(shared_dir: Path) -> None:
    with pytest.raises(InputError, match=r"flashocc-r50-M0"):
        read_golden(shared_dir / "spec/golden/flashocc-r50-M0.npz", VARIANTS["flashocc-r50"])


def test_wrong_weights_are_noticed(
    shared_dir: Path,
    named_model: Callable[[str], FlashOcc],
    golden_pictures: Callable[[Variant], npt.NDArray[np.float32]],
) -> None:
    variant = VARIANTS["flashocc-r50-M0"]
    golden = read_golden(shared_dir / "spec/golden/flashocc-r50-M0.npz", variant)
    model = named_model(variant.name)
    model.occ_head.predicter[2].bias.data[17::18] += 1.0

    result = compare_golden(model, golden, golden_pictures(variant))

    assert not result.passed
    assert result.wrong_voxels > 0
    assert [stage.name for stage in result.stages if not stage.passed] == ["occ_logits"]
