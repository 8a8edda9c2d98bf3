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

"""onnxruntime: the fallback on the CPU, and on a GPU where its CUDA or TensorRT provider is installed."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.engine.labels_kernel import labels_from_planes
from flashocc_ros.engine.onnx_backend import Arrays, OnnxBackend, one_sentence
from flashocc_ros.engine.store.cache import cache_root
from flashocc_ros.engine.store.meta import LOGITS
from flashocc_ros.errors import EngineError
from flashocc_ros.threads import worker_count

if TYPE_CHECKING:
    from flashocc_ros.variants import Variant

logger = logging.getLogger(__name__)

Float32 = npt.NDArray[np.float32]

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


class OnnxRuntimeBackend(OnnxBackend):
    """See ``OnnxBackend``.

    Args:
        provider: "cpu", "cuda" or "tensorrt"; None takes CUDA when it works here.

    Raises:
        EngineError: the provider is not part of this onnxruntime, or its libraries or its GPU are missing.
    """

    name = "onnxruntime"
    precisions = ("fp32", "fp16", "int8")

    def __init__(self, variant: Variant, export_dir: Path, *, provider: str | None = None, **options: Any) -> None:
        super().__init__(variant, export_dir, **options)
        with one_sentence("onnxruntime cannot start here", "reinstall onnxruntime, or choose another engine"):
            import onnxruntime

        available, asked = onnxruntime.get_available_providers(), provider is not None
        if provider is None:
            provider = "cuda" if PROVIDERS["cuda"] in available else "cpu"
        if PROVIDERS.get(provider) not in available:
            raise EngineError(
                f"this onnxruntime has no provider {provider!r}, only {', '.join(available)}; install onnxruntime-gpu "
                "for cuda and tensorrt"
            )
        self.provider, self._asked = provider, asked
        self._files = {name: self.folder / graph.file for name, graph in self.meta.graphs.items()}
        self._sessions: dict[str, Any] = {}

    @classmethod
    def on_files(cls, variant: Variant, files: dict[str, Path]) -> OnnxRuntimeBackend:
        """A float32 CPU backend on graph files that have no ``meta.json`` yet, for calibration during an export."""
        backend = cls.__new__(cls)
        backend.variant, backend.precision, backend.provider, backend._asked = variant, "fp32", "cpu", True
        backend.observer, backend._files, backend._sessions = None, files, {}
        return backend

    @classmethod
    def unavailable(cls) -> str | None:
        if importlib.util.find_spec("onnxruntime") is None:
            return (
                "engine onnxruntime needs onnxruntime, which is not installed; pip install 'flashocc_ros[onnxruntime]'"
            )
        return None

    def describe(self) -> str:
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__} on {self.provider}, {self.precision}"

    def close(self) -> None:
        self._sessions.clear()

    def prepare(self, cameras: int) -> None:
        for graph in self.graphs:
            self._session(graph)

    def run(self, graph: str, inputs: Arrays) -> Arrays:
        session = self._session(graph)
        names = [output.name for output in session.get_outputs()]
        feeds = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        return dict(zip(names, session.run(names, feeds), strict=True))

    def run_head(self, inputs: Arrays, with_logits: bool) -> tuple[Arrays, npt.NDArray[np.uint8], bool, Float32 | None]:
        outputs = self.run("bev_head", inputs)
        logits = outputs[LOGITS].astype(np.float32, copy=False)
        # Volumes come as (1, classes, z, y, x), flat maps as (1, z * classes, y, x).
        if self.variant.volumetric:
            planes = logits[0].transpose(1, 0, 2, 3)
        else:
            planes = logits.reshape(-1, len(self.variant.classes), *logits.shape[-2:])
        return outputs, *labels_from_planes(planes), planes.transpose(3, 2, 0, 1).copy() if with_logits else None

    def _session(self, graph: str) -> Any:
        """The session of a graph. On the CPU the head gives its logits: our argmax is faster than the operator."""
        if graph not in self._sessions:
            import onnx
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = worker_count()
            options.log_severity_level = 3
            source = self._files["bev_head" if graph == "bev_key" else graph]
            with one_sentence(f"onnxruntime cannot load {source}", "export it again, or reinstall onnxruntime"):
                model: Any = str(source)
                if graph in ("bev_head", "bev_key"):
                    model = _head(onnx.load(source), graph).SerializeToString()
                session = onnxruntime.InferenceSession(model, options, providers=self._providers())
            self._check_provider(session.get_providers())
            self._sessions[graph] = session
        return self._sessions[graph]

    def _providers(self) -> list[Any]:
        if self.provider == "tensorrt":
            return [(PROVIDERS["tensorrt"], self._tensorrt_options()), PROVIDERS["cpu"]]
        return list(dict.fromkeys([PROVIDERS[self.provider], PROVIDERS["cpu"]]))

    def _tensorrt_options(self) -> dict[str, Any]:
        """Engines are kept by onnxruntime itself, which names them after graph, GPU and TensorRT version."""
        root = cache_root(self.cache_dir) / "onnxruntime-tensorrt"
        root.mkdir(parents=True, exist_ok=True)
        return {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(root)}

    def _check_provider(self, active: list[str]) -> None:
        """onnxruntime goes on with the CPU when a provider does not start; what is said must stay true."""
        if PROVIDERS[self.provider] in active:
            return
        problem = (
            f"onnxruntime could not start its provider {self.provider}: a driver or library it needs is missing or too "
            "old, check `nvidia-smi`"
        )
        if self._asked:
            raise EngineError(f"{problem}, or use provider cpu")
        logger.warning("%s; the CPU is used", problem)
        self.provider = "cpu"


def _head(model: Any, graph: str) -> Any:
    """The head with logits instead of labels, or only its part up to ``bev_key``."""
    from onnx.utils import Extractor

    outputs = [output.name for output in model.graph.output]
    if graph == "bev_key":
        return Extractor(model).extract_model(["bev"], ["bev_key"])
    inputs = [value.name for value in model.graph.input]
    kept = [LOGITS, *(name for name in outputs if name != "labels")]
    return Extractor(model).extract_model(inputs, kept)
