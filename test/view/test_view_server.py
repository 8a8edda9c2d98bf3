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

"""The page over HTTP: this machine only, nothing kept that is not needed, and nobody waits for a slow browser."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import pytest
from view_scenes import drive, frame

from flashocc_ros.errors import ConfigError
from flashocc_ros.view.recorded import RecordedView
from flashocc_ros.view.scene import scene
from flashocc_ros.view.server import ViewServer
from flashocc_ros.view.store import MAX_ENTRIES, FrameStore


def get(url: str, path: str, host: str | None = None) -> HTTPResponse:
    """One answer, read."""
    address = urlsplit(url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=20)
    connection.request("GET", path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


def first_event(url: str) -> tuple[dict[str, Any], HTTPConnection, HTTPResponse]:
    """The first server-sent event; the connection stays open."""
    address = urlsplit(url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=20)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    return next_event(answer), connection, answer


def next_event(answer: HTTPResponse) -> dict[str, Any]:
    while not (line := answer.readline()).startswith(b"data: "):
        assert line
    return json.loads(line[6:])


def test_frames_and_page_are_served_with_a_strict_policy(serve: Callable[..., RecordedView]) -> None:
    view = serve(drive(2))
    view._thread.join()
    for path, kind in (("/", "text/html"), ("/viewer.js", "text/javascript"), ("/scene", "application/json")):
        answer = get(view.server.url, path)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert get(view.server.url, "/frame/1").body == view.store.frame(1)
    assert get(view.server.url, "/frame/newest").headers["Frame-Number"] == "1"


@pytest.mark.parametrize("path", ["/frame/2", "/frame/-1", "/frame/x", "/frame/99999999999999", "/etc/passwd", "/../x"])
def test_what_is_not_there_is_404(serve: Callable[..., RecordedView], path: str) -> None:
    view = serve(drive(2))
    view._thread.join()
    assert get(view.server.url, path).status == 404


def test_a_foreign_name_that_points_here_is_refused(serve: Callable[..., RecordedView]) -> None:
    """Another site whose name was made to lead to this machine would read the pictures."""
    view = serve(drive(1))
    for host, status in (("evil.example", 403), ("127.0.0.1.evil.example:80", 403), ("localhost:8000", 200)):
        assert get(view.server.url, "/scene", host).status == status


def test_it_listens_on_this_machine_alone_unless_told(serve: Callable[..., RecordedView]) -> None:
    view = serve(drive(1))
    assert view.server.url.startswith("http://127.0.0.1:")
    assert view.server.local_only
    assert not serve(drive(1), host="0.0.0.0").server.local_only


def test_a_port_that_is_taken_is_named(serve: Callable[..., RecordedView]) -> None:
    port = urlsplit(serve(drive(1)).server.url).port
    with pytest.raises(ConfigError, match=rf"port {port} .*choose another with --port"):
        serve(drive(1), port=port)


def test_events_tell_what_is_new() -> None:
    store = FrameStore(keep_all=False)
    server = ViewServer(scene("live", source="live"), store)
    store.add(frame(0))
    news, connection, answer = first_event(server.url)
    assert (news["first"], len(news["entries"]), news["done"]) == (0, 1, False)
    store.add(frame(1))
    news = next_event(answer)
    assert (news["first"], news["entries"][0]["stamp_ns"]) == (1, str(frame(1).stamp_ns))
    store.say("no images")
    assert next_event(answer)["said"] == "no images"
    connection.close()
    server.close()


def test_a_browser_that_reads_nothing_delays_nobody() -> None:
    store = FrameStore(keep_all=False)
    server = ViewServer(scene("live", source="live"), store)
    port = urlsplit(server.url).port
    sleepers = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    for sleeper in sleepers:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sleeper.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sleeper.sendall(b"GET /frame/newest HTTP/1.1\r\nHost: localhost\r\n\r\n")
    _, connection, answer = first_event(server.url) if store.add(frame(0)) is None else ({}, None, None)
    begin = time.monotonic()
    for index in range(1, 40):
        store.add(frame(index % 8))
    added_s = time.monotonic() - begin
    seen = 1
    while seen < 40:
        news = next_event(answer)
        seen = news["first"] + len(news["entries"])
    assert added_s < 10
    for open_one in (*sleepers, connection):
        open_one.close()
    server.close()


def test_live_frames_hold_the_newest_alone() -> None:
    store = FrameStore(keep_all=False)
    for index in range(3):
        store.add(frame(index))
    assert (store.frame(0), store.frame(1)) == (None, None)
    assert store.newest() == (2, store.frame(2))


def test_live_frames_remember_a_bounded_path() -> None:
    store = FrameStore(keep_all=False)
    tiny = frame(0)
    store.add(tiny)
    for _ in range(MAX_ENTRIES + 5):
        store._entries.append(store._entries[0])
        store._count += 1
    news = store.news()
    assert news is not None
    assert (news["first"], len(news["entries"])) == (6, MAX_ENTRIES)


def test_a_page_follows_a_server_that_was_started_again(open_page: Callable[..., Any]) -> None:
    """Its frames count from the beginning anew, and those of before must not come back."""
    stores = [FrameStore(keep_all=False) for _ in range(2)]
    server = ViewServer(scene("live", source="live"), stores[0])
    stores[0].add(frame(0))
    page = open_page(server.url).started()
    server.close()
    page.wait("() => !window.flashocc.source.connected")
    server = ViewServer(scene("live", source="live"), stores[1], port=int(urlsplit(server.url).port or 0))
    stores[1].add(frame(5))
    page.wait(f"() => window.flashocc.frame.head.stamp_ns === '{frame(5).stamp_ns}'")
    page.wait("() => document.querySelector('.banner').hidden")
    server.close()
    page.complaints = [text for text in page.complaints if "Failed to load resource" not in text]


def test_waiting_for_news_ends_with_them() -> None:
    store = FrameStore(keep_all=True, total=1)
    heard: list[Any] = []
    waiter = threading.Thread(target=lambda: heard.append(store.news(0, 0, 60.0)))
    waiter.start()
    store.add(frame(0))
    waiter.join(30)
    assert heard[0]["first"] == 0
    assert store.news(1, heard[0]["version"], 0.01) is None
