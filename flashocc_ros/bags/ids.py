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

"""Instance ids as they fit the messages."""

from __future__ import annotations

from typing import overload

import numpy as np
import numpy.typing as npt

from flashocc_ros.labels import ClassTable


@overload
def message_ids(ids: int, classes: ClassTable) -> int: ...
@overload
def message_ids(ids: npt.NDArray[np.int32], classes: ClassTable) -> npt.NDArray[np.uint16]: ...
def message_ids(ids: int | npt.NDArray[np.int32], classes: ClassTable) -> int | npt.NDArray[np.uint16]:
    """Ids of a result as ``uint16``: class ids stay, instance ids start again behind them after 65535.

    A drive of hours hands out more than 65 518 ids; an id used again then is hours older than its namesake.
    """
    first = classes.first_instance_id
    count = 2**16 - first
    if isinstance(ids, int):
        return ids if ids < first else first + (ids - first) % count
    if ids.size == 0 or int(ids.max()) < 2**16:
        return ids.astype(np.uint16)
    wrapped = first + (ids - first) % count
    return np.where(ids < first, ids, wrapped).astype(np.uint16)
