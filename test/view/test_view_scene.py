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

"""The scene in a real browser: it draws, and what is switched off is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from view_page import Page
from view_scenes import CAR, CAR_ID, ROAD, drive, frame, layer, source

from flashocc_ros.structures import Instance

Show = Callable[..., Page]
ROAD_DEG, CAR_DEG = 175.0, 37.0


def test_the_page_draws(show: Show) -> None:
    page = show(drive(1))
    assert page.drawn() > 0.3
    assert page.share(ROAD_DEG) > 0.1


def test_a_class_can_be_switched_off_and_on(show: Show) -> None:
    page = show(drive(1))
    before = page.share(ROAD_DEG)
    page.check("checkbox", "driveable surface").uncheck()
    assert page.state("hiddenClasses") == [ROAD]
    assert page.share(ROAD_DEG) < before / 20
    page.check("checkbox", "driveable surface").check()
    assert page.share(ROAD_DEG) == pytest.approx(before, rel=0.05)


def test_a_single_object_can_be_switched_off(show: Show) -> None:
    page = show(drive(1))
    page.page.get_by_text("Objects (2)").click()
    faces = page.js("app.stats.faces")
    page.check("checkbox", f"show car {CAR_ID}").uncheck()
    # its sides and its roof are gone, and the road below it has come to light
    assert page.js("app.stats.faces") == faces - (4 * 2 * 2 + 2 * 2 * 2 + 4 * 2) + 4 * 2


def test_what_moves_has_an_arrow_and_its_speed(show: Show) -> None:
    moving = Instance(CAR_ID, CAR, 0.83, (8.0, 0.0, 1.0), (4.0, 2.0, 2.0), 16, (0.0, -9.0, 0.0), 0.5)
    page = show(source([frame(prediction=replace(layer(), objects=(moving,)))]), "#view=top")
    assert page.js("app.stage.arrows[0].count") == 1
    assert page.page.locator(".label.object", has_text=f"car {CAR_ID}").inner_text() == f"car {CAR_ID}  9.0 m/s"
    with_arrow = page.picture().astype(int)
    page.check("checkbox", "motion").uncheck()
    rows, columns = np.nonzero(np.abs(with_arrow - page.picture()).max(axis=2) > 100)
    # forward is up, so an object that goes to the right has an arrow across
    assert np.ptp(columns) > 3 * np.ptp(rows) > 0


def test_what_stands_has_no_arrow(show: Show) -> None:
    standing = Instance(CAR_ID, CAR, 0.83, (8.0, 0.0, 1.0), (4.0, 2.0, 2.0), 16, (0.0, -0.2, 0.0), 0.5)
    page = show(source([frame(prediction=replace(layer(), objects=(standing,)))]))
    assert page.js("app.stage.arrows[0].count") == 0


def test_colours_by_class_object_and_height_differ(show: Show) -> None:
    page = show(drive(1))
    seen = []
    for name in ("class", "object", "height"):
        page.page.get_by_text(name, exact=True).first.click()
        assert page.state("color") == name
        seen.append(page.picture())
    assert all(np.mean(np.abs(a.astype(int) - b)) > 1 for a, b in zip(seen, seen[1:] + seen[:1], strict=True))


def test_the_same_object_has_the_same_colour_in_prediction_and_truth(show: Show) -> None:
    page = show(drive(1, truth=True))
    colors = page.js(
        f"[app.frame.layers.prediction, app.frame.layers.truth].map(l => l.objects.find(o => o.class === {CAR}).color)"
    )
    assert colors[0] == colors[1]


def test_prediction_and_truth_stand_side_by_side(show: Show) -> None:
    page = show(drive(1, truth=True), "#compare=split&color=object")
    assert page.page.locator(".halves span").all_inner_texts() == ["prediction", "truth"]
    picture = page.picture()
    halves = np.array_split(picture, 2, axis=1)
    assert all((half.max(axis=2) > 60).mean() > 0.2 for half in halves)


def test_the_difference_is_counted_and_drawn(show: Show) -> None:
    page = show(drive(1, truth=True), "#compare=difference")
    rows = dict(line.split("\n") for line in page.page.locator(".legend > div").all_inner_texts())
    predicted, truth = layer(28), layer(29)
    seen = np.ones(predicted.semantics.shape, bool)
    seen[:8] = False
    there = seen & ((predicted.semantics < 17) | (truth.semantics < 17))
    extra = seen & (predicted.semantics < 17) & (truth.semantics == 17)
    assert rows["only predicted"] == f"{100 * extra.sum() / there.sum():.1f} %"
    assert page.share(350.0) > 0.001  # the red of what is only predicted


def test_a_result_without_truth_offers_no_comparison(show: Show) -> None:
    page = show(drive(1), "#compare=split")
    assert page.check("radiogroup", "Compare").count() == 0
    assert page.drawn() > 0.3


def test_truth_alone_is_shown(show: Show) -> None:
    page = show(source([frame(prediction=None, truth=layer())]))
    assert page.js("app.stage.shown") == ["truth"]
    assert page.share(ROAD_DEG) > 0.1


def test_what_no_camera_sees_is_faded_and_can_be_hidden(show: Show) -> None:
    page = show(drive(1, truth=True), "#view=top")
    pictures = {}
    for name in ("fade", "show", "hide"):
        page.page.get_by_text(name, exact=True).click()
        pictures[name] = page.picture().astype(int)
    color = {name: np.ptp(picture, axis=2).mean() for name, picture in pictures.items()}
    assert color["show"] > color["fade"] * 1.02 > color["hide"] * 1.02**2


@pytest.mark.parametrize("count", [0, 1, 12])
def test_any_number_of_cameras(show: Show, count: int) -> None:
    names = [f"cam_{index}" for index in range(count)]
    page = show(drive(1, names))
    assert page.page.get_by_role("navigation", name="Cameras").count() == min(count, 1)
    assert page.page.get_by_role("button", name="Look through").count() == count
    assert page.drawn() > 0.3


def test_one_looks_through_a_camera_with_voxels_over_its_picture(show: Show) -> None:
    page = show(drive(1, ["front", "left", "back", "right"]))
    page.check("button", "Look through front").click()
    assert page.state("view") == "camera"
    purple = page.share(300.0, 25.0)
    assert purple > 0.15  # the sky of the picture
    assert page.share(CAR_DEG, 60.0) > 0.005  # the car before it
    page.page.get_by_role("slider", name="Voxels over the picture").fill("0")
    assert page.share(300.0, 25.0) > purple
    page.key("Escape")
    assert page.state("view") == "follow"


def test_a_camera_in_the_scene_can_be_clicked(show: Show) -> None:
    page = show(drive(1, ["front"]), "#eye=-4,0,2,4,0,1&hide=4,7,11,15")
    x, y = page.screen_point(2.1, 0.0, 1.5)
    page.page.mouse.move(x, y)
    assert "click to look through" in page.page.locator(".tooltip").inner_text()
    page.page.mouse.click(x, y)
    assert (page.state("view"), page.state("camera")) == ("camera", "front")


def test_a_voxel_says_what_it_is(show: Show) -> None:
    page = show(drive(1, truth=True))
    page.page.mouse.move(*page.screen_point(9.5, 0.5, 2.0))
    lines = page.page.locator(".tooltip").inner_text().split("\n")
    assert lines[0] == f"car {CAR_ID}  score 0.83"
    assert lines[1].startswith("truth: car")
    assert lines[2].startswith("x 9.5  y ")
    page.page.mouse.click(*page.screen_point(9.5, 0.5, 2.0))
    assert page.state("selected") == f"p{CAR_ID}"
    page.page.mouse.move(400, 140)
    assert page.page.locator(".tooltip").is_hidden()


def test_labels_can_be_read_and_do_not_cover_each_other(show: Show) -> None:
    page = show(drive(1, [f"cam_{index}" for index in range(6)]))
    boxes = page.js(
        "[...document.querySelectorAll('.label:not([hidden])')]"
        ".map(l => { const b = l.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom, l.textContent]; })"
    )
    texts = {box[4] for box in boxes}
    assert {f"car {CAR_ID}", "10 m"} <= texts
    for k, (left, top, right, bottom, _) in enumerate(boxes):
        for other in boxes[k + 1 :]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top, (boxes[k], other)
