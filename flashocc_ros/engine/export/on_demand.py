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

"""Exports made on demand and kept, so that an engine starts from a checkpoint once with torch, then without."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flashocc_ros import weights
from flashocc_ros.bags import Frames
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.engine.store.cache import CacheKey, cached, file_sha256, found
from flashocc_ros.engine.store.code import code_sha256
from flashocc_ros.engine.store.meta import FORMAT_VERSION, ExportMeta, int8_needs_calibration, load_export
from flashocc_ros.engine_names import PRECISIONS
from flashocc_ros.errors import ConfigError, EngineError
from flashocc_ros.variants import Variant
from flashocc_ros.version import __version__

EXPORT_CODE = ("engine/export", "engine/rewrite", "engine/store/signatures.py", "model", "variants")
"""What decides the graphs beside the weights."""


def cached_export(
    variant: Variant,
    checkpoint: Path | None,
    precision: str = "fp32",
    cache_dir: Path | None = None,
    *,
    calibration: Path | None = None,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    fisheye: Fisheye | None = None,
) -> tuple[Path, ExportMeta]:
    """The export of these weights: the shipped one, out of the cache, or made now.

    Args:
        variant: which network.
        checkpoint: weights file, None for untrained weights.
        precision: fp32, fp16 or int8.
        cache_dir: None is the user's cache.
        calibration: frames for int8; when given, a cached int8 export is made again on them.
        frames: how a recording names its frames.
        fisheye: what becomes of its wide lenses, see ``data.frames.read_frames``.

    Raises:
        EngineError: int8 was never built for these weights, or the export cannot be made or kept.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"unknown precision {precision!r}; choose {', '.join(PRECISIONS)}")

    shipped = weights.export_dir(variant.name)
    if shipped is not None and precision == "fp32":
        # Only of the very weights asked for: another checkpoint of a shipped variant is exported like any other.
        meta = load_export(shipped, variant, precision, check_files=False)
        if checkpoint is not None and meta.checkpoint_sha256 == file_sha256(checkpoint):
            return shipped, load_export(shipped, variant, precision)

    def build(folder: Path) -> None:
        from flashocc_ros.engine.export.write import export

        export(
            variant,
            checkpoint,
            folder,
            precision,  # type: ignore[arg-type]
            calibration=calibration,
            frames=frames,
            fisheye=fisheye,
        )

    key = CacheKey("export", variant.name, {**source_key(variant, checkpoint), "precision": precision})
    if precision == "int8" and calibration is None:
        kept = found(cache_dir, key)
        if kept is None:
            raise EngineError(int8_needs_calibration(variant))
        return kept, load_export(kept, variant, precision, check_files=False)
    folder = cached(cache_dir, key, build, replace=precision == "int8")
    return folder, load_export(folder, variant, precision, check_files=False)


def source_key(variant: Variant, checkpoint: Path | None) -> dict[str, str]:
    """What an export is made of, as parts of a cache key."""
    return {
        "checkpoint": "untrained" if checkpoint is None else file_sha256(checkpoint),
        "variant_row": hashlib.sha256(repr(variant).encode()).hexdigest()[:16],
        "release": f"{__version__}, format {FORMAT_VERSION}",
        "code": code_sha256(*EXPORT_CODE),
    }
