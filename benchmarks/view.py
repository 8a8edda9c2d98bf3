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

"""Seconds from ``flashocc view RESULT`` to the first picture in a headless Chromium, and what a frame takes there.

    python -m benchmarks.view out/result --runs 4

Needs Chromium and playwright, as the tests of the page do; FLASHOCC_CHROMIUM names another browser. Where there is no
GPU the scene is drawn in software, and the times of drawing are those of that.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHECKOUT / "test" / "view"), str(CHECKOUT)]

from chromium import ARGUMENTS, find_chromium  # noqa: E402

from benchmarks.cpu_time import process_cpu_s  # noqa: E402

FRAMES = """async () => {
  const app = window.flashocc, build = [], draw = [], pixel = new Uint8Array(4);
  for (let k = 1; k <= Math.min(15, app.last); k++) {
    const shown = app.stats.shown;
    app.choices.set({frame: k});
    while (app.stats.shown === shown) await new Promise(next => setTimeout(next, 5));
    build.push(app.stats.build_ms);
  }
  const gl = app.stage.renderer.getContext();
  for (let k = 0; k < 30; k++) {
    const begin = performance.now();
    app.stage.turn(0.02); app.stage.draw();
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    draw.push(performance.now() - begin);
  }
  const middle = all => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)];
  return {total: app.source.total, faces: app.stats.faces, build: middle(build), draw: middle(draw)};
}"""


def family(pid: int) -> list[int]:
    """The process and those below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(descendant for child in children for descendant in family(int(child)))]


def opened(browser: Any, result: Path) -> str:
    """One run: a line of what it took."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()  # open, as a browser is
    page.set_default_timeout(90_000)
    before_s = {pid: process_cpu_s(pid) for pid in family(os.getpid())}
    begin_s = time.monotonic()
    command = [sys.executable, "-m", "flashocc_ros.cli", "view", str(result), "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            address = next(filter(None, (re.search(r"http://\S+", line) for line in program.stdout)), None)
            if address is None:
                raise SystemExit(f"flashocc view {result} said no address")
            address_s = time.monotonic() - begin_s
            page.goto(address[0])
            page.wait_for_function("() => window.flashocc && window.flashocc.stats.shown > 0")
            shown_s = time.monotonic() - begin_s
            program_s = process_cpu_s(program.pid)
            others = [pid for pid in family(os.getpid()) if pid not in (os.getpid(), program.pid)]
            browser_s = sum(process_cpu_s(pid) - before_s.get(pid, 0.0) for pid in others)
            frames = page.evaluate(FRAMES)
        finally:
            program.terminate()
            page.context.close()
    return (
        f"{frames['total']} frames: address after {address_s:.2f} s, first picture after {shown_s:.2f} s "
        f"(CPU: program {program_s:.2f} s, browser {browser_s:.2f} s); {frames['faces']} faces built in "
        f"{frames['build']:.0f} ms, drawn in {frames['draw']:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path)
    parser.add_argument("--runs", type=int, default=4)
    options = parser.parse_args()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        for _ in range(options.runs):
            print(f"{opened(browser, options.result)}; load {os.getloadavg()[0]:.1f}", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
