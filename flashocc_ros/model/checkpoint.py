"""Reading weights without running anything they contain, and telling which network they belong to."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from flashocc_ros.errors import CheckpointError
from flashocc_ros.model.build import build_model
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.variants import VARIANTS, Variant, get_variant

MAX_BYTES = 8 << 30
"""Unpacked size above which a file is refused; the largest published network takes 0.6 GB, 2 GB with its optimiser."""

# Where the weights may sit in a published dictionary, best first: the authors evaluate the averaged (EMA) weights.
_CONTAINERS = ("ema_state_dict", "state_dict")
_PREFIX = "module."
# Kept by training frameworks, used by no inference: classifier of the ImageNet backbone, loss buffers, hook copies.
_TRAINING_ONLY = ("img_backbone.fc.", "img_backbone.head.", "ema_", "teacher.", "student.")
_TRAINING_ONLY_PARTS = ("loss", "class_weights", "auxiliary_head")
# Learned, but not evaluated at inference or rebuilt from the architecture: may be absent.
_OPTIONAL_PARTS = ("num_batches_tracked", "relative_position_index", ".dim.", ".rot.", ".vel.")
_SHOWN = 4


@dataclass(frozen=True, eq=False)
class Weights:
    """What a file holds.

    Attributes:
        tensors: by key, ``module.`` prefix removed, floating point ones as float32.
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


@dataclass(frozen=True)
class Mismatch:
    """How the keys of a file differ from those of a network; empty when the file fits."""

    missing: tuple[str, ...]
    extra: tuple[str, ...]
    misshaped: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of keys that differ."""
        return len(self.missing) + len(self.extra) + len(self.misshaped)

    def __bool__(self) -> bool:
        return self.size > 0

    def __str__(self) -> str:
        parts = (("missing", self.missing), ("extra", self.extra), ("misshaped", self.misshaped))
        return "; ".join(f"{len(keys)} {label}: {_shorten(keys)}" for label, keys in parts if keys)


def load_checkpoint(path: str | os.PathLike[str], variant: str | Variant) -> dict[str, Tensor]:
    """A complete state dict of ``variant`` from a ``.pth`` or ``.safetensors`` file.

    Half precision is widened to float32, training-only keys are dropped, keys that inference never reads may be absent.

    Raises:
        CheckpointError: no such file, damaged, would run code, holds values that are not finite, or belongs to
            another variant; the message names the one that fits, or the keys that differ.
        ConfigError: unknown variant.
    """
    row = get_variant(variant)
    weights = read_weights(path)
    mismatch = compare_keys(weights.tensors, row)
    if mismatch:
        fitting = fitting_variants(weights.tensors)
        if fitting:
            raise CheckpointError(
                f"{path} holds weights of {' or '.join(fitting)}, not of {row.name}; use that variant"
            )
        raise CheckpointError(f"{path} does not fit {row.name} nor any other variant. {mismatch}")
    expected = _shapes(row)
    tensors = {key: weights.tensors[key] for key in expected if key in weights.tensors}
    broken = [key for key, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"{path} holds values that are not finite in {_shorten(broken)}; the training diverged")
    if len(tensors) < len(expected):
        tensors = {**build_model(row).state_dict(), **tensors}
    return tensors


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Tensors of a file, whatever network they belong to; see ``load_checkpoint`` for errors."""
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"no weights file at {file}")
    with file.open("rb") as stream:
        magic = stream.read(4)
    if magic[:2] == b"PK" or magic[:1] == b"\x80":
        return _read_torch(file, legacy=magic[:1] == b"\x80")
    return _read_safetensors(file)


def compare_keys(tensors: Mapping[str, Tensor], variant: Variant) -> Mismatch:
    """Keys of ``tensors`` against those of the network, optional and training-only ones aside."""
    expected = _shapes(variant)
    missing = [key for key in expected if key not in tensors and not any(p in key for p in _OPTIONAL_PARTS)]
    extra = [key for key in tensors if key not in expected and not _is_training_only(key)]
    misshaped = [
        f"{key} {tuple(tensor.shape)} instead of {expected[key]}"
        for key, tensor in tensors.items()
        if key in expected and tuple(tensor.shape) != expected[key]
    ]
    return Mismatch(tuple(missing), tuple(extra), tuple(misshaped))


def fitting_variants(tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Names of all variants whose keys and shapes the tensors have."""
    return tuple(name for name, variant in VARIANTS.items() if not compare_keys(tensors, variant))


@lru_cache(maxsize=64)
def _shapes(variant: Variant) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {key: tuple(tensor.shape) for key, tensor in FlashOcc(variant).state_dict().items()}


def _is_training_only(key: str) -> bool:
    return key.startswith(_TRAINING_ONLY) or any(part in key for part in _TRAINING_ONLY_PARTS)


def _shorten(keys: Iterable[str]) -> str:
    listed = list(keys)
    return ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")


def _read_safetensors(file: Path) -> Weights:
    if file.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{file} has {file.stat().st_size} bytes, more than {MAX_BYTES}; not a FlashOcc network")
    try:
        with safe_open(file, framework="pt") as archive:
            tensors = {key: archive.get_tensor(key) for key in archive.keys()}  # noqa: SIM118 (not a mapping)
            meta = dict(archive.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{file} is no readable .pth or .safetensors file ({error}); fetch it again") from None
    return _weights(file, tensors, "safetensors", "", meta)


def _read_torch(file: Path, *, legacy: bool) -> Weights:
    if not legacy:
        _check_archive(file)
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
    container = next((name for name in _CONTAINERS if isinstance(content.get(name), Mapping)), "")
    meta = content.get("meta", {})
    notes = {k: v for source in (content, meta) if isinstance(source, Mapping) for k, v in source.items()}
    texts = {str(k): str(v)[:200] for k, v in notes.items() if isinstance(v, str | int | float)}
    return _weights(
        file, content[container] if container else content, "pth (legacy)" if legacy else "pth", container, texts
    )


def _check_archive(file: Path) -> None:
    """Refuse a zip that is cut off or unpacks to more than it can honestly hold."""
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise CheckpointError(f"{file} is damaged or incomplete ({error}); fetch it again") from None
    if unpacked > MAX_BYTES:
        raise CheckpointError(f"{file} would unpack to {unpacked} bytes, more than {MAX_BYTES}; not a FlashOcc network")


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
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{file} holds no tensors under {container or 'its top level'}")
    dtypes = tuple(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}))
    while all(key.startswith(_PREFIX) for key in tensors):
        tensors = {key.removeprefix(_PREFIX): tensor for key, tensor in tensors.items()}
    widened = {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}
    return Weights(widened, kind, container, dtypes, meta)
