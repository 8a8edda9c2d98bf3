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

"""ONNX to a serialized TensorRT engine, with only the API names that TensorRT 10 and 11 share.

Networks are strongly typed: precision is decided in the ONNX file (fp16 casts, Q/DQ nodes), never by builder flags.
The module is handed in, so that ``tensorrt`` and ``tensorrt_rtx`` (which builds without a GPU) go the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flashocc_ros.errors import EngineError

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

MAX_WORKSPACE_BYTES = 24 << 30
"""Only a limit: stereo matching keeps many of its 88 warped features at once, 4.4 GB for six cameras of ResNet-50."""
WORKSPACE_SHARE = 0.5
"""Of the memory that is free: the rest holds weights and buffers, and on a Jetson, where both share it, the system."""


def import_tensorrt(name: str = "tensorrt") -> ModuleType:
    """The TensorRT Python module.

    Raises:
        EngineError: it is not installed, or its libraries do not load.
    """
    try:
        module = __import__(name)
    except ImportError as error:
        raise EngineError(
            f"the Python module {name} cannot be imported ({error}); install TensorRT 10 or 11 for your CUDA version "
            "(JetPack brings it), or choose another engine such as engine:=openvino"
        ) from error
    # The PyPI package without its libraries imports as an empty module.
    if not hasattr(module, "Builder"):
        raise EngineError(f"the Python module {name} has no Builder: its libraries are missing; reinstall TensorRT")
    return module


def make_logger(trt: ModuleType) -> Any:
    """A TensorRT logger that forwards to ``logging`` and remembers errors in ``.errors``."""

    class Forward(trt.ILogger):  # type: ignore[name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(message)
            elif severity == trt.ILogger.Severity.WARNING:
                # A driver that is too old is a mere warning, and the only hint at why nothing works after it.
                if "CUDA initialization" in message:
                    self.errors.append(message)
                logger.info("TensorRT: %s", message)
            else:
                logger.debug("TensorRT: %s", message)

    return Forward()


def created(trt: ModuleType, kind: str, log: Any) -> Any:
    """A ``Builder`` or ``Runtime``.

    Raises:
        EngineError: TensorRT cannot use this driver or GPU. Its Python module says so with a bare TypeError.
    """
    try:
        return getattr(trt, kind)(log)
    except (TypeError, RuntimeError) as error:
        said = " / ".join(log.errors[-3:] or [str(error)])
        raise EngineError(
            f"TensorRT {trt.__version__} cannot start here (it said: {' '.join(said.split())}); the NVIDIA driver is "
            "missing or too old for it: compare `nvidia-smi` with the release notes, update the driver, or choose "
            "engine openvino"
        ) from error


def free_workspace_bytes(device: torch.device) -> int:
    """How much scratch memory tactics may take on a device as it is now; the upper limit where that is no GPU."""
    import torch

    if device.type != "cuda":
        return MAX_WORKSPACE_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return min(MAX_WORKSPACE_BYTES, int(WORKSPACE_SHARE * free))


def build_engine(
    onnx_file: Path,
    trt: ModuleType,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    workspace_bytes: int = MAX_WORKSPACE_BYTES,
) -> bytes:
    """Parse and build one graph.

    Args:
        onnx_file: the graph; external weight files lie beside it.
        trt: module ``tensorrt`` or ``tensorrt_rtx``.
        shapes: exact shapes of inputs that are dynamic in the graph.
        workspace_bytes: upper limit of scratch memory for tactics.

    Returns:
        The serialized engine.

    Raises:
        EngineError: the graph holds an operation TensorRT does not take, a dynamic input has no shape, or building
            failed; the message says what TensorRT said.
    """
    log = make_logger(trt)
    builder = created(trt, "Builder", log)
    # Flag values differ between releases; 11 knows only strongly typed networks and may drop the flag one day.
    strongly_typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if strongly_typed is None else 1 << int(strongly_typed))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(onnx_file)):
        raise EngineError(_parse_message(onnx_file, trt, parser))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
    _add_profile(onnx_file, builder, network, config, shapes or {})
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise EngineError(_build_message(onnx_file, trt, log.errors))
    return bytes(serialized)


def _add_profile(
    onnx_file: Path, builder: Any, network: Any, config: Any, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    dynamic = [tensor for tensor in inputs if any(size < 0 for size in tensor.shape)]
    if not dynamic:
        return
    profile = builder.create_optimization_profile()
    for tensor in dynamic:
        shape = shapes.get(tensor.name)
        if shape is None:
            raise EngineError(
                f"{onnx_file.name}: input {tensor.name} has the open shape {tuple(tensor.shape)}; give its exact shape"
            )
        profile.set_shape(tensor.name, shape, shape, shape)
    config.add_optimization_profile(profile)


def _parse_message(onnx_file: Path, trt: ModuleType, parser: Any) -> str:
    problems = [parser.get_error(index) for index in range(parser.num_errors)]
    first = problems[0] if problems else None
    where = f"node {first.node_name()} ({first.node_operator()})" if first is not None else "the file"
    what = " ".join(str(first.desc()).split()) if first is not None else "no reason given"
    return (
        f"TensorRT {trt.__version__} rejects {where} of {onnx_file.name}: {what}; "
        "write the graph with this version's `flashocc export`, which leaves out what TensorRT does not take"
    )


def _build_message(onnx_file: Path, trt: ModuleType, errors: list[str]) -> str:
    said = " ".join(" / ".join(errors[-3:]).split()) or "nothing"
    memory = "out of memory" in said.lower() or "outofmemory" in said.lower() or "could not allocate" in said.lower()
    remedy = (
        "free GPU memory or lower workspace_bytes"
        if memory
        else "check that driver and TensorRT version fit (`flashocc doctor`)"
    )
    return f"TensorRT {trt.__version__} could not build {onnx_file.name} (it said: {said}); {remedy}"
