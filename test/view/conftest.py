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

"""One headless Chromium for all tests of the page; without it they say that they were left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import ARGUMENTS, find_chromium
from view_page import Page
from view_scenes import drive

from flashocc_ros.view.recorded import RecordedView, write_file
from flashocc_ros.view.sources import Source


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The Chromium of this machine."""
    path = find_chromium()
    if path is None:
        pytest.skip("the page in a browser was left out: no Chromium here, apt install chromium")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the page in a browser was left out: playwright is not installed, make setup"
    )
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Page]]:
    """Opens addresses; what a page complains about or asks of others fails the test."""
    pages: list[Page] = []

    def open_one(url: str, **options: Any) -> Page:
        pages.append(Page(browser, url, **options))
        return pages[-1]

    yield open_one
    complaints = [complaint for page in pages for complaint in page.close()]
    assert complaints == []


@pytest.fixture
def show(open_page: Callable[..., Page], tmp_path: Path) -> Callable[..., Page]:
    """Writes a source as one file and opens it."""

    def write_and_open(source: Source, link: str = "", **options: Any) -> Page:
        write_file(source, tmp_path / "page.html")
        return open_page((tmp_path / "page.html").as_uri() + link, **options).started()

    return write_and_open


@pytest.fixture
def serve() -> Iterator[Callable[..., RecordedView]]:
    """Serves sources on free ports until the test ends."""
    views: list[RecordedView] = []

    def start(source: Source | None = None, **options: Any) -> RecordedView:
        views.append(RecordedView(drive() if source is None else source, **options))
        return views[-1]

    yield start
    for view in views:
        view.close()
