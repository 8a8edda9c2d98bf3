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

"""Caches know the code that filled them: another exporter, another entry."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[3] / "flashocc_ros"
CHANGES = """
import sys
from pathlib import Path

import flashocc_ros
from flashocc_ros.engine.export.on_demand import source_key
from flashocc_ros.engine.openvino_backend import int8_key
from flashocc_ros.engine.store import code
from flashocc_ros.engine.store.meta import GraphMeta
from flashocc_ros.variants import get_variant

variant = get_variant("synthetic-tiny")
graph = GraphMeta(file="bev_head.onnx", sha256="0", inputs=(), outputs=())


def keys():
    code.code_sha256.cache_clear()
    return source_key(variant, None), int8_key(variant, graph, "bev_head")


before = keys()
assert keys() == before
for name in sys.argv[1:]:
    with (Path(flashocc_ros.__file__).parent / name).open("a") as source:
        source.write("# changed\\n")
    now = keys()
    print(name, *(new != old for new, old in zip(now, before)))
    before = now
"""


def test_a_changed_source_is_another_key(tmp_path: Path) -> None:
    """Of an export and of an int8 graph, which is keyed by the content of the graph it is made from as well."""
    unused = shutil.ignore_patterns("*.safetensors", "*.onnx", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "flashocc_ros", ignore=unused)
    files = {
        "engine/export/graphs.py": "True True",
        "engine/rewrite/fold.py": "True False",
        "model/heads.py": "True False",
        "engine/openvino_backend.py": "False True",
        "viz/render.py": "False False",
    }
    done = subprocess.run(
        [sys.executable, "-c", CHANGES, *files],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert dict(line.split(" ", 1) for line in done.stdout.splitlines()) == files
