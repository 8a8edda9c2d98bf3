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

"""The configuration of RViz: what it shows, and which cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flashocc_ros.errors import ConfigError
from flashocc_ros.ros.rviz_layout import IMAGE, CameraView, camera_views, rviz_config

CONFIG = Path(__file__).resolve().parents[2] / "config"
SHIPPED = CONFIG / "flashocc.rviz"


def displays(path: Path) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = yaml.safe_load(path.read_text())["Visualization Manager"]["Displays"]
    return shown


def state(path: Path) -> str:
    return str(yaml.safe_load(path.read_text())["Window Geometry"]["QMainWindow State"])


def docked(name: str) -> str:
    """A name as Qt stores it: bytes that follow, then UTF-16."""
    return f"{2 * len(name):08x}" + name.encode("utf-16-be").hex()


def test_rviz_shows_every_picture_output_and_the_cameras_of_the_shipped_rig():
    shown = displays(SHIPPED)
    pictures = [d["Topic"]["Value"] for d in shown if d["Class"] == IMAGE]
    assert {d["Topic"]["Value"] for d in shown if "Topic" in d} - set(pictures) == {"markers", "points", "grid"}
    assert pictures == [view.shown for view in camera_views(CONFIG / "cameras_nuscenes.yaml")]
    for display in shown:
        if display["Class"] == IMAGE:
            assert docked(display["Name"]) in state(SHIPPED)


def test_a_latched_map_is_subscribed_to_as_one():
    (grid,) = (d for d in displays(SHIPPED) if d["Class"].endswith("/Map"))
    assert grid["Topic"]["Durability Policy"] == "Transient Local"


@pytest.mark.parametrize("count", [2, 6, 8])
def test_other_cameras_take_the_places_of_the_shipped_ones(count: int):
    shipped = [d["Name"] for d in displays(SHIPPED) if d["Class"] == IMAGE]
    names = [*shipped[1::-1], "left", "right", "rear", "roof", "nose", "tail"][:count]  # two of them change places
    made = rviz_config(SHIPPED, [CameraView(name, f"{name}/image", True) for name in names])
    pictures = [d for d in displays(made) if d["Class"] == IMAGE]
    assert [d["Name"] for d in pictures] == names
    assert [d["Topic"]["Value"] for d in pictures] == [f"flashocc_view/{name}/compressed" for name in names]
    places = [state(SHIPPED).index(docked(name)) for name in shipped]
    order = sorted(range(min(count, 6)), key=lambda i: places[i])
    found = [state(made).index(docked(names[i])) for i in order]
    assert found == sorted(found)
    assert len(displays(made)) == len(displays(SHIPPED)) - 6 + count


def test_a_camera_is_found_as_the_node_finds_it(tmp_path: Path):
    base, rig = tmp_path / "base.yaml", tmp_path / "rig.yaml"
    base.write_text("/**: {ros__parameters: {variant: x, cameras: {transport: raw, names: [gone]}}}")
    rig.write_text("/**: {ros__parameters: {cameras: {names: [a, b], b: {image_topic: /eye}}}}")
    assert camera_views(base, rig) == [CameraView("a", "a/image_rect", False), CameraView("b", "/eye", False)]
    assert camera_views(base, rig)[0].shown.endswith("a/image")


def test_video_is_not_shown(tmp_path: Path):
    rig = tmp_path / "rig.yaml"
    rig.write_text("/**: {ros__parameters: {cameras: {transport: ffmpeg, names: [a, b]}}}")
    assert camera_views(rig) == []
    assert not any(d["Class"] == IMAGE for d in displays(rviz_config(SHIPPED, [])))


def test_a_parameter_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        camera_views(tmp_path / "gone.yaml")
