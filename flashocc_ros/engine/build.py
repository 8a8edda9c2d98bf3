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

"""Filling the engine cache ahead of time."""

from __future__ import annotations

from pathlib import Path

from flashocc_ros.bags import Frames
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.engine.select import backend_class, find_checkpoint, on_demand, open_backend
from flashocc_ros.engine_names import AUTO, ENGINES
from flashocc_ros.errors import ConfigError
from flashocc_ros.variants import Variant, get_variant


def fill_cache(
    variant: str | Variant,
    checkpoint: Path | None = None,
    engine: str = AUTO,
    precision: str = AUTO,
    cameras: int | None = None,
    calibration: Path | None = None,
    cache_dir: Path | None = None,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    fisheye: Fisheye | None = None,
) -> str:
    """Export, quantize and compile what a predictor with the same arguments would.

    Args:
        calibration: frames for int8; given, the int8 engine is made again on them.
        frames: how a recording names its frames.
        fisheye: what becomes of its wide lenses, see ``data.frames.read_frames``.

    Returns:
        The backend's own description.

    Raises:
        ConfigError, CheckpointError, EngineError: see ``engine.select.open_backend``.
    """
    row = get_variant(variant)
    cameras = cameras or row.num_cameras
    if calibration is not None and precision != "int8":
        raise ConfigError(f"--calibration only serves int8, not {precision}; leave it out or add --precision int8")
    if precision == "int8" and calibration is not None:
        engine = _first_available(engine, precision)
        _quantize(row, find_checkpoint(row, checkpoint), engine, calibration, frames, fisheye, cache_dir, cameras)
    backend = open_backend(row, checkpoint, engine, precision, cache_dir)
    try:
        backend.prepare(cameras)
        return str(backend.describe())
    finally:
        backend.close()


def _first_available(engine: str, precision: str) -> str:
    for name in ENGINES if engine == AUTO else (engine,):
        cls = backend_class(name)
        if precision in cls.precisions and cls.unavailable() is None:
            return name
    raise ConfigError(f"no engine here has {precision}; see `flashocc doctor`")


def _quantize(
    variant: Variant,
    checkpoint: Path | None,
    engine: str,
    calibration: Path,
    frames: Frames,
    fisheye: Fisheye | None,
    cache_dir: Path | None,
    cameras: int,
) -> None:
    if engine == "openvino":
        from flashocc_ros.engine.export.calibration import record_feeds
        from flashocc_ros.engine.export.precision_openvino import quantized_graph
        from flashocc_ros.engine.openvino_backend import OpenVinoBackend

        folder = on_demand(OpenVinoBackend, variant, checkpoint, "fp32", cache_dir)
        backend = OpenVinoBackend(variant, folder, cache_dir=cache_dir, from_export=False)
        feeds = record_feeds(backend, calibration, frames, cameras=cameras, fisheye=fisheye)
        backend.close()
        for graph in ("image_encoder", "bev_head"):
            quantized_graph(backend, graph, feeds[graph])
    else:
        from flashocc_ros.data.frames import check_cameras, first_frame
        from flashocc_ros.engine.export.on_demand import cached_export

        check_cameras(first_frame(calibration, frames, fisheye), calibration, cameras)
        cached_export(variant, checkpoint, "int8", cache_dir, calibration=calibration, frames=frames, fisheye=fisheye)
