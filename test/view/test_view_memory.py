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

"""A page that is left open: neither its heap nor what lies on the GPU grows with the results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from view_page import Page
from view_scenes import frame

from flashocc_ros.view.scene import scene
from flashocc_ros.view.server import ViewServer
from flashocc_ros.view.store import FrameStore

RESULTS = 300
MAX_GROWTH_BYTES = 4 << 20


@pytest.mark.slow
def test_hundreds_of_live_results_leave_the_page_as_it_was(open_page: Callable[..., Page]) -> None:
    store = FrameStore(keep_all=False)
    server = ViewServer(scene("live", source="live"), store)
    page = open_page(server.url)
    devtools: Any = page.context.new_cdp_session(page.page)
    cameras = ["front", "left", "back", "right"]
    measured = []
    for index in range(RESULTS):
        store.add(frame(index % 8, cameras, truth=True))
        page.wait(f"() => window.flashocc?.frame?.number === {index}")
        if index in (RESULTS // 3, RESULTS - 1):
            devtools.send("HeapProfiler.collectGarbage")
            heap = devtools.send("Runtime.getHeapUsage")
            memory = page.js("({ ...app.stage.renderer.info.memory })")
            measured.append((heap["usedSize"] + heap.get("backingStorageSize", 0), memory))
    server.close()
    page.complaints = [text for text in page.complaints if "Failed to load resource" not in text]
    (before, on_gpu), (after, on_gpu_after) = measured
    assert after - before < MAX_GROWTH_BYTES
    assert on_gpu_after == on_gpu
