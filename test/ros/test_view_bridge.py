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

"""The bridge between a running node and the page: voxels with the pictures they were made from."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
import rclpy
from video_packets import encode, moving

from flashocc_ros.ros.logs import SeldomLogger
from flashocc_ros.ros.problems import Problems
from flashocc_ros.ros.stamps import stamp_from_ns
from flashocc_ros.ros.view_bridge import ViewBridge
from flashocc_ros.ros.view_cameras import LiveCameras, cameras_of
from flashocc_ros.view.store import FrameStore

PATIENCE_S = 3.0
"""Without an answer for so long, another set is sent."""

Make = Callable[..., Any]


class Kept(FrameStore):
    """Keeps frames as they were given."""

    def __init__(self) -> None:
        super().__init__(keep_all=False)
        self.frames: list[Any] = []

    def add(self, frame: Any) -> None:
        super().add(frame)
        self.frames.append(frame)


def without_frame(info: Any) -> Any:
    info.header.frame_id = ""
    return info


@pytest.mark.parametrize("named", [True, False], ids=["frames of CameraInfo", "frames of the images"])
def test_results_of_a_node_come_with_pictures_path_and_times(
    make_feeder: Make, start_node: Make, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeder = make_feeder(["front", "back"])
    if not named:
        whole = feeder.info
        monkeypatch.setattr(feeder, "info", lambda *given: without_frame(whole(*given)))
    node = start_node()
    store = Kept()
    listener = rclpy.create_node("flashocc_view", context=feeder.context)
    feeder.executor.add_node(listener)
    bridge = ViewBridge(listener, "occupancy", store)
    try:
        feeder.until(lambda: bridge.topic in bridge._subscribed, "the bridge to find the node")
        feeder.connect(node)
        sent: list[int] = []
        answered_s = time.monotonic()
        shown = 0

        def shown_with_pictures() -> bool:
            nonlocal answered_s, shown
            # Best effort: what one of the two listeners misses is sent no more.
            if not sent or len(store.frames) > shown or time.monotonic() - answered_s > PATIENCE_S:
                answered_s, shown = time.monotonic(), len(store.frames)
                sent.append(feeder.send())
            return any(frame.shots for frame in store.frames)

        feeder.until(shown_with_pictures, "a result with its pictures")
        frame = next(frame for frame in store.frames if frame.shots)
        assert {shot.name for shot in frame.shots} == {"front", "back"}
        assert all(shot.picture == feeder.jpeg for shot in frame.shots)
        assert frame.odom_from_base[0, 3] == pytest.approx(frame.stamp_ns / 1e8 - sent[0] / 1e8 + 1.0)
        feeder.until(lambda: bridge._report.report().values.get("encoder ms"), "the node's report on itself")
        assert bridge._report.report().values["variant"] == "synthetic-tiny"
    finally:
        bridge.close()
        feeder.executor.remove_node(listener)
        listener.destroy_node()
        node.close()


def test_cameras_that_publish_video_are_shown(make_feeder: Make) -> None:
    """Packets in, pictures of the right moments out, also where not every set is looked at."""
    from foxglove_msgs.msg import CompressedVideo

    feeder = make_feeder(["front", "back"], image_type="compressed_video")
    listener = rclpy.create_node("flashocc_view", context=feeder.context)
    feeder.executor.add_node(listener)
    feeder.until(lambda: len(cameras_of(listener)) == 2, "the cameras to be found")
    logger = listener.get_logger()
    problems = Problems(logger, SeldomLogger(logger), feeder.context.ok)
    cameras = LiveCameras(listener, problems, cameras_of(listener), "base_link")
    try:
        pictures = moving(8, (176, 352))
        packets = encode(pictures, key_every=4)
        sent: dict[int, int] = {}
        answered_s = 0.0

        def whole() -> list[int]:
            """Stamps of sets that can be decoded; sends the next packets when the last have come or were lost."""
            nonlocal answered_s
            cameras.poll()
            if not sent or cameras.at(feeder.stamp_ns) is not None or time.monotonic() - answered_s > PATIENCE_S:
                answered_s, number, stamp_ns = time.monotonic(), len(sent) % 8, feeder.stamp_ns + 100_000_000
                made = {
                    name: CompressedVideo(
                        timestamp=stamp_from_ns(stamp_ns),
                        frame_id=f"{name}_optical",
                        format="h264",
                        data=packets[number],
                    )
                    for name in feeder.names
                }
                sent[feeder.send(stamp_ns, images=made)] = number
            found = {stamp_ns: cameras.at(stamp_ns) for stamp_ns in sent}
            return [s for s, posed in found.items() if posed and not any(i.fault for i in posed.images)]

        stamps = feeder.until(lambda: found if len(found := whole()) >= 6 else None, "six sets of pictures")
        for stamp_ns in (stamps[1], stamps[5]):
            for shown in cameras.decoded(cameras.at(stamp_ns)).pictures:
                assert np.abs(shown.astype(int) - pictures[sent[stamp_ns]]).mean() < 12
        assert not str(problems)
    finally:
        cameras.destroy()
        feeder.executor.remove_node(listener)
        listener.destroy_node()


def test_a_missing_publisher_is_said(make_feeder: Make) -> None:
    feeder = make_feeder(["front"])
    listener = rclpy.create_node("flashocc_view", context=feeder.context)
    store = FrameStore(keep_all=False)
    bridge = ViewBridge(listener, "/other/occupancy", store)
    news = store.news()
    bridge.close()
    listener.destroy_node()
    assert news is not None
    assert news["said"].startswith("Nobody publishes /other/occupancy")
