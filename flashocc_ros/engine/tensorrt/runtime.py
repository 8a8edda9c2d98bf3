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

"""Runs one serialized TensorRT engine on buffers that are torch tensors.

Inputs and outputs have fixed shapes, so their memory is allocated once and the addresses never change: that is what
allows a CUDA graph to replay the whole engine with one launch.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from flashocc_ros.engine.onnx_backend import out_of_memory
from flashocc_ros.engine.tensorrt.build import created, make_logger
from flashocc_ros.errors import EngineError


class ForeignEngineError(EngineError):
    """A serialized engine that this TensorRT or this GPU does not take."""


class TensorRtEngine:
    """A deserialized engine with its context and its input and output buffers.

    Attributes:
        inputs, outputs: name -> tensor on ``device``; write into inputs, call ``run``, read outputs. The memory stays
            the same for the life of the engine.
    """

    def __init__(
        self,
        serialized: bytes,
        trt: ModuleType,
        device: torch.device,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        """Deserialize and allocate.

        Args:
            serialized: result of ``tensorrt_build.build_engine``.
            trt: the module that built it.
            device: where the buffers live.
            shapes: exact shapes of dynamic inputs.

        Raises:
            EngineError: the engine belongs to another TensorRT version or GPU, or there is not enough memory.
        """
        self._log = make_logger(trt)
        # Runtime, engine and context must outlive each other in this order; all are kept.
        self._runtime = created(trt, "Runtime", self._log)
        self._engine = self._runtime.deserialize_cuda_engine(serialized)
        if self._engine is None:
            said = self._said()
            if out_of_memory(said):
                raise EngineError(
                    f"TensorRT cannot load the engine (it said: {said}); free GPU memory or choose a smaller variant"
                )
            raise ForeignEngineError(
                f"TensorRT {trt.__version__} cannot load the engine (it said: {said}); it was built for "
                "another TensorRT version or GPU: run `flashocc build` on this machine"
            )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(
                f"TensorRT cannot create an execution context (it said: {self._said()}); free GPU memory or choose a "
                "smaller variant"
            )
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        is_input = {name: self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names}
        for name in names:
            if is_input[name] and any(size < 0 for size in self._engine.get_tensor_shape(name)):
                shape = (shapes or {}).get(name)
                if shape is None or not self._context.set_input_shape(name, shape):
                    raise EngineError(f"TensorRT does not take shape {shape} for input {name}; rebuild the engine")
        for name in names:
            shape = tuple(self._context.get_tensor_shape(name))
            dtype = _torch_dtype(trt, self._engine.get_tensor_dtype(name))
            try:
                buffer = torch.zeros(shape, dtype=dtype, device=device)
            except torch.cuda.OutOfMemoryError as error:
                raise EngineError(
                    f"no GPU memory for tensor {name} {shape} {dtype}; free memory on {device}"
                ) from error
            (self.inputs if is_input[name] else self.outputs)[name] = buffer
            if not self._context.set_tensor_address(name, buffer.data_ptr()):
                raise EngineError(f"TensorRT does not take the address of {name} (it said: {self._said()})")

    def run(self, stream_handle: int) -> None:
        """Enqueue the engine on a CUDA stream; returns before it has finished.

        Raises:
            EngineError: TensorRT refused to enqueue.
        """
        if not self._context.execute_async_v3(stream_handle):
            raise EngineError(f"TensorRT did not run the engine (it said: {self._said()}); see `flashocc doctor`")

    def _said(self) -> str:
        return " ".join(self._log.errors[-1:]) or "nothing"

    def close(self) -> None:
        """Give the memory back, context first."""
        self.inputs.clear()
        self.outputs.clear()
        self._context = self._engine = self._runtime = None


def _torch_dtype(trt: ModuleType, dtype: Any) -> torch.dtype:
    table = {
        "FLOAT": torch.float32,
        "HALF": torch.float16,
        "BF16": torch.bfloat16,
        "INT8": torch.int8,
        "INT32": torch.int32,
        "INT64": torch.int64,
        "UINT8": torch.uint8,
        "BOOL": torch.bool,
    }
    for name, result in table.items():
        if getattr(trt.DataType, name, None) == dtype:
            return result
    raise EngineError(f"TensorRT tensor type {dtype} has no counterpart in torch; export the graph again")
