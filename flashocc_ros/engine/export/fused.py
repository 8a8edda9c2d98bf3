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

"""The fused graph's tables: one calibration in the fixed sizes it was exported with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flashocc_ros.engine.export.tree16 import TreeSizes, tree_table
from flashocc_ros.engine.store.meta import ExportMeta
from flashocc_ros.errors import EngineError

if TYPE_CHECKING:
    from flashocc_ros.geometry.lift import LiftTable


def fused_tables(meta: ExportMeta, table: LiftTable, calibration: str) -> dict[str, npt.NDArray[np.int32]]:
    """Inputs ``row_point``, ``row_pixel``, ``cell_row`` and ``cell_source`` of ``fused.onnx``.

    Args:
        meta: of the export.
        table: the calibration in use.
        calibration: what to call it in an error, such as the recording it comes from.

    Raises:
        EngineError: the export has no fused graph, or the calibration has other cameras or needs larger tables.
    """
    if meta.tree is None:
        raise EngineError(f"this export of {meta.variant} has no fused graph; export it with --fused")
    cameras = table.frustum_shape[0]
    if cameras != meta.tree.cameras:
        raise EngineError(
            f"the calibration {calibration} has {cameras} cameras, the fused graph was exported for "
            f"{meta.tree.cameras}; export it again with --fused --calibration of this vehicle"
        )
    sizes = TreeSizes(meta.tree.rows, meta.tree.tall_cells, meta.tree.rows_per_cell, meta.tree.row_points)
    return tree_table(table, sizes, calibration).as_inputs()
