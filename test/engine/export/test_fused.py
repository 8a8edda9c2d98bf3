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

"""The single graph from pictures to labels: it equals PyTorch for every kind of network, and refuses other rigs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from small_stream import drive, rig, small

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.nominal_rig import nominal_rig
from flashocc_ros.checks import export_parity as parity
from flashocc_ros.engine.export.calibration import frame_table, standing_table
from flashocc_ros.engine.export.fused import fused_tables
from flashocc_ros.engine.export.write import export
from flashocc_ros.engine.store.meta import ExportMeta
from flashocc_ros.errors import EngineError
from flashocc_ros.variants import Variant, get_variant

Made = Callable[[str], tuple[Variant, Path, ExportMeta]]

KINDS = [
    "flashocc-r50-M0",
    "bevdet-occ-r50",
    "flashocc-r50-4d-stereo",
    "panoptic-flashocc-r50-depth4d-longterm8f-pano",
]


def pictures() -> CameraSet:
    shot = drive(1, (0.0, 0.0, 0.0))[0]
    return CameraSet(shot.images, rig(), shot.odom_from_base, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A shrunken variant exported with its fused graph for the pictures of ``pictures``."""
    done: dict[str, tuple[Variant, Path, ExportMeta]] = {}

    def get(name: str) -> tuple[Variant, Path, ExportMeta]:
        if name not in done:
            variant = replace(small(name), input_size=(64, 192))
            folder = tmp_path_factory.mktemp("fused")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("flashocc_ros.engine.export.write.first_frame", lambda path, *_: pictures())
                done[name] = variant, folder, export(variant, None, folder, fused=True, calibration=Path("drive"))
        return done[name]

    return get


@pytest.mark.parametrize("name", KINDS)
def test_fused_graph_has_the_labels_of_torch(name: str, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    variant, folder, _ = made(name)
    monkeypatch.setattr(parity, "read_frames", lambda path, *_: iter([pictures()]))
    result = parity.compare_export(folder, variant, None, Path("drive"), engines=["onnxruntime"])
    assert [engine.engine.split()[0] for engine in result.engines] == ["onnxruntime", "fused"]
    assert result.ok, result.lines()


def test_a_calibration_that_does_not_fit_is_named(made: Made) -> None:
    variant, _, meta = made("flashocc-r50-M0")
    assert meta.tree is not None
    meta = meta.model_copy(update={"tree": meta.tree.model_copy(update={"rows": 8})})
    with pytest.raises(EngineError, match=r"calibration of truck 7 needs .*graph was exported for 8; export it again"):
        fused_tables(meta, frame_table(variant, pictures()), "of truck 7")


def test_a_rig_with_other_cameras_is_refused(made: Made) -> None:
    variant, _, meta = made("flashocc-r50-M0")
    with pytest.raises(EngineError, match="of truck 7 has 3 cameras, the fused graph was exported for 2"):
        fused_tables(meta, standing_table(variant, nominal_rig(3)), "of truck 7")


def test_an_export_without_the_graph_names_the_option(made: Made) -> None:
    _, _, meta = made("flashocc-r50-M0")
    table = standing_table(get_variant("flashocc-r50-M0"), nominal_rig(2))
    with pytest.raises(EngineError, match="has no fused graph; export it with --fused"):
        fused_tables(meta.model_copy(update={"tree": None}), table, "of truck 7")
