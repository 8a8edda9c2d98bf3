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

"""What can be shown without a GPU: kernels compiled for every generation, engines built by TensorRT-RTX."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from flashocc_ros.checks.gpu import scenes
from flashocc_ros.checks.gpu.report import Result, outcome
from flashocc_ros.checks.gpu.run import Part
from flashocc_ros.checks.gpu.setting import Setting
from flashocc_ros.errors import EngineError
from flashocc_ros.variants import get_variant

GENERATIONS = {
    80: "A100",
    86: "RTX 30",
    87: "Orin",
    89: "RTX 40",
    90: "H100, H200",
    110: "Thor",
    120: "RTX 50",
}


def kernels(setting: Setting) -> Iterator[Result]:
    """The pooling kernel to machine code."""
    for capability, examples in GENERATIONS.items():
        binary = compiled(capability)
        yield Result(f"sm_{capability}", outcome(binary[:4] == b"\x7fELF"), examples, {"bytes": len(binary)})


def compiled(capability: int, channels: int = 64) -> bytes:
    """The pooling kernel as a cubin."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from flashocc_ros.engine.tensorrt.triton_pooler import _sum_cells

    signature = {name: "*fp32" for name in ("depth", "context", "out")}
    signature |= {name: "*i32" for name in ("point_index", "cell_start")}
    sizes = ("channels", "points_per_camera", "pixels_per_camera", "plane", "slice_stride", "channel_stride")
    signature |= dict.fromkeys(sizes, "i32")
    source = ASTSource(_sum_cells, signature, {"BLOCK": channels})
    return bytes(triton.compile(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"])


def builds(setting: Setting) -> Iterator[Result]:
    """Graphs of every kind parsed and built; where there is no GPU they are small, since nothing can run them."""
    import tensorrt_rtx

    from flashocc_ros.engine.export.write import export
    from flashocc_ros.engine.store.meta import load_export
    from flashocc_ros.engine.tensorrt.build import build_engine

    names = ("synthetic-tiny-4d", "flashocc-r50-M0", "panoptic-flashocc-r50-depth4d-pano")
    for name in (*names, "flashocc-r50-4d-stereo"):
        variant = get_variant(name)
        if not setting.gpu and variant.trained_on == "nuscenes":
            depth = replace(variant.depth, step_m=2.0)
            variant = replace(variant, input_size=(64, 192), backbone="resnet18", backbone_width=16, depth=depth)
        with tempfile.TemporaryDirectory(dir=setting.out) as folder:
            begun = perf_counter()
            export(variant, None, Path(folder), "fp32")
            for graph, meta in load_export(Path(folder), variant).graphs.items():
                cameras = len(scenes.CAMERAS)
                shapes = {
                    tensor.name: tuple(cameras if isinstance(size, str) else size for size in tensor.shape)
                    for tensor in meta.inputs
                }
                try:
                    size = len(build_engine(Path(folder) / meta.file, tensorrt_rtx, shapes))
                except EngineError as error:
                    yield Result(f"{name}, {graph}", "failed", str(error))
                    continue
                seconds = round(perf_counter() - begun, 1)
                yield Result(f"{name}, {graph}", "ok", "", {"MB": size / 1e6, "s since the export began": seconds})


PARTS = (
    Part("kernels ahead of time", "Does the pooling kernel compile for every GPU?", kernels, 60, ("torch", "triton")),
    Part(
        "engines without a GPU",
        "Does TensorRT-RTX take the graphs?",
        builds,
        60,
        ("torch", "tensorrt_rtx", "onnx", "pydantic", "filelock", "safetensors", "rosbags", "yaml"),
    ),
)
