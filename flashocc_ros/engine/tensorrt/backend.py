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

"""TensorRT on NVIDIA GPUs: pictures go up as uint8, everything happens on one stream, 640 kB of labels come back.

The steady state replays CUDA graphs: one for the image encoder, one for the BEV head, and for a vehicle that moves one
that makes the lift table. Between encoder and head the pooling kernel runs. Whatever goes up lies in pinned memory, and
nothing waits for the GPU until the labels are fetched, with the maps of the centres at once.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import Picture
from flashocc_ros.engine.onnx_backend import Arrays, OnnxBackend, one_sentence
from flashocc_ros.engine.store.cache import CacheKey, cached
from flashocc_ros.engine.store.code import code_sha256
from flashocc_ros.engine.store.signatures import CENTER_OUTPUTS
from flashocc_ros.errors import InputError
from flashocc_ros.geometry.lift import LiftTable
from flashocc_ros.pipeline.backend import Encoded, Float32, Float64
from flashocc_ros.pipeline.preprocess import ImageTransform

if TYPE_CHECKING:
    import torch

    from flashocc_ros.engine.tensorrt.runtime import TensorRtEngine
    from flashocc_ros.geometry import Geometry
    from flashocc_ros.variants import Variant

logger = logging.getLogger(__name__)

PER_CAMERA_GRAPHS = ("image_encoder", "stereo_feature")


class TensorRTBackend(OnnxBackend):
    """See ``OnnxBackend``; arrays between the stages are torch tensors on ``device``.

    Args:
        variant, export_dir, options: as ``OnnxBackend``.
        device: None is the current CUDA device.
        tensorrt: the module to use; None imports ``tensorrt``.
        graphs: replay CUDA graphs; False launches kernel by kernel.

    Raises:
        EngineError: TensorRT or a GPU is missing, the driver is too old, or an engine cannot be built.
    """

    name = "tensorrt"
    precisions = ("fp32", "fp16", "int8")
    gives_logits = False

    def __init__(
        self,
        variant: Variant,
        export_dir: Path,
        *,
        device: str | None = None,
        tensorrt: ModuleType | None = None,
        graphs: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(variant, export_dir, **options)
        import torch

        from flashocc_ros.engine.tensorrt.build import import_tensorrt
        from flashocc_ros.engine.tensorrt.device_geometry import DeviceGeometry
        from flashocc_ros.engine.tensorrt.device_preprocess import DevicePreprocessor
        from flashocc_ros.engine.tensorrt.stream import DeviceStream

        self._trt = tensorrt or import_tensorrt()
        self.device = torch.device(device or "cuda")
        self._stream = DeviceStream(self.device, graphs)
        self._preprocessor = DevicePreprocessor(self.device)
        self.decodes_jpeg = self._preprocessor.decodes_jpeg
        self._engines: dict[tuple[str, int], tuple[TensorRtEngine, Callable[[], None]]] = {}
        self._geometry = DeviceGeometry(variant, self.device, self._stream)

    @classmethod
    def unavailable(cls) -> str | None:
        for module, remedy in (("tensorrt", "install TensorRT 10 or 11"), ("torch", "install PyTorch with CUDA")):
            if importlib.util.find_spec(module) is None:
                return f"engine tensorrt needs the Python module {module}: {remedy}, or choose engine openvino"
        return gpu_problem()

    def describe(self) -> str:
        return f"TensorRT {self._trt.__version__} on {self._device_name()}, {self.precision}"

    def _device_name(self) -> str:
        import torch

        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else str(self.device)

    def close(self) -> None:
        self._stream.synchronize()
        for engine, _ in self._engines.values():
            engine.close()
        self._engines.clear()

    def prepare(self, cameras: int) -> None:
        for graph in self.graphs:
            if graph != "bev_key":  # an output of the head's engine
                self._engine(graph, cameras)

    def synchronize(self) -> None:
        self._stream.synchronize()

    def preprocess(self, images: Sequence[Picture], transforms: Sequence[ImageTransform]) -> Any:
        with self._stream():
            return self._preprocessor(images, transforms)

    def run(self, graph: str, inputs: Arrays) -> Arrays:
        part = "bev_head" if graph == "bev_key" else graph
        engine, replay = self._engine(part, len(inputs["images"]) if part in PER_CAMERA_GRAPHS else 0)
        import torch

        from flashocc_ros.engine.tensorrt.stream import pinned

        with self._stream():
            for name, value in inputs.items():
                buffer = engine.inputs[name]
                given = value if isinstance(value, torch.Tensor) else pinned(value, self.device)
                if given.shape != buffer.shape:
                    raise InputError(f"{part}: {name} has shape {tuple(given.shape)}, needs {tuple(buffer.shape)}")
                buffer.copy_(given, non_blocking=True)
        replay()
        outputs: Arrays = engine.outputs  # type: ignore[assignment]
        return outputs

    def run_head(self, inputs: Arrays, with_logits: bool) -> tuple[Arrays, npt.NDArray[np.uint8], bool, Float32 | None]:
        if with_logits:
            raise InputError("engine tensorrt returns labels only; compare logits with engine openvino or torch")
        outputs = self.run("bev_head", inputs)
        host = self._fetched([name for name in ("labels", *CENTER_OUTPUTS) if name in outputs], outputs)
        labels = host.pop("labels")
        # The argmax is inside the engine. Of NaN alone it makes one class everywhere, which only free space can be.
        first = labels.flat[0]
        return outputs | host, labels, bool(first == self.variant.classes.free or (labels != first).any()), None

    def lift_table(self, geometry: Geometry) -> Any:
        with self._stream():
            return self._geometry.lift_table(geometry)

    def stereo_grid(self, geometry: Geometry) -> Any:
        with self._stream():
            return self._geometry.stereo_grid(geometry)

    def warp_grids(self, key_from_previous: Sequence[Float64]) -> Any:
        with self._stream():
            return self._geometry.warp_grids(key_from_previous)

    def given(self, grids: Any) -> Any:
        import torch

        return grids if isinstance(grids, torch.Tensor) else super().given(grids)

    def pool(self, encoded: Encoded, table: Any) -> Any:
        from flashocc_ros.engine.tensorrt import device_table

        if tuple(encoded.depth.shape) != table.frustum_shape:
            raise InputError(
                f"the lift table is for (N, D, fH, fW) = {table.frustum_shape}, the encoder gave "
                f"{tuple(encoded.depth.shape)}"
            )
        with self._stream():
            if isinstance(table, LiftTable):
                table = device_table.to_device(table, self.device)
            depth, context = (self._tensor(array).float() for array in (encoded.depth, encoded.context))
            return device_table.pooler_for(self.device).pool(depth, context, table, volumetric=self.variant.volumetric)

    def finite(self, array: Any) -> bool:
        import torch

        with self._stream():
            return bool(torch.isfinite(self._tensor(array)).all())

    def kept(self, array: Any) -> torch.Tensor:
        with self._stream():
            result: torch.Tensor = array.clone()
        return result

    def _fetched(self, names: Sequence[str], outputs: Mapping[str, Any]) -> Arrays:
        """Outputs in pinned memory, to which a copy does not block, after one wait for the last of them."""
        import torch

        with self._stream():
            hosts = {}
            for name in names:
                there: torch.Tensor = outputs[name]
                hosts[name] = torch.empty(there.shape, dtype=there.dtype, pin_memory=self.device.type == "cuda")
                hosts[name].copy_(there, non_blocking=True)
        self._stream.synchronize()
        return {name: (host.float() if host.is_floating_point() else host).numpy() for name, host in hosts.items()}

    def engine_only_ms(self, cameras: int, repeats: int = 50) -> dict[str, float] | None:
        """By CUDA events, with whatever lies in the buffers of each engine."""
        import torch

        if self.device.type != "cuda":
            return None
        result = {}
        for graph in self.meta.graphs:
            if graph == "fused":
                continue
            _, replay = self._engine(graph, cameras)
            times = []
            for _ in range(repeats):
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                with self._stream():
                    begin.record()
                    replay()
                    end.record()
                end.synchronize()
                times.append(begin.elapsed_time(end))
            result[graph] = float(np.median(times))
        return result

    def _tensor(self, array: Any) -> torch.Tensor:
        import torch

        return torch.as_tensor(array, device=self.device)

    def _engine(self, graph: str, cameras: int) -> tuple[TensorRtEngine, Callable[[], None]]:
        key = (graph, cameras if graph in PER_CAMERA_GRAPHS else 0)
        if key not in self._engines:
            from flashocc_ros.engine.tensorrt.runtime import ForeignEngineError, TensorRtEngine

            shapes = self._shapes(graph, key[1])
            what = f"engine tensorrt cannot load {graph} of {self.variant.name}"
            with one_sentence(what, "free GPU memory, or see `flashocc doctor`"):
                try:
                    engine = TensorRtEngine(self._serialized(graph, shapes), self._trt, self.device, shapes)
                except ForeignEngineError as error:
                    # The driver, for one, is not part of the key.
                    logger.warning("engine cache: %s; building it again", error)
                    serialized = self._serialized(graph, shapes, replace=True)
                    engine = TensorRtEngine(serialized, self._trt, self.device, shapes)
                self._engines[key] = engine, self._stream.captured(lambda: engine.run(self._stream.handle))
        return self._engines[key]

    def _shapes(self, graph: str, cameras: int) -> dict[str, tuple[int, ...]]:
        return {
            tensor.name: tuple(cameras if isinstance(size, str) else size for size in tensor.shape)
            for tensor in self.meta.graphs[graph].inputs
        }

    def _serialized(self, graph: str, shapes: dict[str, tuple[int, ...]], *, replace: bool = False) -> bytes:
        """The engine out of the cache; built and kept when it is not there for this GPU and TensorRT."""
        from flashocc_ros.engine.tensorrt.build import build_engine, free_workspace_bytes

        source = self.meta.graphs[graph]
        parts = {
            "graph": graph,
            "onnx": source.sha256,
            "version": self._trt.__version__,
            "device": self._device_name(),
            "code": code_sha256("engine/tensorrt/build.py"),
            "precision": self.precision,
            "shapes": str(sorted(shapes.items())),
        }

        def build(folder: Path) -> None:
            logger.info("building the TensorRT engine of %s %s; this takes minutes once", self.variant.name, graph)
            workspace_bytes = free_workspace_bytes(self.device)
            serialized = build_engine(self.folder / source.file, self._trt, shapes, workspace_bytes)
            (folder / "engine.plan").write_bytes(serialized)

        entry = cached(self.cache_dir, CacheKey("tensorrt", self.variant.name, parts), build, replace=replace)
        return (entry / "engine.plan").read_bytes()


def gpu_problem() -> str | None:
    """Why PyTorch cannot use a GPU here, with the remedy; None when it can."""
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return None
    if torch.version.cuda is None:
        return (
            f"engine tensorrt needs PyTorch with CUDA, this is {torch.__version__}: install a CUDA build of it, or "
            "choose engine openvino"
        )
    # A driver that is too old is explained in a warning, with both versions.
    reason = f" ({' '.join(str(said[0].message).split())})" if said else ""
    return (
        f"engine tensorrt found no usable NVIDIA GPU{reason}: check `nvidia-smi`, update the driver if it is too old "
        f"for CUDA {torch.version.cuda} of PyTorch, or choose engine openvino"
    )
