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

"""Libraries are silenced while they work, and nothing else is."""

from __future__ import annotations

import contextlib
import logging

import pytest

from flashocc_ros.engine.export.quiet import quiet


def test_only_the_named_logger_is_silenced_and_only_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        with quiet():
            logging.warning("please preprocess")
            logging.getLogger("flashocc_ros").warning("ours")
            logging.error("broken")
        logging.warning("later")
    assert [record.message for record in caplog.records] == ["ours", "broken", "later"]


def test_level_and_handlers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ``logging.warning`` of a process installs a handler."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    before = root.level, root.manager.disable
    with contextlib.suppress(KeyError), quiet():
        logging.warning("please preprocess")
        raise KeyError
    assert (root.level, root.manager.disable, root.handlers, root.filters) == (*before, [], [])
