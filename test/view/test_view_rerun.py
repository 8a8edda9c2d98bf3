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

"""Rerun recordings."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from view_scenes import CAR, CAR_ID, drive, frame, layer, source

from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.structures import Instance
from flashocc_ros.view.rerun_log import layout, write_rrd


@pytest.fixture
def sdk() -> None:
    pytest.importorskip("rerun", reason="rerun-sdk, 170 MB, is not among the tools of the tests")


def test_without_the_sdk_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match=r"pip install 'flashocc_ros\[rerun\]'"):
        write_rrd(drive(1), tmp_path / "x.rrd")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("sdk")
def test_voxels_boxes_and_cameras_are_in_the_recording(tmp_path: Path) -> None:
    from rerun.chunk import RrdReader

    assert write_rrd(drive(3, ["front"], truth=True), tmp_path / "drive.rrd") == 3
    entities = {str(chunk.entity_path) for chunk in RrdReader(tmp_path / "drive.rrd").stream()}
    base = "/odom/base_link"
    assert {f"{base}/occupancy/voxels", f"{base}/truth/objects", f"{base}/cameras/front"} <= entities


@pytest.mark.usefixtures("sdk")
def test_what_moves_has_an_arrow(tmp_path: Path) -> None:
    from rerun.chunk import RrdReader

    car = Instance(CAR_ID, CAR, 0.83, (8.0, 0.0, 1.0), (4.0, 2.0, 2.0), 16, (0.0, -4.0, 3.0), 0.5)
    write_rrd(source([frame(prediction=replace(layer(), objects=(car,)))]), tmp_path / "drive.rrd")
    chunks = RrdReader(tmp_path / "drive.rrd").stream()
    (found,) = (chunk for chunk in chunks if str(chunk.entity_path) == "/odom/base_link/occupancy/velocities")
    arrows = found.to_record_batch()
    assert arrows.column("Arrows3D:vectors").to_pylist() == [[[0.0, -4.0, 3.0]]]
    assert arrows.column("Arrows3D:origins").to_pylist() == [[[8.0, 0.0, 1.0]]]


@pytest.mark.usefixtures("sdk")
@pytest.mark.parametrize(("truth", "cameras"), [(True, ["front", "a/b [c]"]), (False, [])])
def test_the_layout_shows_each_scene_and_each_camera(truth: bool, cameras: list[str]) -> None:
    from rerun.blueprint import Spatial2DView, Spatial3DView

    def views(part: Any) -> list[Any]:
        below = list(part.contents) if hasattr(part, "contents") and not hasattr(part, "origin") else []
        return [part] if not below else [view for child in below for view in views(child)]

    found = views(layout(["occupancy", "truth"] if truth else ["occupancy"], cameras).root_container)
    assert [v.name for v in found if isinstance(v, Spatial3DView)] == (
        ["occupancy", "truth"] if truth else ["occupancy"]
    )
    assert [v.name for v in found if isinstance(v, Spatial2DView)] == cameras


@pytest.mark.usefixtures("sdk")
def test_the_layout_knows_what_the_first_frame_lacks(tmp_path: Path) -> None:
    from rerun.chunk import RrdReader

    later = frame(1, ["front"], truth=True)
    assert write_rrd(source([frame(0), later]), tmp_path / "drive.rrd") == 2
    reader = RrdReader(tmp_path / "drive.rrd")
    (blueprint,) = reader.blueprints()
    rows = [chunk.to_record_batch() for chunk in reader.stream(store=blueprint)]
    column = "ViewBlueprint:display_name"
    names = [name for row in rows if column in row.schema.names for (name,) in row.column(column).to_pylist()]
    assert sorted(names) == ["front", "occupancy", "truth"]


@pytest.mark.usefixtures("sdk")
def test_nothing_to_show_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a drive holds no frame"):
        write_rrd(source([]), tmp_path / "empty.rrd")
    assert list(tmp_path.iterdir()) == []
