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

"""The page over HTTP, for browsers on this machine unless told otherwise."""

from __future__ import annotations

import ipaddress
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from flashocc_ros.errors import ConfigError
from flashocc_ros.view.page import SERVED_POLICY, bundle, shell
from flashocc_ros.view.store import FrameStore

LOCAL = "127.0.0.1"
HEARTBEAT_S = 5.0
"""A word this often tells whether a browser is still there."""
SEND_TIMEOUT_S = 30.0
MAX_WATCHERS = 32
BINARY, JSON, SCRIPT, PAGE = (
    "application/octet-stream",
    "application/json",
    "text/javascript; charset=utf-8",
    "text/html; charset=utf-8",
)


class ViewServer:
    """Serves a store from threads of its own until it is closed.

    ``GET`` gives ``/`` (the page), ``/viewer.js``, ``/scene``, ``/frame/NUMBER``, ``/frame/newest`` and, as server-sent
    events, ``/events``. An event only says that there is something new, and each browser fetches the newest frame when
    it is ready for one, so a slow browser misses frames and delays nobody.

    Args:
        scene: see `scene.scene`; or what gives it now.
        port: 0 takes a free one.
        host: address to listen on. Anything but this machine's own lets others look.

    Attributes:
        url: of the page.

    Raises:
        ConfigError: the port is taken or the address is not of this machine.
    """

    def __init__(
        self, scene: dict[str, Any] | Callable[[], dict[str, Any]], store: FrameStore, port: int = 0, host: str = LOCAL
    ) -> None:
        self.scene = scene if callable(scene) else lambda: scene
        self.store = store
        self.program = bundle().encode()
        self.closing = threading.Event()
        self.watchers = threading.BoundedSemaphore(MAX_WATCHERS)
        try:
            self._http = _Server((host, port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {host} port {port} ({error.strerror or error}); choose another with --port, 0 takes "
                "a free one"
            ) from error
        self._http.view = self
        self.local_only = _is_local(host)
        shown = host if host not in ("", "0.0.0.0", "::") else LOCAL
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{self._http.server_address[1]}/"
        self._thread = threading.Thread(target=self._http.serve_forever, name="flashocc view", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; open pages keep what they show."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    view: ViewServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SEND_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        view = self.server.view
        if view.local_only and not _is_local(urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""):
            # a foreign page whose name was made to point here would read everything
            self._send(b"this page is for browsers on this machine\n", "text/plain", HTTPStatus.FORBIDDEN)
            return
        path = urlsplit(self.path).path
        if path == "/":
            self._send(shell().encode(), PAGE)
        elif path == "/viewer.js":
            self._send(view.program, SCRIPT)
        elif path == "/scene":
            self._send(json.dumps(view.scene()).encode(), JSON)
        elif path == "/events":
            self._events()
        elif path.startswith("/frame/"):
            self._frame(path.removeprefix("/frame/"))
        else:
            self._send(b"not found\n", "text/plain", HTTPStatus.NOT_FOUND)

    def _frame(self, name: str) -> None:
        store = self.server.view.store
        if name == "newest":
            found = store.newest()
            number, data = found if found is not None else (-1, None)
        else:
            number = int(name) if name.isascii() and name.isdecimal() and len(name) < 10 else -1
            data = store.frame(number)
        if data is None:
            self._send(b"no such frame\n", "text/plain", HTTPStatus.NOT_FOUND)
        else:
            self._send(data, BINARY, headers={"Frame-Number": str(number)})

    def _events(self) -> None:
        view = self.server.view
        if not view.watchers.acquire(blocking=False):
            text = f"{MAX_WATCHERS} browsers are watching already; close one\n".encode()
            self._send(text, "text/plain", HTTPStatus.SERVICE_UNAVAILABLE)
            return
        try:
            self.close_connection = True
            self._head("text/event-stream", HTTPStatus.OK, {})
            seen = version = 0
            while not view.closing.is_set():
                news = view.store.news(seen, version, HEARTBEAT_S)
                if news is None:
                    self.wfile.write(b": still here\n\n")
                else:
                    seen, version = news["first"] + len(news["entries"]), news["version"]
                    self.wfile.write(f"data: {json.dumps(news)}\n\n".encode())
                self.wfile.flush()
        except OSError:  # it went away
            return
        finally:
            view.watchers.release()

    def _send(
        self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
    ) -> None:
        self._head(kind, status, {"Content-Length": str(len(body))} | (headers or {}))
        self.wfile.write(body)

    def _head(self, kind: str, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        common = {
            "Content-Type": kind,
            "Content-Security-Policy": SERVED_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        for name, value in (common | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """A line per request is nothing to read."""


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
