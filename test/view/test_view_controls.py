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

"""Timeline, keyboard, link, picture and what a screen reader is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from view_page import Page
from view_scenes import drive, frame

from flashocc_ros.view.frame import ViewFrame
from flashocc_ros.view.recorded import RecordedView
from flashocc_ros.view.sources import Source

Show = Callable[..., Page]


def test_play_shows_every_frame_and_stops_at_the_end(show: Show) -> None:
    page = show(drive(4))
    page.page.get_by_role("combobox", name="Speed").select_option("4")
    page.check("button", "Play").click()
    page.until_frame(3)
    page.wait("() => !window.flashocc.state.playing")
    assert page.js("app.stats.shown") == 4
    assert page.page.locator(".time").inner_text() == "0.75 s   4 / 4"


def test_playing_at_the_end_begins_anew(show: Show) -> None:
    page = show(drive(3), "#frame=3")
    page.until_frame(2)
    page.key(" ")
    page.wait("() => window.flashocc.stats.shown === 4")  # the last one, and all of them from the first


def test_the_keyboard_steps_and_switches(show: Show) -> None:
    page = show(drive(5, truth=True))
    page.key("ArrowRight")
    page.key("ArrowRight")
    page.key("ArrowLeft")
    page.until_frame(1)
    page.key("End")
    page.until_frame(4)
    page.key("Home")
    page.until_frame(0)
    for key, name, value in (
        ("c", "color", "object"),
        ("d", "compare", "truth"),
        ("3", "view", "top"),
        ("l", "labels", False),
        ("g", "grid", False),
        ("]", "speed", 2),
    ):
        page.key(key)
        assert page.state(name) == value


def test_the_list_of_keys_opens_and_escape_closes_it(show: Show) -> None:
    page = show(drive(1))
    page.key("?")
    dialog = page.check("dialog", "Keyboard")
    assert "play or pause" in dialog.inner_text()
    page.page.keyboard.press("Escape")
    assert dialog.count() == 0


def test_every_control_has_a_name_and_can_be_reached_by_the_keyboard(show: Show) -> None:
    page = show(drive(2, ["front"], truth=True))
    nameless = page.js(
        "[...document.querySelectorAll('button, input, select')].filter(e => !(e.getAttribute('aria-label')"
        " || e.textContent.trim() || e.closest('label')?.textContent.trim())).map(e => e.outerHTML)"
    )
    assert nameless == []
    unreachable = page.js("[...document.querySelectorAll('button, input, select, canvas')].filter(e => e.tabIndex < 0"
                          " && !e.getAttribute('aria-hidden')).map(e => e.outerHTML)")  # fmt: skip
    assert unreachable == []
    label = page.page.locator(".stage > canvas").get_attribute("aria-label")
    assert label == "3D scene: prediction, frame 1"
    assert page.page.get_by_role("slider", name="Frame").get_attribute("aria-valuetext") == "frame 1 of 2, 0.00 s"


def test_a_link_keeps_view_and_frame(show: Show) -> None:
    page = show(drive(4, truth=True), "#frame=3&view=orbit&eye=-9,3,6,1,0,0&color=height&compare=truth&hide=4")
    page.until_frame(2)
    assert page.js("app.stage.eye.map(v => Math.round(v))") == [-9, 3, 6, 1, 0, 0]
    before = page.picture()
    page.key("k")
    link = page.js("location.hash")
    again = show(drive(4, truth=True), link)
    again.until_frame(2)
    assert np.mean(np.abs(again.picture().astype(int) - before)) < 1


def test_the_picture_button_saves_what_is_shown(show: Show) -> None:
    page = show(drive(2))
    with page.page.expect_download() as download:
        page.check("button", "Save a picture (P)").click()
    saved = download.value
    assert saved.suggested_filename == "a_drive_0001.png"
    picture = cv2.imread(str(saved.path()))
    height, width = page.picture().shape[:2]
    assert picture.shape == (height, width, 3)
    assert (picture.max(axis=2) > 60).mean() > 0.3


def test_dragging_turns_the_scene_and_r_brings_the_usual_view_back(show: Show) -> None:
    page = show(drive(1))
    before = page.js("app.stage.eye")
    page.page.mouse.move(600, 350)
    page.page.mouse.down()
    page.page.mouse.move(700, 380, steps=3)
    page.page.mouse.up()
    assert np.abs(np.subtract(page.js("app.stage.eye"), before)).max() > 0.5
    page.key("r")
    np.testing.assert_allclose(page.js("app.stage.eye"), before, atol=1e-6)


def test_a_recording_can_be_looked_at_while_it_is_read(
    serve: Callable[..., RecordedView], open_page: Callable[..., Page]
) -> None:
    go_on = threading.Event()

    def slowly() -> Iterator[ViewFrame]:
        yield frame(0)
        go_on.wait(60)
        yield from (frame(index) for index in range(1, 4))

    page = open_page(serve(Source("long", "", 4, slowly)).server.url).started()
    assert page.page.locator(".loaded").inner_text() == "reading 25 %"
    page.key("End")  # of what is there
    assert page.frame() == 0
    go_on.set()
    page.wait("() => window.flashocc.source.done")
    page.key("End")
    page.until_frame(3)
    assert page.page.locator(".loaded").inner_text() == ""
