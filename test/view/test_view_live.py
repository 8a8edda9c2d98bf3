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

"""`flashocc view --live` beside a publisher on DDS, looked at in a browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from ros_domain import claim_domain
from view_page import Page
from view_scenes import CAR_ID, GRID, layer

pytest.importorskip("rclpy")

START_NS = 1_700_000_000_000_000_000
FRAMES = 8


class Publisher:
    """Speaks as the node does."""

    def __init__(self, domain: int) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.context import Context

        from flashocc_ros.msg import Occupancy3D, PanopticInstanceArray

        self.context = Context()
        self.context.init(domain_id=domain)
        self.node = rclpy.create_node("speaker", context=self.context)
        self.occupancy = self.node.create_publisher(Occupancy3D, "/occupancy", 5)
        self.instances = self.node.create_publisher(PanopticInstanceArray, "/instances", 5)
        self.diagnostics = self.node.create_publisher(DiagnosticArray, "/diagnostics", 5)

    def publish(self, index: int) -> None:
        """A result, its objects and the node's words on itself."""
        from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

        from flashocc_ros.ros.outputs.instances import to_instances
        from flashocc_ros.ros.outputs.occupancy import to_occupancy
        from flashocc_ros.ros.stamps import make_header
        from flashocc_ros.structures import Occupancy

        found = layer(28 - index % 8)
        stamp_ns = START_NS + index * 100_000_000
        result = Occupancy(found.semantics, found.instances, tuple(found.objects), stamp_ns, {}, GRID)
        header = make_header("base_link", stamp_ns)
        told = {"variant": "tiny", "stage_encoder_ms_p50": "12.3", "sets_dropped": "3", "rig": "a camera looks up"}
        values = [KeyValue(key=key, value=value) for key, value in told.items()]
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN, name="node: pipeline", message="publishing, but", values=values
        )
        self.diagnostics.publish(DiagnosticArray(header=header, status=[status]))
        self.occupancy.publish(to_occupancy(result, header))
        self.instances.publish(to_instances(result, header))

    def heard(self) -> bool:
        """The page listens to all three."""
        return all(p.get_subscription_count() for p in (self.occupancy, self.instances, self.diagnostics))

    def close(self) -> None:
        self.node.destroy_node()
        self.context.shutdown()


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    claim = claim_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(claim.number))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    publisher = Publisher(claim.number)
    yield publisher
    publisher.close()
    claim.lock.release()


@pytest.fixture
def live_url(speaker: Publisher) -> Iterator[str]:
    """Address of the page of a process of its own, which must end well on Ctrl-C."""
    command = [sys.executable, "-m", "flashocc_ros.cli.main", "view", "--live", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    yield process.stdout.readline().split()[0]
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (0, "")


def test_results_come_to_the_browser_as_they_are_published(
    browser: Any, speaker: Publisher, live_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(live_url)
    page.wait("() => window.flashocc && !document.querySelector('.banner').hidden")
    page.page.get_by_role("alert").filter(has_text="No result on /occupancy").wait_for()  # the publisher is found
    assert "No result on /occupancy" in page.page.get_by_role("alert").inner_text()
    for _ in range(200):
        if speaker.heard():
            break
        page.page.wait_for_timeout(50)
    for index in range(FRAMES):
        speaker.publish(index)
        page.wait(f"() => window.flashocc.frame?.head.stamp_ns === '{START_NS + index * 100_000_000}'")
        page.wait("() => window.flashocc.frame.head.layers.prediction.objects.length === 2")
    assert page.js("app.stats.shown") == FRAMES
    assert page.js(f"app.find('p{CAR_ID}').thing.score") == pytest.approx(0.83)
    assert page.drawn() > 0.3
    report = page.page.locator(".report").inner_text()
    for words in (
        "publishing, but",
        "encoder ms\n12",
        "sets dropped\n3",
        "rig\na camera looks up",
        "results per second",
    ):
        assert words in report
    assert page.page.get_by_role("alert").count() == 0


def test_a_pause_keeps_the_picture_while_results_come(
    browser: Any, speaker: Publisher, live_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(live_url)
    page.wait("() => window.flashocc")
    for _ in range(200):
        if speaker.heard():
            break
        page.page.wait_for_timeout(50)
    speaker.publish(0)
    page.started()
    page.check("button", "Pause").click()
    page.page.get_by_role("alert").wait_for(state="detached")  # that nothing came yet; it hides a part of the scene
    before = page.picture()
    speaker.publish(5)
    page.wait("() => window.flashocc.last === 1")
    np.testing.assert_array_equal(page.picture(), before)
    page.check("button", "Play").click()
    page.wait("() => window.flashocc.stats.shown === 2")
