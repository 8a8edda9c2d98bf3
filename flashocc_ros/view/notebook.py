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

"""Results in a notebook, one at a time or as they come; plain Python objects that know how to be shown."""

from __future__ import annotations

import html

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.structures import Occupancy
from flashocc_ros.view.frame import ViewFrame, frame_of
from flashocc_ros.view.page import standalone
from flashocc_ros.view.recorded import FILE_PICTURE_WIDTH
from flashocc_ros.view.scene import LiveScene, scene
from flashocc_ros.view.server import LOCAL, ViewServer
from flashocc_ros.view.store import FrameStore

HEIGHT_PX = 620
STYLE = "width: 100%; border: 0; border-radius: 6px"


class Shown:
    """A page that a notebook draws below its cell; ``html`` is the page.

    The page runs in a frame of its own that may neither read the notebook nor ask anybody for anything.
    """

    def __init__(self, frame: ViewFrame, title: str, height_px: int) -> None:
        store = FrameStore(keep_all=False, picture_width=FILE_PICTURE_WIDTH)
        store.add(frame)
        news = store.news()
        entries = news["entries"] if news else []
        self.html = "".join(standalone(scene(title, classes=frame.classes), entries, iter([store.frame(0) or b""])))
        self._height_px = height_px

    def _repr_html_(self) -> str:
        return (
            f'<iframe sandbox="allow-scripts allow-downloads" srcdoc="{html.escape(self.html)}" '
            f'height="{self._height_px}" style="{STYLE}"></iframe>'
        )


def show(occupancy: Occupancy, camera_set: CameraSet | None = None, height_px: int = HEIGHT_PX) -> Shown:
    """A result in a notebook, with the pictures of ``camera_set`` where they are given: make it a cell's last line."""
    return Shown(frame_of(occupancy, camera_set), f"{occupancy.stamp_ns / 1e9:.3f} s", height_px)


class LiveView:
    """The page in a notebook or at ``url``, with the latest result that ``update`` was given.

    ::

        view = LiveView()
        display(view)
        for camera_set in read_sets("drive"):
            view.update(predictor.predict(camera_set), camera_set)

    Raises:
        ConfigError: the port is taken.
    """

    def __init__(self, title: str = "live", port: int = 0, host: str = LOCAL, height_px: int = HEIGHT_PX) -> None:
        self._store = FrameStore(keep_all=False)
        self._scene = LiveScene(title)
        self._server = ViewServer(self._scene, self._store, port, host)
        self.url = self._server.url
        self._height_px = height_px

    def update(self, occupancy: Occupancy, camera_set: CameraSet | None = None) -> None:
        """Show this result from now on; browsers that are slow leave some out."""
        self._scene.take(occupancy.classes)
        self._store.say(self._scene.outdated)
        self._store.add(frame_of(occupancy, camera_set))

    def close(self) -> None:
        """Stop serving; what is on the screen stays."""
        self._store.finish()
        self._server.close()

    def _repr_html_(self) -> str:
        return f'<iframe src="{html.escape(self.url)}" height="{self._height_px}" style="{STYLE}"></iframe>'
