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

"""Int8 for OpenVINO with NNCF: scales measured on recorded inputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flashocc_ros.engine.export.calibration import Feeds
from flashocc_ros.engine.export.precision import kept_parts
from flashocc_ros.engine.export.quiet import quiet
from flashocc_ros.engine.openvino_backend import INT8_FILE, OpenVinoBackend, core, int8_key, prepared
from flashocc_ros.engine.openvino_import import import_openvino
from flashocc_ros.engine.store.cache import cached
from flashocc_ros.errors import EngineError

FLOAT_TYPES = ["MatMul", "Multiply", "Subtract", "Divide", "Power", "Sqrt"]
"""Camera numbers reach 2000, sums of points hundreds, and upsampling weights are exact: eight bits are too few
for any of these, and all are cheap."""

QUANTIZED_HERE = {"predicter.2"}
"""Kept by the Q/DQ export, but a tenth of the head's time on a CPU and no visible error of its own."""


def quantize(model: Any, feeds: Feeds) -> Any:
    """The model with int8 weights and activations in its convolutions.

    Args:
        model: an OpenVINO model with named inputs.
        feeds: what the graph was fed with on real frames.

    Raises:
        EngineError: nncf is missing.
    """
    try:
        import nncf
    except ImportError as error:
        raise EngineError("int8 for OpenVINO needs nncf; pip install 'flashocc_ros[export]'") from error
    parts = kept_parts(op.get_friendly_name() for op in model.get_ops())
    kept = [f".*{re.escape(part)}.*" for part in parts if part not in QUANTIZED_HERE]
    with quiet("nncf"):  # it logs every layer it leaves alone; those are known
        return nncf.quantize(
            model,
            nncf.Dataset(feeds, lambda feed: feed),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(feeds),
            fast_bias_correction=True,
            ignored_scope=nncf.IgnoredScope(types=FLOAT_TYPES, patterns=kept, validate=False),
        )


def quantized_graph(backend: OpenVinoBackend, graph: str, feeds: Feeds) -> Path:
    """Put the int8 form of a graph, made from ``feeds``, where an int8 backend looks for it; an older one goes."""
    source = backend.meta.graphs[graph]

    def build(folder: Path) -> None:
        model = prepared(core().read_model(backend.folder / source.file), graph)
        import_openvino().save_model(quantize(model, feeds), folder / INT8_FILE, compress_to_fp16=False)

    return cached(backend.cache_dir, int8_key(backend.variant, source, graph), build, replace=True) / INT8_FILE
