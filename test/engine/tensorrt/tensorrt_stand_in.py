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

"""A recording stand-in for the TensorRT Python API of release 10 or 11 that runs engines with onnxruntime on the CPU.

It offers only the names the real releases share or own, refuses what they refuse, and reads and writes the very
addresses it was given, so that wrong names, flags and buffer lifetimes show.
"""

from __future__ import annotations

import ctypes
import enum
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime


class Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class DataType(enum.IntEnum):
    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    INT64 = 8


class TensorIOMode(enum.IntEnum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


NUMPY = {
    DataType.FLOAT: np.float32, DataType.HALF: np.float16, DataType.INT8: np.int8, DataType.INT32: np.int32,
    DataType.BOOL: np.bool_, DataType.UINT8: np.uint8, DataType.INT64: np.int64,
}  # fmt: skip


def make_tensorrt(major: int) -> Any:
    """A namespace that can stand where the module ``tensorrt`` stands; ``.calls`` lists what was called."""
    calls: list[tuple[str, Any]] = []
    behaviour = SimpleNamespace(start_error=None, build_error=None, context_error=None, run_error=None)

    # Release 10 still names explicit batch and numbers strongly typed 1; in 11 only strongly typed is left.
    flags = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if major == 10 else {"STRONGLY_TYPED": 0}
    creation_flag = enum.IntEnum("NetworkDefinitionCreationFlag", flags)
    version = f"{major}.4.0"

    class ILogger:
        Severity = Severity

        def __init__(self) -> None:
            self.ready = True

    def start(log: ILogger) -> None:
        """What both releases do where the driver is too old: a warning, then a bare TypeError."""
        if behaviour.start_error:
            log.log(Severity.WARNING, behaviour.start_error)
            raise TypeError("pybind11::init(): factory function returned nullptr")

    class Network:
        def __init__(self, flag_bits: int) -> None:
            self.flag_bits = flag_bits
            self.model: onnx.ModelProto | None = None

        @property
        def num_inputs(self) -> int:
            return len(self.model.graph.input)

        def get_input(self, index: int) -> Any:
            value = self.model.graph.input[index]
            shape = [d.dim_value if d.HasField("dim_value") else -1 for d in value.type.tensor_type.shape.dim]
            return SimpleNamespace(name=value.name, shape=tuple(shape))

    class OnnxParser:
        def __init__(self, network: Network, log: ILogger) -> None:
            self._network, self._errors = network, []

        def parse_from_file(self, path: str) -> bool:
            model = onnx.load(path)
            for node in model.graph.node:
                if node.op_type == "ScatterND" and any(a.name == "reduction" and a.s == b"add" for a in node.attribute):
                    self._errors.append(
                        SimpleNamespace(
                            node_name=lambda n=node: n.name, node_operator=lambda: "ScatterND",
                            desc=lambda: "reduction is not supported",
                        )
                    )  # fmt: skip
            self._network.model = model
            return not self._errors

        @property
        def num_errors(self) -> int:
            return len(self._errors)

        def get_error(self, index: int) -> Any:
            return self._errors[index]

    class Config:
        def set_memory_pool_limit(self, pool: Any, size: int) -> None:
            calls.append(("set_memory_pool_limit", size))

        def add_optimization_profile(self, profile: Any) -> int:
            calls.append(("add_optimization_profile", dict(profile.shapes)))
            return 0

    class Profile:
        def __init__(self) -> None:
            self.shapes: dict[str, Any] = {}

        def set_shape(self, name: str, low: Any, best: Any, high: Any) -> None:
            self.shapes[name] = (tuple(low), tuple(best), tuple(high))

    class Builder:
        def __init__(self, log: ILogger) -> None:
            assert log.ready
            start(log)
            self._log = log

        def create_network(self, flag_bits: int = 0) -> Network:
            calls.append(("create_network", flag_bits))
            return Network(flag_bits)

        def create_builder_config(self) -> Config:
            return Config()

        def create_optimization_profile(self) -> Profile:
            return Profile()

        def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
            if behaviour.build_error:
                self._log.log(Severity.ERROR, behaviour.build_error)
                return None
            head = json.dumps({"version": version}).encode()
            return head + b"\0" + network.model.SerializeToString()

    class Context:
        def __init__(self, session: onnxruntime.InferenceSession, engine: Engine) -> None:
            self._session, self._engine = session, engine
            self._shapes: dict[str, tuple[int, ...]] = {}
            self.addresses: dict[str, int] = {}

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            self._shapes[name] = tuple(shape)
            return True

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            shape = self._shapes.get(name, self._engine.get_tensor_shape(name))
            # An open size of an output is the one open size of the inputs: enough for the graphs tested here.
            known = [s for given in self._shapes.values() for s in given[:1]]
            return tuple(known[0] if size < 0 and known else size for size in shape)

        def set_tensor_address(self, name: str, address: int) -> bool:
            self.addresses[name] = address
            return True

        def execute_async_v3(self, stream_handle: int) -> bool:
            calls.append(("execute_async_v3", stream_handle))
            if behaviour.run_error:
                self._engine.log.log(Severity.ERROR, behaviour.run_error)
                return False
            feed = {}
            for value in self._session.get_inputs():
                feed[value.name] = self._memory(value.name).copy()
            for value, result in zip(self._session.get_outputs(), self._session.run(None, feed), strict=True):
                target = self._memory(value.name)
                assert target.shape == result.shape, (value.name, target.shape, result.shape)
                target[...] = result
            return True

        def _memory(self, name: str) -> np.ndarray:
            dtype = np.dtype(NUMPY[self._engine.get_tensor_dtype(name)])
            shape = self.get_tensor_shape(name)
            size = int(np.prod(shape)) * dtype.itemsize
            raw = (ctypes.c_uint8 * size).from_address(self.addresses[name])
            return np.frombuffer(raw, dtype).reshape(shape)

    class Engine:
        def __init__(self, model: bytes, log: ILogger) -> None:
            self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
            self._inputs = {v.name: v for v in self._session.get_inputs()}
            self._all = self._inputs | {v.name: v for v in self._session.get_outputs()}
            self.log = log

        @property
        def num_io_tensors(self) -> int:
            return len(self._all)

        def get_tensor_name(self, index: int) -> str:
            return list(self._all)[index]

        def get_tensor_mode(self, name: str) -> TensorIOMode:
            return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return tuple(s if isinstance(s, int) else -1 for s in self._all[name].shape)

        def get_tensor_dtype(self, name: str) -> DataType:
            kind = self._all[name].type
            table = {"float": "FLOAT", "float16": "HALF", "uint8": "UINT8", "int32": "INT32", "int64": "INT64"}
            return DataType[table[kind.removeprefix("tensor(").removesuffix(")")]]

        def create_execution_context(self) -> Context | None:
            if behaviour.context_error:
                self.log.log(Severity.ERROR, behaviour.context_error)
                return None
            return Context(self._session, self)

    class Runtime:
        def __init__(self, log: ILogger) -> None:
            start(log)
            self._log = log

        def deserialize_cuda_engine(self, serialized: bytes) -> Engine | None:
            head, _, model = serialized.partition(b"\0")
            try:
                built_by = json.loads(head)["version"]
            except (ValueError, KeyError):
                self._log.log(Severity.ERROR, "Serialization assertion failed: magic tag does not match")
                return None
            if built_by != version:
                self._log.log(Severity.ERROR, f"engine was built by {built_by}, this is {version}")
                return None
            return Engine(model, self._log)

    return SimpleNamespace(
        __version__=version, ILogger=ILogger, Builder=Builder, OnnxParser=OnnxParser, Runtime=Runtime,
        NetworkDefinitionCreationFlag=creation_flag, MemoryPoolType=SimpleNamespace(WORKSPACE="workspace"),
        TensorIOMode=TensorIOMode, DataType=DataType, calls=calls, behaviour=behaviour,
    )  # fmt: skip
