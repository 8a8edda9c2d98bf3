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

"""fp16 and int8 forms of exported graphs, as strongly typed TensorRT takes them: casts and Q/DQ nodes, no flags."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags import Frames
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.engine.export.calibration import Feeds, record_feeds
from flashocc_ros.engine.export.onnx_tools import compute_in_half, own_constants, separate_outputs
from flashocc_ros.engine.export.quiet import quiet
from flashocc_ros.engine.store.meta import LayerMeta
from flashocc_ros.engine_names import Precision
from flashocc_ros.errors import EngineError
from flashocc_ros.variants import Variant

SENSITIVITY_FILE = "sensitivity.json"

FP32_OPS = {
    "Softmax": "probabilities of many bins: small ones vanish in fp16",
    "GridSample": "positions in a map of 200 cells need more than 11 bits",
    "ReduceMean": "sums over a whole map",
    "ReduceSum": "sums over all channels",
    "LayerNormalization": "mean and variance of long rows",
    "Sqrt": "camera numbers",
    "Log": "camera numbers",
    "ArgMax": "decides labels",
}
"""Operators that stay float32 in fp16 exports, and why."""

CAMERA_PATH = "camera numbers reach 2000, their products leave fp16"

INT8_KEPT = {
    "predicter.2": "class logits: small differences decide labels",
    "depth_net/out": "depth logits feed a softmax",
    "depth_conv.4": "depth logits feed a softmax",
    "stereo/smooth": "depth logits feed a softmax",
    "stereo/matched": "depth logits feed a softmax",
    "stereo/trust": "a gate in front of the depth logits",
    "filters/Conv": "what is matched: small differences decide depths",
    "heatmap/heatmap.1": "centre scores are compared with a threshold",
    "reg/reg.1": "centre offsets in cells",
    "height/height.1": "centre heights in metres",
    "_se/": "a gate on one pixel: nothing to gain",
    "pre_process_net": "pooled sums near the vehicle are a hundred times larger than elsewhere",
    "layers.0/layers.0.0/": "pooled sums near the vehicle are a hundred times larger than elsewhere",
}
"""Parts of layer names that are not quantized, and why."""

INT8_KEPT_MERGED = {"fpn_convs.0": "depth logits and context come straight out of it"}
"""Where the depth convolution is merged into the neck."""

INT8_KEPT_STEM = dict.fromkeys(("final_conv", "shared_conv"), "reads the pooled map beside the encoder's")
"""Where the heads see the thinned pooled map."""

ERROR_LIMIT = 0.5
"""A layer whose output error, relative to its size, is above this and twice that of its input is not quantized."""


def convert(
    files: dict[str, Path],
    variant: Variant,
    precision: Precision,
    calibration: Path | None,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    fisheye: Fisheye | None = None,
) -> tuple[LayerMeta, ...]:
    """Replace float32 graph files by their form in ``precision``.

    Args:
        files: by graph name; rewritten in place. Beside them int8 leaves ``sensitivity.json``: per layer the relative
            error of its output.
        variant: which network.
        precision: fp16 or int8.
        calibration, frames, fisheye: for int8, see ``data.frames.read_frames``.

    Returns:
        Layers that stay more precise, with the reason.

    Raises:
        EngineError: a library for it is missing.
    """
    if precision == "fp16":
        return tuple(layer for graph, path in files.items() for layer in _to_fp16(graph, path))
    assert calibration is not None
    feeds = _record(files, variant, calibration, frames, fisheye)
    kept: list[LayerMeta] = []
    report: dict[str, dict[str, float]] = {}
    for graph, path in files.items():
        if graph in feeds:
            layers, report[graph] = _to_int8(graph, path, feeds[graph])
            kept += layers
        else:
            kept.append(LayerMeta(graph=graph, layer="*", precision="fp32", reason="not quantized as a whole"))
    folder = next(iter(files.values())).parent
    (folder / SENSITIVITY_FILE).write_text(json.dumps(report, indent=1) + "\n")
    return tuple(kept)


def _to_fp16(graph: str, path: Path) -> list[LayerMeta]:
    import onnx

    try:
        from onnxconverter_common import float16
    except ImportError as error:
        raise EngineError("fp16 needs onnxconverter-common; pip install 'flashocc_ros[export]'") from error
    model = onnx.load(path)
    camera = set(camera_nodes(model))
    by_op = Counter(node.op_type for node in model.graph.node if node.op_type in FP32_OPS and node.name not in camera)
    kept = [
        LayerMeta(graph=graph, layer=f"{op} ({count} nodes)", precision="fp32", reason=FP32_OPS[op])
        for op, count in by_op.items()
    ]
    if camera:
        what = f"{len(camera)} nodes that read camera_params only"
        kept.append(LayerMeta(graph=graph, layer=what, precision="fp32", reason=CAMERA_PATH))
    separate_outputs(model)
    own_constants(model, camera | {node.name for node in model.graph.node if node.op_type in FP32_OPS})
    # The converter leaves the casts of the network as they are, such as that of a mask to numbers.
    own_casts = {node.name for node in model.graph.node if node.op_type == "Cast"} - camera
    with warnings.catch_warnings():
        # Weights below the smallest fp16 number become zero; each is reported as a warning.
        warnings.simplefilter("ignore")
        half = float16.convert_float_to_float16(
            model,
            keep_io_types=True,
            op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *FP32_OPS],
            node_block_list=sorted(camera),
        )
    for node in half.graph.node:
        if node.name in own_casts and node.attribute[0].i == onnx.TensorProto.FLOAT:
            node.attribute[0].i = onnx.TensorProto.FLOAT16
    onnx.save(half, path)
    return kept


def camera_nodes(model: Any) -> Iterator[str]:
    """Names of the nodes that depend on the camera numbers alone."""
    constant = {tensor.name for tensor in model.graph.initializer}
    constant |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    numbers = {"camera_params"}
    for node in model.graph.node:
        inputs = {name for name in node.input if name}
        if inputs & numbers and inputs <= numbers | constant:
            numbers |= set(node.output)
            yield node.name


def _record(
    files: dict[str, Path], variant: Variant, calibration: Path, frames: Frames, fisheye: Fisheye | None
) -> dict[str, Feeds]:
    """Inputs of both graphs on the calibration frames, run in float32."""
    from flashocc_ros.engine.onnxruntime_backend import OnnxRuntimeBackend

    backend = OnnxRuntimeBackend.on_files(variant, files)
    feeds = record_feeds(backend, calibration, frames, fisheye=fisheye)
    backend.close()
    return {graph: feeds[graph] for graph in ("image_encoder", "bev_head") if graph in feeds}


def kept_parts(names: Iterable[str]) -> dict[str, str]:
    """Parts of layer names that stay float in a graph with these layers, with the reason."""
    layers = list(names)
    parts = dict(INT8_KEPT)
    if not any("depth_net" in name for name in layers):
        parts |= INT8_KEPT_MERGED
    if any("pre_process_net.0/conv" in name for name in layers):
        parts |= INT8_KEPT_STEM
    return parts


def _to_int8(graph: str, path: Path, feeds: Feeds) -> tuple[list[LayerMeta], dict[str, float]]:
    """Quantize the convolutions; then once more without those that lost too much, which compute in fp16.

    Those that read camera numbers only stay float32, see ``CAMERA_PATH``.
    """
    import onnx

    model = onnx.load(path)
    convs = [node.name for node in model.graph.node if node.op_type == "Conv"]
    kept = {name: why for name in convs for part, why in kept_parts(convs).items() if part in name}
    target = path.with_suffix(".int8.onnx")
    _quantize_static(path, target, feeds, kept)
    errors = layer_errors(path, target, feeds[0])
    sensitive = {name: error for name, (error, before) in errors.items() if error > max(ERROR_LIMIT, 2 * before)}
    if sensitive:
        kept |= {name: f"relative output error {error:.2f} in int8" for name, error in sensitive.items()}
        _quantize_static(path, target, feeds, kept)
        errors = layer_errors(path, target, feeds[0])
    camera = set(camera_nodes(model))
    quantized = onnx.load(target)
    compute_in_half(quantized, kept.keys() - camera)
    onnx.checker.check_model(quantized)
    onnx.save(quantized, path)
    target.unlink()
    layers = [
        LayerMeta(graph=graph, layer=name, precision="fp32" if name in camera else "fp16", reason=reason)
        for name, reason in kept.items()
    ]
    return layers, {name: round(error, 5) for name, (error, _) in errors.items()}


def _quantize_static(source: Path, target: Path, feeds: Feeds, kept: Iterable[str]) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = iter(feeds)

        def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
            return next(self.feeds, None)

    # It asks for a preprocessing step in a warning; norms are folded already, there is nothing to preprocess.
    with quiet():
        quantize_static(
            source,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=sorted(kept),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
        )


def layer_errors(reference: Path, quantized: Path, feed: dict[str, npt.NDArray[Any]]) -> dict[str, tuple[float, float]]:
    """Per convolution the root mean square error of its output and of its input, relative to the float32 tensor."""
    import onnx

    model = onnx.load(reference)
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    produced = {output for node in model.graph.node for output in node.output}
    names = list(dict.fromkeys(n for c in convs for n in (c.output[0], c.input[0]) if n in produced))
    errors: dict[str, float] = {}
    # A few tensors at a time: all activations of a network at once do not fit a small machine.
    for begin in range(0, len(names), 24):
        part = names[begin : begin + 24]
        for name, a, b in zip(part, _tensors(reference, part, feed), _tensors(quantized, part, feed), strict=True):
            scale = float(np.sqrt(np.mean(np.square(a, dtype=np.float64)))) or 1.0
            errors[name] = float(np.sqrt(np.mean(np.square((a - b), dtype=np.float64)))) / scale
    return {conv.name: (errors[conv.output[0]], errors.get(conv.input[0], 0.0)) for conv in convs}


def _tensors(path: Path, names: list[str], feed: dict[str, npt.NDArray[Any]]) -> list[Any]:
    """Inner tensors of a graph for one input."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    existing = {output.name for output in model.graph.output}
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names if name not in existing
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Fused operators would hide the tensors asked for.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(names, feed))
