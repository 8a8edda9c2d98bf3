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
"""Engines of several processes share the cores of a machine."""

from __future__ import annotations

import pytest

pytest.importorskip("openvino")

from flashocc_ros import Predictor
from flashocc_ros.engine.openvino_backend import OpenVinoBackend
from flashocc_ros.threads import core_count


@pytest.mark.skipif(core_count() == 1, reason="one core")
def test_threads_that_leave_cores_to_others_are_bound_to_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else processes with one thread each all compute on the first core, and two are hardly faster than one."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    backend = Predictor("synthetic-tiny", engine="openvino").backend
    assert isinstance(backend, OpenVinoBackend)
    compiled = backend._request("bev_head").get_compiled_model()
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
