"""OpenVINO on the CPU: the default engine of machines without a GPU. Never imports torch once its cache is filled."""

from __future__ import annotations

import functools
import importlib.util
import logging
import platform
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.engine.cache import CacheKey, cached, file_sha256
from flashocc_ros.engine.export_cache import int8_needs_calibration
from flashocc_ros.engine.labels_kernel import labels_from_columns
from flashocc_ros.engine.onnx_backend import Arrays, OnnxBackend
from flashocc_ros.engine.threads import worker_count
from flashocc_ros.errors import EngineError
from flashocc_ros.labels import NUM_CLASSES

logger = logging.getLogger(__name__)

Float32 = npt.NDArray[np.float32]

COLUMNS = "logits_by_column"
"""Output of the compiled head: logits with the classes last, (200, 200, 16, 18), axes y, x, z, class."""


class OpenVinoBackend(OnnxBackend):
    """See ``OnnxBackend``.

    ``fp16`` computes in bfloat16 or float16, whichever the CPU has. ``int8`` needs ``flashocc build`` once, because
    its scales are measured on frames; layers without them stay float32, where bfloat16 gains nothing.
    """

    name = "openvino"
    precisions = ("fp32", "fp16", "int8")

    def __init__(self, variant: Any, checkpoint: Path | None = None, **options: Any) -> None:
        super().__init__(variant, checkpoint, **options)
        self._requests: dict[tuple[str, int], Any] = {}
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
        import openvino

        return f"OpenVINO {openvino.__version__.split('-')[0]} on {cpu_name()}, {self.precision}"

    def close(self) -> None:
        self._requests.clear()

    def prepare(self, cameras: int) -> None:
        for graph in self.graphs:
            self._request(graph, cameras)

    def run(self, graph: str, inputs: Arrays) -> Arrays:
        import openvino

        cameras = inputs["images"].shape[0] if "images" in inputs else 0
        request = self._request(graph, cameras)
        for name, array in inputs.items():
            request.set_tensor(name, openvino.Tensor(np.ascontiguousarray(array), shared_memory=True))
        request.infer()
        ports = request.model_outputs
        return {port.any_name: request.get_tensor(port).data for port in ports}

    def run_head(self, inputs: Arrays, with_logits: bool) -> tuple[Arrays, npt.NDArray[np.uint8], Float32 | None]:
        outputs = self.run("bev_head", inputs)
        columns = outputs[COLUMNS].reshape(200, 200, -1, NUM_CLASSES)
        logits = np.ascontiguousarray(columns.transpose(1, 0, 2, 3)) if with_logits else None
        return outputs, labels_from_columns(columns), logits

    @functools.cached_property
    def _hint(self) -> str:
        """OpenVINO's element type of everything that is not quantized."""
        if self.precision != "fp16" or self.from_export:
            return "f32"
        native = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if "BF16" in native else "f16" if "FP16" in native else "f32"

    def _request(self, graph: str, cameras: int) -> Any:
        key = (graph, cameras if graph in ("image_encoder", "stereo_feature") else 0)
        if key not in self._requests:
            self._requests[key] = self._load(*key).create_infer_request()
        return self._requests[key]

    def _load(self, graph: str, cameras: int) -> Any:
        """The compiled graph, out of the cache when it is there."""
        import openvino

        source = self.meta.graphs["bev_head" if graph == "bev_key" else graph]
        parts = {
            "graph": graph,
            "onnx": source.sha256,
            "version": openvino.__version__,
            "device": cpu_name(),
            "precision": f"{self.precision}, {self._hint} elsewhere",
            "shapes": f"cameras {cameras}",
            "threads": str(worker_count()),
        }
        quantized = self._quantized(graph) if self.precision == "int8" else None
        if quantized is not None:
            # A new calibration makes another file under the same name.
            parts["quantized"] = file_sha256(quantized.with_suffix(".bin"))

        def build(folder: Path) -> None:
            model = _core().read_model(quantized or self.folder / source.file)
            if quantized is None:
                model = prepared(model, graph)
            if cameras:
                model.reshape({port.any_name: [cameras, *port.partial_shape[1:]] for port in model.inputs})
            compiled = _core().compile_model(model, "CPU", self._options())
            (folder / "engine.blob").write_bytes(compiled.export_model().getvalue())

        entry = cached(self.cache_dir, CacheKey("openvino", self.variant.name, parts), build)
        try:
            with (entry / "engine.blob").open("rb") as blob:
                return _core().import_model(blob.read(), "CPU", self._options())
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO cannot load {entry} ({str(error).splitlines()[0]}); delete that folder, it is built again"
            ) from error

    def _options(self) -> dict[str, Any]:
        return {
            "INFERENCE_PRECISION_HINT": self._hint,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": worker_count(),
        }

    def _quantized(self, graph: str) -> Path | None:
        """The quantized graph ``flashocc build`` left in the cache; None for small graphs and given files."""
        if self.from_export or graph in ("bev_key", "stereo_feature"):
            return None
        return quantized_model(self, graph)


def quantized_model(backend: OpenVinoBackend, graph: str, feeds: Any = None) -> Path:
    """Path of the int8 graph for these weights; with ``feeds`` it is made (again) from them.

    Raises:
        EngineError: it was never made.
    """
    source = backend.meta.graphs[graph]
    key = CacheKey("openvino-int8", backend.variant.name, {"graph": graph, "onnx": source.sha256})

    def build(folder: Path) -> None:
        if feeds is None:
            raise EngineError(int8_needs_calibration(backend.variant))
        import openvino

        from flashocc_ros.engine.precision_openvino import quantize

        model = prepared(_core().read_model(backend.folder / source.file), graph)
        openvino.save_model(quantize(model, feeds), folder / "int8.xml", compress_to_fp16=False)

    return cached(backend.cache_dir, key, build, replace=feeds is not None) / "int8.xml"


@functools.lru_cache(maxsize=1)
def _core() -> Any:
    import openvino

    return openvino.Core()


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
    import openvino
    from openvino import opset13 as ops

    if graph not in ("bev_head", "bev_key"):
        return model
    from flashocc_ros.engine.meta import LOGITS

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
