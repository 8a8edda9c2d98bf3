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

"""OpenVINO on the CPU: the default engine of machines without a GPU. Never imports torch once its cache is filled."""

from __future__ import annotations

import functools
import importlib.util
import logging
import platform
import resource
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.engine.labels_kernel import labels_from_columns
from flashocc_ros.engine.onnx_backend import Arrays, OnnxBackend, one_sentence, out_of_memory, reason
from flashocc_ros.engine.openvino_import import import_openvino
from flashocc_ros.engine.store.cache import CacheKey, cached, file_sha256, found
from flashocc_ros.engine.store.code import code_sha256
from flashocc_ros.engine.store.meta import LOGITS, GraphMeta, int8_needs_calibration
from flashocc_ros.engine.store.signatures import CENTER_OUTPUTS
from flashocc_ros.errors import EngineError
from flashocc_ros.threads import core_count, worker_count
from flashocc_ros.variants import Variant
from flashocc_ros.version import __version__

logger = logging.getLogger(__name__)

Float32 = npt.NDArray[np.float32]

COLUMNS = "logits_by_column"
"""Output of the compiled head: logits with the classes last, axes y, x, z, class."""

INT8_FILE = "int8.xml"

OWN_CODE = "engine/openvino_backend.py"
"""What changes a graph before it is compiled."""

LEAST_ADDRESS_SPACE = 400 << 20
"""Bytes; a graph of the smallest network takes 380 MB, most of it for threads and the library."""

PER_CAMERA_GRAPHS = ("image_encoder", "stereo_feature")
"""Compiled for one camera: requests of several cameras run side by side, each in the cache of its own cores."""


class OpenVinoBackend(OnnxBackend):
    """See ``OnnxBackend``.

    ``fp16`` computes in bfloat16 or float16, whichever the CPU has. ``int8`` needs ``flashocc build`` once, because
    its scales are measured on frames; layers without them stay float32, where bfloat16 gains nothing.
    """

    name = "openvino"
    precisions = ("fp32", "fp16", "int8")

    def __init__(self, variant: Variant, export_dir: Path, **options: Any) -> None:
        super().__init__(variant, export_dir, **options)
        self._requests: dict[str, Any] = {}
        self._per_camera: dict[tuple[str, int], tuple[list[Any], Arrays]] = {}
        if self.precision == "fp16" and not self.from_export and self._hint == "f32":
            raise EngineError(f"{cpu_name()} computes neither bfloat16 nor float16; use precision fp32 or int8")

    @classmethod
    def unavailable(cls) -> str | None:
        if importlib.util.find_spec("openvino") is None:
            return "engine openvino needs OpenVINO, which is not installed; pip install 'flashocc_ros[openvino]'"
        return None

    @classmethod
    def export_precision(cls, precision: str) -> str:
        # Half precision and quantization happen inside OpenVINO, from the float32 graphs.
        return "fp32"

    def describe(self) -> str:
        return f"OpenVINO {import_openvino().__version__.split('-')[0]} on {cpu_name()}, {self.precision}"

    def close(self) -> None:
        self._requests.clear()
        self._per_camera.clear()

    def prepare(self, cameras: int) -> None:
        for graph in self.graphs:
            if graph in PER_CAMERA_GRAPHS:
                self._camera_requests(graph, cameras)
            else:
                self._request(graph)

    def run(self, graph: str, inputs: Arrays) -> Arrays:
        if graph in PER_CAMERA_GRAPHS:
            return self._run_cameras(graph, inputs)
        request = self._request(graph)
        for name, array in inputs.items():
            request.set_tensor(name, _tensor(array))
        request.infer()
        return {port.any_name: request.get_tensor(port).data for port in request.model_outputs}

    def _run_cameras(self, graph: str, inputs: Arrays) -> Arrays:
        """All cameras at once, each with its slice of the inputs; OpenVINO deals them to its streams."""
        requests, outputs = self._camera_requests(graph, len(inputs["images"]))
        for camera, request in enumerate(requests):
            for name, array in inputs.items():
                request.set_tensor(name, _tensor(array[camera : camera + 1]))
            request.start_async()
        for request in requests:
            request.wait()
        return outputs

    def run_head(self, inputs: Arrays, with_logits: bool) -> tuple[Arrays, npt.NDArray[np.uint8], bool, Float32 | None]:
        outputs = self.run("bev_head", inputs)
        columns = outputs[COLUMNS].reshape(*self.variant.map_size, -1, len(self.variant.classes))
        logits = np.ascontiguousarray(columns.transpose(1, 0, 2, 3)) if with_logits else None
        centers = {name: outputs[name].copy() for name in CENTER_OUTPUTS if name in outputs}
        return outputs | centers, *labels_from_columns(columns), logits

    @functools.cached_property
    def _hint(self) -> str:
        """OpenVINO's element type of everything that is not quantized."""
        if self.precision != "fp16" or self.from_export:
            return "f32"
        native = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if "BF16" in native else "f16" if "FP16" in native else "f32"

    def _request(self, graph: str) -> Any:
        if graph not in self._requests:
            self._requests[graph] = self._load(graph, streams=1).create_infer_request()
        return self._requests[graph]

    def _camera_requests(self, graph: str, cameras: int) -> tuple[list[Any], Arrays]:
        """One request per camera, and the arrays (N, ...) that they fill."""
        key = (graph, cameras)
        if key not in self._per_camera:
            compiled = self._load(graph, stream_count(cameras, worker_count()))
            outputs = {
                port.any_name: np.empty((cameras, *port.shape[1:]), port.element_type.to_dtype())
                for port in compiled.outputs
            }
            requests = [compiled.create_infer_request() for _ in range(cameras)]
            for camera, request in enumerate(requests):
                for name, array in outputs.items():
                    request.set_tensor(name, _tensor(array[camera : camera + 1]))
            self._per_camera[key] = requests, outputs
        return self._per_camera[key]

    def _load(self, graph: str, streams: int) -> Any:
        """The compiled graph, out of the cache when it is there."""
        check_address_space()
        source = self.meta.graphs["bev_head" if graph == "bev_key" else graph]
        parts = {
            "graph": graph,
            "onnx": source.sha256,
            "code": code_sha256(OWN_CODE),
            "version": import_openvino().__version__,
            "device": cpu_name(),
            "precision": f"{self.precision}, {self._hint} elsewhere",
            "shapes": "one camera" if graph in PER_CAMERA_GRAPHS else "one map",
            "threads": f"{worker_count()} in {streams} streams",
        }
        quantized = self._quantized(graph) if self.precision == "int8" else None
        if quantized is not None:
            # A new calibration makes another file under the same name.
            parts["quantized"] = file_sha256(quantized.with_suffix(".bin"))

        def build(folder: Path) -> None:
            path = quantized or self.folder / source.file
            with one_sentence(f"OpenVINO cannot compile {path}", "export it again, or reinstall openvino"):
                model = core().read_model(path)
                if quantized is None:
                    model = prepared(model, graph)
                if graph in PER_CAMERA_GRAPHS:
                    model.reshape({port.any_name: [1, *port.partial_shape[1:]] for port in model.inputs})
                blob = core().compile_model(model, "CPU", self._options(streams)).export_model().getvalue()
            (folder / "engine.blob").write_bytes(blob)

        key = CacheKey("openvino", self.variant.name, parts)
        entry = cached(self.cache_dir, key, build)
        try:
            return self._imported(entry, streams)
        except (RuntimeError, MemoryError) as error:
            if out_of_memory(error):
                raise EngineError(
                    f"OpenVINO got no memory to load {entry} ({reason(error)}); close other programs or choose a "
                    "smaller variant"
                ) from error
            logger.warning("engine cache: OpenVINO does not take %s (%s); building it again", entry, reason(error))
        entry = cached(self.cache_dir, key, build, replace=True)
        with one_sentence("OpenVINO cannot load what it built", "reinstall openvino"):
            return self._imported(entry, streams)

    def _imported(self, entry: Path, streams: int) -> Any:
        return core().import_model((entry / "engine.blob").read_bytes(), "CPU", self._options(streams))

    def _options(self, streams: int) -> dict[str, Any]:
        return {
            "INFERENCE_PRECISION_HINT": self._hint,
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": worker_count(),
            # Several processes with a part of the cores each would all bind their threads to the first ones.
            "ENABLE_CPU_PINNING": worker_count() == core_count(),
        }

    def _quantized(self, graph: str) -> Path | None:
        """The quantized graph ``flashocc build`` left in the cache; None for small graphs and given files."""
        if self.from_export or graph in ("bev_key", "stereo_feature"):
            return None
        entry = found(self.cache_dir, int8_key(self.variant, self.meta.graphs[graph], graph))
        if entry is None:
            raise EngineError(int8_needs_calibration(self.variant))
        return entry / INT8_FILE


def stream_count(cameras: int, threads: int) -> int:
    """Into how many streams to deal the threads so that all cameras are done first; of equals the most, because
    threads of different streams never wait for each other."""

    def rounds(streams: int) -> float:
        return -(-cameras // streams) / (threads // streams)

    return min(range(min(cameras, threads), 0, -1), key=rounds)


def _tensor(array: npt.NDArray[Any]) -> Any:
    """The array itself as OpenVINO takes it; copied only when it is not contiguous."""
    return import_openvino().Tensor(np.ascontiguousarray(array), shared_memory=True)


def int8_key(variant: Variant, source: GraphMeta, graph: str) -> CacheKey:
    """Where the int8 form of an exported graph is kept."""
    parts = {
        "graph": graph,
        "onnx": source.sha256,
        "release": __version__,
        "code": code_sha256("engine/export", OWN_CODE),
    }
    return CacheKey("openvino-int8", variant.name, parts)


def check_address_space() -> None:
    """Refuse to load a graph where the process may not take what that needs: OpenVINO crashes or waits for ever there.

    Raises:
        EngineError: less than `LEAST_ADDRESS_SPACE` is left under the limit of ``ulimit -v``.
    """
    limit, statm = resource.getrlimit(resource.RLIMIT_AS)[0], Path("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not statm.is_file():
        return
    left = limit - int(statm.read_text().split()[0]) * resource.getpagesize()
    if left < LEAST_ADDRESS_SPACE:
        raise EngineError(
            f"OpenVINO got no memory to load a network: {max(0, left) >> 20} MB are left of the {limit >> 20} MB that "
            f"the process may take (ulimit -v), {LEAST_ADDRESS_SPACE >> 20} MB are needed; raise the limit"
        )


@functools.lru_cache(maxsize=1)
def core() -> Any:
    """OpenVINO of this process."""
    with one_sentence("OpenVINO cannot start here", "reinstall openvino, or choose another engine"):
        return import_openvino().Core()


@functools.lru_cache(maxsize=1)
def cpu_name() -> str:
    """Model name of this CPU: part of cache keys and reports."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def prepared(model: Any, graph: str) -> Any:
    """A head graph that ends in logits with the classes last, where argmax over contiguous numbers is ten times cheaper
    than the engine's; or only the part up to ``bev_key``. Other graphs as they are."""
    openvino = import_openvino()
    ops = openvino.opset13

    if graph not in ("bev_head", "bev_key"):
        return model

    if graph == "bev_key":
        port = model.output("bev_key").get_node().input_value(0)
        used = [p for p in model.get_parameters() if p.output(0).any_name == "bev"]
        result = ops.result(port)
        result.output(0).set_names({"bev_key"})
        return openvino.Model([result], used, graph)
    logits = next(port for op in model.get_ordered_ops() for port in op.outputs() if LOGITS in port.names)
    volumetric = len(logits.partial_shape) == 5
    order = [0, 3, 4, 2, 1] if volumetric else [0, 2, 3, 1]
    columns = ops.result(ops.transpose(logits, np.array(order, np.int64)))
    columns.output(0).set_names({COLUMNS})
    others = [r for r in model.get_results() if "labels" not in r.output(0).names]
    return openvino.Model([columns, *others], model.get_parameters(), graph)
