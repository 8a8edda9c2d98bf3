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

"""Names from a recording stay text, and damaged frames and odd results are said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from view_page import Page
from view_scenes import GRID, drive, frame, source

from flashocc_ros.labels import FREE
from flashocc_ros.view.frame import Layer, Report
from flashocc_ros.view.recorded import RecordedView, write_file

EVIL = '</script><script>window.owned=1</script><img src=x onerror="window.owned=1">'


def test_hostile_names_never_become_html(show: Callable[..., Page]) -> None:
    report = Report("warn", EVIL, {EVIL: EVIL})
    page = show(source([frame(cameras=[EVIL, "front"], report=report)], title=EVIL, note=EVIL))
    assert page.js("window.owned") is None
    assert page.page.locator("img").count() == 0
    assert page.page.get_by_role("heading", level=1).inner_text() == EVIL
    assert page.page.locator(".badge").inner_text() == EVIL
    assert EVIL in page.page.locator(".report").inner_text()


def test_hostile_names_from_a_server_never_become_html(
    serve: Callable[..., RecordedView], open_page: Callable[..., Page]
) -> None:
    view = serve(source([frame(cameras=[EVIL])], title=EVIL))
    page = open_page(view.server.url).started()
    assert page.js("window.owned") is None
    assert page.page.locator("img").count() == 0


def test_no_script_of_somebody_else_runs(show: Callable[..., Page]) -> None:
    page = show(drive(1))
    page.js("document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.owned=1' }))")
    assert page.js("window.owned") is None
    assert len(page.complaints) == 1
    assert "Content Security Policy" in page.complaints.pop()


def test_a_damaged_frame_is_named_and_the_others_are_shown(open_page: Callable[..., Page], tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_file(drive(3), path)
    begin, _, rest = path.read_text().partition('id="frame-1">')
    path.write_text(f'{begin}id="frame-1">{rest[:40]}{"A" * 60}{rest[100:]}')
    page = open_page(path.as_uri()).started()
    page.key("ArrowRight")
    alert = page.page.get_by_role("alert")
    page.wait("() => !document.querySelector('.banner').hidden")
    assert alert.inner_text().startswith("Frame 2 cannot be shown")
    page.key("ArrowRight")
    page.until_frame(2)
    page.wait("() => document.querySelector('.banner').hidden")


def test_an_empty_volume_is_an_empty_scene(show: Callable[..., Page]) -> None:
    free = Layer(np.full(GRID.size, FREE, np.uint8))
    page = show(source([frame(prediction=free)]))
    assert page.js("app.stats.faces") == 0
    assert 0.001 < page.drawn() < 0.3  # vehicle and rings


def test_a_source_that_ends_with_an_error_says_so(
    serve: Callable[..., RecordedView], open_page: Callable[..., Page]
) -> None:
    def broken():
        yield frame()
        raise ValueError("the disk is gone")

    shown = source([frame()])
    view = serve(type(shown)("half a drive", "", 5, broken))
    page = open_page(view.server.url).started()
    page.wait("() => !document.querySelector('.banner').hidden")
    assert page.page.get_by_role("alert").inner_text() == "half a drive cannot be read on: the disk is gone"


def test_a_source_without_frames_says_so(serve: Callable[..., RecordedView], open_page: Callable[..., Page]) -> None:
    page = open_page(serve(source([])).server.url)
    page.wait("() => document.querySelector('.banner') && !document.querySelector('.banner').hidden")
    assert page.page.get_by_role("alert").inner_text() == "There is no frame to show."
