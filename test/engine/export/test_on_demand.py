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

"""The networks that come with the package start without PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flashocc_ros import weights
from flashocc_ros.engine.export.on_demand import cached_export
from flashocc_ros.engine.store.cache import file_sha256
from flashocc_ros.engine.store.meta import load_export
from flashocc_ros.variants import get_variant


@pytest.mark.parametrize("name", ["synthetic-tiny", "synthetic-tiny-4d"])
def test_export_is_of_the_shipped_weights(name: str) -> None:
    folder = weights.export_dir(name)
    assert folder is not None
    meta = load_export(folder, get_variant(name), "fp32")
    assert meta.checkpoint_sha256 == file_sha256(weights.path(name))


def test_other_weights_do_not_take_the_shipped_export(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from flashocc_ros.model import build_model

    checkpoint = tmp_path / "other.safetensors"
    save_file(build_model("synthetic-tiny").state_dict(), checkpoint)
    folder, _ = cached_export(get_variant("synthetic-tiny"), checkpoint, cache_dir=tmp_path)
    assert folder != weights.export_dir("synthetic-tiny")


def test_all_shipped_files_stay_small() -> None:
    files = [path for path in Path(weights.__file__).parent.rglob("*") if path.suffix in (".onnx", ".safetensors")]
    assert sum(path.stat().st_size for path in files) <= 30e6


def test_prediction_imports_no_torch(tmp_path: Path) -> None:
    code = f"""
import sys
import numpy as np
import pytest
from flashocc_ros import CameraRig, Predictor
rig = CameraRig(["a"], [[[352.0, 0, 352], [0, 352, 198], [0, 0, 1]]], np.eye(4)[None])
predictor = Predictor("synthetic-tiny-4d", engine="openvino", cache_dir={str(tmp_path)!r})
result = predictor([np.zeros((396, 704, 3), np.uint8)], rig, np.eye(4)[None], 1)
print(predictor.trained, result.semantics.shape, "torch" in sys.modules, "onnx" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == f"True {np.zeros((200, 200, 16)).shape} False False", done.stderr[-2000:]
