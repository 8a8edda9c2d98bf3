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

"""Reading a weights file without running anything it contains, and without trusting its sizes."""

from __future__ import annotations

import io
import os
import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from flashocc_ros.errors import CheckpointError

MAX_BYTES = 8 << 30
"""Size above which a file is refused; the largest published network takes 0.6 GB, 2 GB with its optimiser."""
MAX_PICKLE_BYTES = 2 << 20
"""Size above which the structure of a ``.pth`` is refused: the reader needs up to a hundred times as much memory.
With averages and optimiser the largest published network takes 0.25 MB."""

# Where the weights may sit in a dictionary, best first: the authors evaluate the averaged (EMA) weights, and so do runs
# of ours (``average``, ``values``); the last two are what ImageNet backbones come in.
_CONTAINERS = (("ema_state_dict",), ("average", "values"), ("state_dict",), ("model",), ("model_state_dict",))
_OWN_RUN = ("average", "values")
# What wrappers put before a key: DistributedDataParallel, torch.compile, and classes that hold the network as `model`.
_PREFIXES = ("module.", "_orig_mod.", "model.")


@dataclass(frozen=True, eq=False)
class Weights:
    """What a file holds.

    Attributes:
        tensors: by key, prefixes of wrappers removed, dense, floating point ones as float32.
        format: "safetensors", "pth" (zip archive) or "pth (legacy)".
        container: dictionary entry the tensors came from, empty when they lay at top level.
        stored_dtypes: dtypes in the file.
        meta: short text entries of the file: epoch, date, training notes.
    """

    tensors: dict[str, Tensor]
    format: str
    container: str
    stored_dtypes: tuple[str, ...]
    meta: dict[str, str] = field(default_factory=dict)

    @property
    def num_parameters(self) -> int:
        """Numbers in floating point tensors, running statistics included."""
        return sum(t.numel() for t in self.tensors.values() if t.is_floating_point())


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Tensors of a file, whatever network they belong to.

    Raises:
        CheckpointError: no such file, damaged, too large, would run code, or holds tensors that are no plain arrays.
    """
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"no weights file at {file}")
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise CheckpointError(f"{file} has {size} bytes, more than {MAX_BYTES}; not a FlashOcc network")
    with file.open("rb") as stream:
        start = stream.read(9)
    # A safetensors file begins with the length of its JSON header, which may look like the mark of another format.
    if start[8:] != b"{" and start.startswith((b"PK", b"\x80")):
        return _read_torch(file, legacy=start.startswith(b"\x80"))
    return _read_safetensors(file)


def check_archive(file: Path) -> None:
    """Refuse a ``.pth`` (zip) that is cut off, altered, packed, or whose structure is larger than any network's.

    Raises:
        CheckpointError: the message says which.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise CheckpointError(
                        f"{file} holds {entry.filename} compressed, which torch.save never does; save the weights again"
                    )
                if entry.filename.endswith(".pkl") and entry.file_size > MAX_PICKLE_BYTES:
                    raise CheckpointError(
                        f"{file} holds {entry.filename} of {entry.file_size} bytes, more than {MAX_PICKLE_BYTES}; "
                        "save the state_dict alone"
                    )
            if sum(entry.file_size for entry in archive.infolist()) > file.stat().st_size:
                raise CheckpointError(
                    f"{file} claims to hold more than its {file.stat().st_size} bytes; fetch it again"
                )
            altered = archive.testzip()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise CheckpointError(f"{file} is damaged or incomplete ({error}); fetch it again") from None
    if altered is not None:
        raise CheckpointError(f"{file} is damaged: the checksum of {altered} is wrong; fetch it again")


def _check_legacy(file: Path) -> None:
    """Refuse a legacy ``.pth`` whose structure, five pickles before the numbers, is larger than any network's."""
    with file.open("rb") as whole:
        # No more than may be there, so that a length that the file makes up is not reserved either.
        stream = io.BytesIO(whole.read(MAX_PICKLE_BYTES + 1))
    try:
        for _ in range(5):
            for _operation in pickletools.genops(stream):
                pass
    except (ValueError, OSError, EOFError) as error:
        if len(stream.getbuffer()) <= MAX_PICKLE_BYTES:
            raise CheckpointError(f"{file} is damaged or incomplete ({error}); fetch it again") from None
        raise CheckpointError(
            f"{file} holds a structure of more than {MAX_PICKLE_BYTES} bytes or is damaged; save the state_dict alone"
        ) from None


def _read_safetensors(file: Path) -> Weights:
    try:
        with safe_open(file, framework="pt") as archive:
            tensors = {key: archive.get_tensor(key) for key in archive.keys()}  # noqa: SIM118 (not a mapping)
            meta = dict(archive.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{file} is no readable .pth or .safetensors file ({error}); fetch it again") from None
    return _weights(file, tensors, "safetensors", "", meta)


def _read_torch(file: Path, *, legacy: bool) -> Weights:
    _check_legacy(file) if legacy else check_archive(file)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_harmless_types()):
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a crafted or cut file can make the reader raise anything
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused:
            raise CheckpointError(
                f"{file} asks for {refused[1]} to be run while loading, which is never done here; "
                "convert its state_dict to safetensors on a trusted machine"
            ) from None
        raise CheckpointError(f"{file} is damaged or incomplete ({type(error).__name__}); fetch it again") from None
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{file} holds a {type(content).__name__}, not a dictionary of tensors")
    container, values = _container(content)
    meta = content.get("meta", {})
    notes = {k: v for source in (content, meta) if isinstance(source, Mapping) for k, v in source.items()}
    texts = {str(k): str(v)[:200] for k, v in notes.items() if isinstance(v, str | int | float)}
    return _weights(file, values, "pth (legacy)" if legacy else "pth", ".".join(container), texts)


def _container(content: Mapping[Any, Any]) -> tuple[tuple[str, ...], Mapping[Any, Any]]:
    """Names of the dictionary entry that holds the weights, and the entry; no names when they lie at top level."""
    for names in _CONTAINERS:
        values: Any = content
        for name in names:
            values = values.get(name) if isinstance(values, Mapping) else None
        if isinstance(values, Mapping):
            if names == _OWN_RUN:
                # Beside the network stand the layers that only training needs.
                values = {key: value for key, value in values.items() if str(key).startswith("model.")}
            return names, values
    return (), content


def _harmless_types() -> list[Any]:
    """Plain numbers that training frameworks leave in ``meta``: numpy scalars and arrays, by old and new names."""
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
    dtypes = [type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "b1")]
    renamed = [
        (function, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for function, name in ((scalar, "scalar"), (array, "_reconstruct"))
    ]
    return [np.ndarray, np.dtype, *dtypes, *renamed]


def _weights(file: Path, content: Mapping[Any, Any], kind: str, container: str, meta: dict[str, str]) -> Weights:
    tensors: dict[str, Tensor] = {}
    for stored, value in content.items():
        if not isinstance(value, Tensor):
            continue
        fault = _fault(value)
        if fault:
            raise CheckpointError(f"{file} holds {stored} as {fault}; save it as a plain floating point tensor")
        key = _without_prefixes(str(stored))
        if key in tensors:
            raise CheckpointError(f"{file} holds {key} twice, with and without a prefix; save one network alone")
        tensors[key] = value
    if not tensors:
        raise CheckpointError(f"{file} holds no tensors under {container or 'its top level'}")
    dtypes = tuple(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}))
    widened = {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}
    return Weights(widened, kind, container, dtypes, meta)


def _without_prefixes(key: str) -> str:
    while key.startswith(_PREFIXES):
        key = key.partition(".")[2]
    return key


def _fault(tensor: Tensor) -> str:
    """What keeps a tensor from being an array with all its numbers in the file, empty when nothing does."""
    if tensor.is_meta:
        return "a meta tensor, which has no numbers"
    if tensor.is_quantized:
        return "a quantised tensor"
    if tensor.layout != torch.strided:
        return "a sparse tensor"
    if tensor.is_complex():
        return "complex numbers"
    repeats = any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True))
    if repeats or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"fewer numbers repeated to {tuple(tensor.shape)} (strides {tensor.stride()})"
    return ""
