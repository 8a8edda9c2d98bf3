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

"""A web server of files, with or without ranges, that fails when told to and writes down what it was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote, unquote, urlsplit


@dataclass
class Web:
    """A folder on the web.

    Attributes:
        url: of the folder, without a slash at its end.
        ranges: whether parts of files are given.
        fault: called before each answer with the number of the request; a status to answer with, "cut" to close
            the connection in the middle of the body, or None.
        sent: bytes of bodies; asked: path and range of each GET.
    """

    folder: Path
    url: str = ""
    ranges: bool = True
    fault: Callable[[int], int | str | None] = lambda number: None
    sent: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    requests: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        web = self.web
        web.requests += 1
        fault = web.fault(web.requests)
        if isinstance(fault, int):
            self._send(fault, b"", with_body)
            return
        path = web.folder / unquote(urlsplit(self.path).path).strip("/")
        wanted = self.headers.get("Range", "")
        if with_body:
            web.asked.append((path.name, wanted))
        if path.is_dir():
            links = "".join(
                f'<a href="{quote(file.name)}{"/" * file.is_dir()}">{file.name}</a>' for file in path.iterdir()
            )
            self._send(200, links.encode(), with_body, kind="text/html")
            return
        if not path.is_file():
            self._send(404, b"", with_body)
            return
        data, status, extra = path.read_bytes(), 200, {}
        changed = path.stat()
        extra["ETag"] = f'"{changed.st_mtime_ns}-{changed.st_size}"'
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
        if web.ranges:
            extra["Accept-Ranges"] = "bytes"
            if found:
                first, last = int(found[1]), min(int(found[2]), len(data) - 1)
                extra["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                data, status = data[first : last + 1], 206
        self._send(status, data, with_body, extra, cut=fault == "cut")

    def _send(
        self,
        status: int,
        data: bytes,
        with_body: bool,
        extra: dict[str, str] | None = None,
        kind: str = "application/octet-stream",
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            body = data[: len(data) // 2] if cut else data
            self.web.sent += len(body)
            self.wfile.write(body)
        if cut:
            self.close_connection = True


@contextmanager
def serve(folder: Path) -> Iterator[Web]:
    """The folder on a free port of this machine."""
    web = Web(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": web}))
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
