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

"""The page: one HTML file with everything in it, or the shell that a server fills."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from flashocc_ros.errors import OutputError

SERVED_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' blob: data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self' http://localhost:* http://127.0.0.1:* vscode-webview:"
)
"""A notebook on this machine may show the page inside its own."""


def bundle() -> str:
    """The page's program with its style sheet, built from ``view/web``.

    Raises:
        OutputError: it was not installed.
    """
    try:
        return (files("flashocc_ros.view") / "viewer.js").read_text(encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"the page's program viewer.js is not installed ({error}); install the package anew"
        ) from error


def shell() -> str:
    """The page that a server gives; it fetches the program and the frames from there."""
    return _document('<script src="viewer.js" defer></script>', "")


def standalone(scene: dict[str, Any], entries: list[dict[str, Any]], frames: Iterator[bytes]) -> Iterator[str]:
    """The parts of one HTML file that asks nobody for anything.

    Args:
        scene: see `scene.scene`.
        entries: stamp and pose of each frame, see `store.FrameStore`.
        frames: encoded, in the same order.
    """
    program = bundle()
    if "</script" in program.lower() or "<!--" in program:
        raise OutputError("viewer.js holds what would end a script inside HTML; build it anew with `npm run build`")
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; img-src blob: data:; base-uri 'none'; form-action 'none'"
    )
    head, tail = _document("\n", policy).split("\n</body>")
    yield head
    yield _data("scene", base64.b64encode(json.dumps({"scene": scene, "entries": entries}).encode()).decode())
    for number, frame in enumerate(frames):
        yield _data(f"frame-{number}", base64.b64encode(frame).decode())
    yield f"<script>{program}</script>\n</body>{tail}"


def _data(name: str, text: str) -> str:
    """Base64 in a block that no browser runs: nothing that a recording holds is ever read as HTML."""
    return f'<script type="text/plain" id="{name}">{text}</script>\n'


def _document(script: str, policy: str) -> str:
    meta = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">\n' if policy else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"{meta}"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="dark">\n'
        "<title>FlashOcc</title>\n"
        '<link rel="icon" href="data:,">\n'
        f"</head>\n<body>\n<noscript>This page needs JavaScript.</noscript>\n{script}\n</body>\n</html>\n"
    )
