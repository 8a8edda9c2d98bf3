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

"""Asking a server for something: tried again where that may help, and one sentence where it does not."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from flashocc_ros.errors import ConfigError, FlashOccError, RemoteError
from flashocc_ros.remote.urls import WEB, scheme_of, scrubbed, shown

_LOG = logging.getLogger(__name__)
Answer = TypeVar("Answer")

PAUSES_S = (0.5, 1.0, 2.0)
"""Before the second try, the third and the last."""
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 30.0
"""Of the web; what speaks to other servers has its own limits, settings of fsspec."""
MAX_REASON = 200

_FINAL = (IsADirectoryError, NotADirectoryError, FileExistsError, NotImplementedError, TypeError, ValueError)
_AGAIN = (408, 429)  # of the answers 400 to 499, which blame the question


def filesystem(url: str) -> tuple[Any, str]:
    """What fsspec reaches ``url`` with, and what it calls the place there.

    Raises:
        ConfigError: fsspec, or what it needs for this kind of URL, is not installed, or there is no such kind.
        RemoteError: the server cannot be reached.
    """
    try:
        import fsspec
    except ImportError as error:
        raise ConfigError(f"{shown(url)} needs fsspec: pip install 'flashocc_ros[fleet]'") from error
    if "::" in url:
        raise ConfigError(f"{shown(url)} chains several places; give the URL of the recording itself")
    try:
        return attempt(url, lambda: fsspec.url_to_fs(url, **_options(url)))
    except ImportError as error:
        raise ConfigError(
            f"{scheme_of(url)}:// needs a package that is not installed ({error}); pip install it"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{shown(url)} cannot be reached ({scrubbed(str(error), url)}); check the URL") from error


def _options(url: str) -> dict[str, Any]:
    """fsspec waits five minutes for a silent server of the web unless it is told not to."""
    if scheme_of(url) not in WEB:
        return {}
    import aiohttp
    from fsspec.config import conf

    configured: dict[str, Any] = {}
    for scheme in WEB:
        configured |= conf.get(scheme, {}).get("client_kwargs") or {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
    return {"client_kwargs": {"timeout": timeout, **configured}}


def attempt(url: str, ask: Callable[[], Answer]) -> Answer:
    """What ``ask`` returns; it is called again after a fault that may pass, four times at most.

    Raises:
        FileNotFoundError: nothing is there.
        RemoteError: access is denied, or all tries failed.
    """
    for pause_s in (*PAUSES_S, None):
        try:
            return ask()
        except (FlashOccError, ImportError, MemoryError):
            raise
        except Exception as error:  # every library that speaks to a server has its own
            cause = _cause(error)
            if isinstance(cause, FileNotFoundError) or _status(cause) in (404, 410):
                raise FileNotFoundError(errno.ENOENT, "it does not exist", shown(url)) from error
            if isinstance(cause, PermissionError) or _status(cause) in (401, 403) or "Credential" in _name(cause):
                raise RemoteError(
                    f"{shown(url)}: access is denied ({_reason(cause, url)}); fsspec takes credentials from the "
                    "environment and from ~/.config/fsspec"
                ) from error
            if isinstance(cause, _FINAL):
                raise
            status = _status(cause)
            if pause_s is None or (status is not None and 400 <= status < 500 and status not in _AGAIN):
                tries = "" if pause_s is not None else f", tried {len(PAUSES_S) + 1} times"
                raise RemoteError(
                    f"{shown(url)} cannot be reached ({_reason(cause, url)}{tries}); check the URL, the network and "
                    "the server"
                ) from error
            _LOG.debug("%s: %s, trying again in %g s", shown(url), _reason(cause, url), pause_s)
            time.sleep(pause_s)
    raise AssertionError("the last try returns or raises")


def _cause(error: BaseException) -> BaseException:
    """fsspec's web calls everything a file that is not there; what it was is the cause."""
    is_wrapped = isinstance(error, FileNotFoundError) and error.__cause__ is not None
    return error.__cause__ if is_wrapped and error.__cause__ is not None else error


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else None


def _name(error: BaseException) -> str:
    return type(error).__name__


def _reason(error: BaseException, url: str) -> str:
    if (status := _status(error)) is not None:
        return f"the server answers {status}"
    text = scrubbed(str(error), url)
    return f"{_name(error)}: {text:.{MAX_REASON}}" if text else _name(error)
