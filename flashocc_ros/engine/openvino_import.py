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

"""The one place that imports OpenVINO."""

from __future__ import annotations

import sys
from typing import Any

STATISTICS = "openvino_telemetry"


def import_openvino() -> Any:
    """The module, without its statistics of use.

    With them each import counts in ``~/intel``, names the machine to a server on the internet and forks for that: a
    copy of a process full of threads, which a lock that one of them held at that moment keeps for ever.
    """
    sys.modules.setdefault(STATISTICS, None)  # type: ignore[arg-type]  # an import of it fails, which OpenVINO expects
    import openvino

    return openvino
