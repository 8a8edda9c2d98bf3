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

"""URLs as text: what is one, and what of it people may read."""

from __future__ import annotations

import re

WEB = ("http", "https")
"""Here a question mark ends the path, and what follows may be a signature that opens the file to everybody."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>)]+")
HIDDEN = "***"


def is_url(text: str) -> bool:
    """Whether a text is a URL, such as ``s3://bucket/drive.mcap``, and no path."""
    return _URL.match(text) is not None


def scheme_of(url: str) -> str:
    """``s3`` of ``s3://bucket/drive.mcap``."""
    return url.partition("://")[0].lower()


def split_query(url: str) -> tuple[str, str]:
    """A URL of the web before its query, and that with its question mark; elsewhere these may be part of a name."""
    if scheme_of(url) not in WEB:
        return url, ""
    at = min((place for place in (url.find("?"), url.find("#")) if place >= 0), default=len(url))
    return url[:at], url[at:]


def shown(url: str) -> str:
    """A URL for people: without user, password and query."""
    scheme, _, rest = split_query(url)[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def scrubbed(text: str, url: str) -> str:
    """A sentence of a library about ``url`` with nothing secret in it."""
    text = _IN_TEXT.sub(lambda found: shown(found.group()), text)
    base, query = split_query(url)
    user = base.partition("://")[2].partition("/")[0].rpartition("@")[0]
    secrets = [query.lstrip("?#"), *(part.partition("=")[2] for part in query.lstrip("?#").split("&"))]
    secrets += [user, user.partition(":")[2]]
    for secret in sorted({secret for secret in secrets if len(secret) > 2}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return " ".join(text.split())
