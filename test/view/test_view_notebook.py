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

"""Results in a notebook: a page in a frame of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from view_page import Page
from view_scenes import GRID, layer

from flashocc_ros import CameraRig, LiveView, Occupancy
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.labels import OCC3D, ClassTable, SemanticClass
from flashocc_ros.view.scene import LiveScene


def occupancy(index: int = 0) -> Occupancy:
    found = layer(28 - index)
    stamp_ns = 1_000_000_000 + index
    return Occupancy(found.semantics, found.instances, tuple(found.objects), stamp_ns, {"head": 5.0}, GRID)


@pytest.fixture
def live() -> Iterator[LiveView]:
    view = LiveView()
    yield view
    view.close()


def notebook(tmp_path: Path, cell: str) -> str:
    """Address of a page that holds a cell's output."""
    (tmp_path / "notebook.html").write_text(f"<!doctype html><title>notebook</title><link rel=icon href=data:,>{cell}")
    return (tmp_path / "notebook.html").as_uri()


def test_a_result_shows_itself_with_its_pictures(open_page: Callable[..., Page], tmp_path: Path) -> None:
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    rig = CameraRig(["front"], np.array([[[40.0, 0, 32], [0, 40, 18], [0, 0, 1]]]), pose[None])
    camera_set = CameraSet([np.zeros((36, 64, 3), np.uint8)], rig, np.eye(4)[None], 1)
    page = open_page(notebook(tmp_path, occupancy().show(camera_set)._repr_html_()))
    frame = page.page.frame_locator("iframe")
    frame.get_by_role("button", name="Look through front").wait_for()
    assert frame.locator(".time").inner_text() == "0.00 s   1 / 1"


def test_a_live_view_follows_what_it_is_given(open_page: Callable[..., Page], live: LiveView) -> None:
    page = open_page(live.url)
    for index in range(3):
        live.update(occupancy(index))
        page.wait(f"() => window.flashocc?.frame?.head.stamp_ns === '{1_000_000_000 + index}'")
    assert page.page.locator(".report").inner_text().split("\n") == ["head ms", "5"]


def test_a_live_view_is_a_frame_of_its_address(live: LiveView) -> None:
    assert f'src="{live.url}"' in live._repr_html_()


def test_a_page_with_other_classes_than_the_results_is_told_so() -> None:
    own = ClassTable("own", 1, (SemanticClass("crate", (9, 9, 9)), SemanticClass("free", (0, 0, 0))), 1)
    scene = LiveScene("live", OCC3D)
    assert len(scene()["classes"]) == 17
    scene.take(own)
    assert "load this page again" in scene.outdated
    assert [c["name"] for c in scene()["classes"]] == ["crate"]
    assert scene.outdated == ""
