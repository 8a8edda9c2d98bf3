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

"""The only place that chooses an inference engine."""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashocc_ros import weights
from flashocc_ros.engine.export.on_demand import cached_export
from flashocc_ros.engine.store.cache import cache_root, file_sha256
from flashocc_ros.engine.store.meta import META_FILE, load_export
from flashocc_ros.engine_names import AUTO, ENGINES, EXPORT_ENGINES, PRECISIONS
from flashocc_ros.errors import CheckpointError, ConfigError, EngineError, did_you_mean
from flashocc_ros.pipeline.backend import Backend
from flashocc_ros.variants import Variant, get_variant

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Entry:
    module: str
    name: str


_BACKENDS = {
    "tensorrt": _Entry("flashocc_ros.engine.tensorrt.backend", "TensorRTBackend"),
    "openvino": _Entry("flashocc_ros.engine.openvino_backend", "OpenVinoBackend"),
    "onnxruntime": _Entry("flashocc_ros.engine.onnxruntime_backend", "OnnxRuntimeBackend"),
    "torch": _Entry("flashocc_ros.engine.torch_backend", "TorchBackend"),
}


def backend_class(engine: str) -> type[Backend]:
    """The class behind an engine name; importing it does not import the engine's library.

    Raises:
        ConfigError: an unknown name.
        EngineError: a library that all of its kind need is missing.
    """
    if not isinstance(engine, str) or engine not in _BACKENDS:
        known = (AUTO, *ENGINES)
        raise ConfigError(f"unknown engine {engine!r}; choose {', '.join(known)}{did_you_mean(str(engine), known)}")
    entry = _BACKENDS[engine]
    try:
        module = importlib.import_module(entry.module)
    except ImportError as error:
        raise EngineError(f"engine {engine} cannot be loaded: {error}; pip install 'flashocc_ros[{engine}]'") from error
    backend: type[Backend] = getattr(module, entry.name)
    return backend


def find_checkpoint(variant: str | Variant, checkpoint: str | Path | None) -> Path | None:
    """The weights file to load: the given one, else the one shipped for this variant, else None (untrained).

    Raises:
        CheckpointError: the given file does not exist, or is a folder.
    """
    if checkpoint is None or str(checkpoint) == "":
        return weights.path(get_variant(variant).name)
    path = _given(checkpoint)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise CheckpointError(f"checkpoint {path} {found}; give the path of a .pth or .safetensors file")
    return path


def find_export(checkpoint: str | Path | None) -> Path | None:
    """``checkpoint`` where it is the folder of an export, None where it is anything else."""
    if checkpoint is None or str(checkpoint) == "":
        return None
    folder = _given(checkpoint)
    return folder if (folder / META_FILE).is_file() else None


def _given(checkpoint: str | Path) -> Path:
    try:
        path = Path(checkpoint).expanduser()
        path.exists()
    except (OSError, ValueError, RuntimeError) as error:  # no such user, a name too long
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"checkpoint {str(checkpoint)!r:.80} cannot be used ({reason}); give its path") from error
    return path


def trained_on(variant: str | Variant, checkpoint: str | Path | None) -> str | None:
    """What the weights that ``open_backend`` would run have learned from.

    Returns:
        `weights.SYNTHETIC` for the shipped weights, copies and exports of them; empty for all others, whose maker
        knows; None for untrained ones.
    """
    name = get_variant(variant).name
    shipped, export = weights.path(name), find_export(checkpoint)
    if export is not None:
        sha256 = load_export(export, check_files=False).checkpoint_sha256
    else:
        path = find_checkpoint(variant, checkpoint)
        # no other weights fit where some are shipped, and those are small
        sha256 = None if path is None else "" if shipped is None else file_sha256(path)
    if sha256 is None:
        return None
    return weights.SYNTHETIC if shipped is not None and sha256 == file_sha256(shipped) else ""


def resolved_precision(checkpoint: str | Path | None, precision: str) -> str:
    """``precision``, and for "auto" that of the export in the folder ``checkpoint``, else fp32.

    Raises:
        ConfigError: unknown precision.
        EngineError: the export cannot be read.
    """
    if not isinstance(precision, str) or precision not in (AUTO, *PRECISIONS):
        raise ConfigError(f"unknown precision {precision!r}; choose {', '.join((AUTO, *PRECISIONS))}")
    if precision != AUTO:
        return precision
    export = find_export(checkpoint)
    return "fp32" if export is None else load_export(export, check_files=False).precision


def open_backend(
    variant: str | Variant,
    checkpoint: str | Path | None = None,
    engine: str = AUTO,
    precision: str = AUTO,
    cache_dir: str | Path | None = None,
) -> Backend:
    """Load a network on an engine.

    Args:
        variant: a name of ``VARIANTS`` or a row of it.
        checkpoint: weights, or the folder of an export of ``precision``, whose graphs are then run as they are; None
            takes the shipped weights, or untrained ones where none are shipped.
        engine: one of ``ENGINES``, or "auto": the first of them that runs here and supports ``precision``.
        precision: one of ``PRECISIONS``, or "auto": that of an export, else fp32.
        cache_dir: where built engines are kept; None is the user's cache.

    Raises:
        ConfigError: unknown variant, engine or precision.
        CheckpointError: the weights are missing, damaged or belong to another variant.
        EngineError: the asked engine cannot run here, or none can.
    """
    row = get_variant(variant)
    precision = resolved_precision(checkpoint, precision)
    path = find_export(checkpoint) or find_checkpoint(row, checkpoint)
    folder = None if cache_dir is None else cache_root(cache_dir)
    if not isinstance(engine, str) or engine != AUTO:
        return _open(engine, row, path, precision, folder)
    reasons = []
    for name in ENGINES:
        try:
            backend = _open(name, row, path, precision, folder)
        except EngineError as error:
            reasons.append(f"{name}: {error}")
            logger.debug("engine auto: %s not used: %s", name, error)
            continue
        passed = f"; not used: {'; '.join(reasons)}" if reasons else ""
        logger.info("engine auto: %s%s", backend.describe(), passed)
        return backend
    raise EngineError(f"no engine can run {row.name} in {precision} here: {'; '.join(reasons)}")


def _open(name: str, variant: Variant, checkpoint: Path | None, precision: str, cache_dir: Path | None) -> Backend:
    cls = backend_class(name)
    reason = cls.unavailable()
    if reason is not None:
        raise EngineError(reason)
    if precision not in cls.precisions:
        raise EngineError(f"engine {name} has no precision {precision!r}; it has {', '.join(cls.precisions)}")
    given = checkpoint is not None and checkpoint.is_dir()
    if name == "torch":
        if given:
            raise EngineError(
                f"engine torch runs weights, {checkpoint} is an export; choose {', '.join(EXPORT_ENGINES)}"
            )
        return cls(variant, checkpoint, precision=precision, cache_dir=cache_dir)  # type: ignore[call-arg]
    folder = checkpoint if given else on_demand(cls, variant, checkpoint, precision, cache_dir)
    return cls(variant, folder, precision=precision, cache_dir=cache_dir, from_export=given)  # type: ignore[call-arg]


def on_demand(
    cls: Any, variant: Variant, checkpoint: Path | None, precision: str = "fp32", cache_dir: Path | None = None
) -> Path:
    """The export that an engine of exported graphs runs for these weights; made with torch when it is not there yet."""
    return cached_export(variant, checkpoint, cls.export_precision(precision), cache_dir)[0]
