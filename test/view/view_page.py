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

"""The page in a browser, seen from outside: its pixels, its controls and its complaints."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

DEADLINE_MS = 20_000
GROUND_RGB = (0x14, 0x18, 0x1D)


class Page:
    """A page of its own window."""

    def __init__(self, browser: Any, url: str, width: int = 960, height: int = 600) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(DEADLINE_MS)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.home = url.split("#")[0]
        self.page.goto(url)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning") and "GPU stall due to ReadPixels" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def close(self) -> list[str]:
        """What it complained about, and whom it asked but its own server."""
        strangers = [url for url in self.requests if not url.startswith((self.home, "blob:", "data:"))]
        self.context.close()
        return self.complaints + [f"asked {url}" for url in strangers]

    def started(self) -> Page:
        """Waits for the first frame."""
        self.wait("() => window.flashocc && window.flashocc.stats.shown > 0")
        return self

    def wait(self, condition: str) -> None:
        """Waits until a JavaScript function gives true."""
        self.page.wait_for_function(condition)

    def js(self, expression: str) -> Any:
        """Value of a JavaScript expression; ``app`` is the page's."""
        return self.page.evaluate(f"() => {{ const app = window.flashocc; return {expression}; }}")

    def state(self, name: str) -> Any:
        """One of the reader's choices."""
        return self.js(f"app.state.{name} instanceof Set ? [...app.state.{name}] : app.state.{name}")

    def frame(self) -> int:
        """Number of the frame on show."""
        return int(self.js("app.frame.number"))

    def until_frame(self, number: int) -> None:
        """Waits until a frame is on show."""
        self.wait(f"() => window.flashocc.frame.number === {number}")

    def picture(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) RGB of the scene with its labels."""
        self.js("app.stage.draw()")
        data = self.page.locator(".stage").screenshot()
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    def drawn(self) -> float:
        """Share of the scene that is not ground."""
        return float((np.abs(self.picture().astype(int) - GROUND_RGB).max(axis=2) > 12).mean())

    def share(self, hue_deg: float, tolerance_deg: float = 12.0) -> float:
        """Share of the scene in a strong colour of this hue."""
        hsv = cv2.cvtColor(np.ascontiguousarray(self.picture()), cv2.COLOR_RGB2HSV_FULL).astype(float)
        away = np.abs((hsv[..., 0] * 360 / 256 - hue_deg + 180) % 360 - 180)
        return float(((away < tolerance_deg) & (hsv[..., 1] > 90) & (hsv[..., 2] > 40)).mean())

    def check(self, role: str, name: str) -> Any:
        """A control by what a screen reader calls it."""
        return self.page.get_by_role(role, name=name, exact=True)

    def key(self, key: str) -> None:
        """Press a key with the scene in focus."""
        self.page.locator(".stage canvas").first.focus()
        self.page.keyboard.press(key)

    def screen_point(self, x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
        """Where a point of the base frame is on the window."""
        return tuple(
            self.js(
                "(() => { const part = app.stage.parts()[0];"
                "app.stage.camera.aspect = part.width / part.height; app.stage.camera.updateProjectionMatrix();"
                "app.stage.camera.updateMatrixWorld();"
                f"const p = app.stage.surroundings.position.clone().set({x_m}, {y_m}, {z_m});"
                "p.applyMatrix4(app.stage.root.matrixWorld).project(app.stage.camera);"
                "const box = app.stage.canvas.getBoundingClientRect();"
                "return [box.left + part.left + (p.x + 1) / 2 * part.width,"
                " box.top + part.top + (1 - p.y) / 2 * part.height]; })()"
            )
        )
