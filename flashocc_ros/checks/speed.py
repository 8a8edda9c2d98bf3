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

"""Speed of a whole frame, camera JPEGs in and labels out, stage by stage; beside it the published way of computing it.

Both run in one process, in turns, so that ratios hold on a busy machine. CPU time counts the work of all threads.
"""

from __future__ import annotations

import io
import os
import platform
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet, Picture
from flashocc_ros.cameras.nominal_rig import SOURCE_HW, nominal_rig
from flashocc_ros.engine.openvino_backend import cpu_name
from flashocc_ros.errors import ConfigError
from flashocc_ros.pipeline.backend import Backend, Encoded, HeadOutput
from flashocc_ros.pipeline.stream import Stream
from flashocc_ros.predictor import Predictor
from flashocc_ros.structures import CameraRig
from flashocc_ros.threads import worker_count

STAGES = ("jpeg", "preprocess", "encoder", "pooling", "head", "rest")
FRAME_NS = 500_000_000

StageTimes = dict[str, tuple[float, float]]
"""Milliseconds by stage: CPU, wall."""


class StageClock(Backend):
    """A backend that passes every call on and adds up its CPU and wall time per stage in ``times``."""

    name = "clock"

    def __init__(self, backend: Backend) -> None:
        self.inner, self.variant, self.precision = backend, backend.variant, backend.precision
        self.times: StageTimes = {}

    @classmethod
    def unavailable(cls) -> str | None:
        return None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        cpu, wall = process_time(), perf_counter()
        yield
        # Work on a device only counts once it is done.
        self.inner.synchronize()
        before = self.times.get(stage, (0.0, 0.0))
        self.times[stage] = (before[0] + 1e3 * (process_time() - cpu), before[1] + 1e3 * (perf_counter() - wall))

    def preprocess(self, images: Any, transforms: Any) -> Any:
        with self.timed("preprocess"):
            return self.inner.preprocess(images, transforms)

    def encode(self, pixels: Any, camera_params: Any = None, stereo: Any = None) -> Encoded:
        with self.timed("encoder"):
            return self.inner.encode(pixels, camera_params, stereo)

    def stereo_feature(self, pixels: Any) -> Any:
        with self.timed("encoder"):
            return self.inner.stereo_feature(pixels)

    def pool(self, encoded: Encoded, table: Any) -> Any:
        with self.timed("pooling"):
            return self.inner.pool(encoded, table)

    def head(self, bev: Any, history: Any = (), grids: Any = None, *, with_logits: bool = False) -> HeadOutput:
        with self.timed("head"):
            return self.inner.head(bev, history, grids, with_logits=with_logits)

    def lift_table(self, geometry: Any) -> Any:
        return self.inner.lift_table(geometry)

    def stereo_grid(self, geometry: Any) -> Any:
        return self.inner.stereo_grid(geometry)

    def warp_grids(self, key_from_previous: Any) -> Any:
        return self.inner.warp_grids(key_from_previous)

    def nbytes(self, array: Any) -> int:
        return self.inner.nbytes(array)

    def finite(self, array: Any) -> bool:
        return self.inner.finite(array)

    def describe(self) -> str:
        return self.inner.describe()


def camera_jpegs(frame: CameraSet | None, cameras: int = 6) -> tuple[list[bytes], CameraRig]:
    """The pictures of a frame as JPEG; without a frame, smooth noise from six cameras of 1600x900."""
    import simplejpeg

    if frame is not None:
        images, rig = frame.images, frame.rig
    else:
        rng = np.random.default_rng(0)
        small = rng.integers(0, 256, (cameras, SOURCE_HW[0] // 20, SOURCE_HW[1] // 20, 3), np.uint8)
        images, rig = [np.ascontiguousarray(s.repeat(20, 0).repeat(20, 1)) for s in small], nominal_rig(cameras)
    return [simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=90) for image in images], rig


def bench(
    predictor: Predictor,
    frame: CameraSet | None = None,
    runs: int = 10,
    baseline: Callable[[Sequence[bytes], CameraRig], npt.NDArray[np.uint8]] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Medians over ``runs`` frames of a standing vehicle, after one frame to warm up.

    Args:
        predictor: opened on the engine to measure.
        frame: pictures and rig; None takes noise from the nominal rig.
        runs: frames.
        baseline: computes the labels the published way; measured in turns with the predictor.
        progress: told how many runs are done.

    Returns:
        A dict for ``json``: machine, stages (cpu_ms, wall_ms), sums, on a GPU each graph's own time, and with a
        baseline its times, the ratios and the share of voxels with equal labels.
    """
    if runs < 1:
        raise ConfigError(f"--runs is {runs}, must be at least 1")
    jpegs, rig = camera_jpegs(frame)
    predictor.prepare(rig.num_cameras)
    steps, reference = [], []
    agreement = None
    # A stream of its own: the predictor stays as it is, whatever happens.
    clock = StageClock(predictor.backend)
    stream = Stream(clock)
    for run in range(runs + 1):
        clock.times = {}
        labels = _one_frame(stream, clock, jpegs, rig, run)
        if run:
            steps.append(dict(clock.times))
        if baseline is not None:
            cpu, wall = process_time(), perf_counter()
            expected = baseline(jpegs, rig)
            if run:
                reference.append((1e3 * (process_time() - cpu), 1e3 * (perf_counter() - wall)))
            agreement = float((labels == expected).mean())
        progress(run)
    report = _report(predictor, steps, reference, agreement)
    device = predictor.backend.engine_only_ms(rig.num_cameras)
    if device is not None:
        report["device_ms"] = {graph: round(value, 3) for graph, value in device.items()}
    return report


def _one_frame(
    stream: Stream, clock: StageClock, jpegs: Sequence[bytes], rig: CameraRig, index: int
) -> npt.NDArray[np.uint8]:
    import simplejpeg

    cpu, wall = process_time(), perf_counter()
    images: Sequence[Picture] = jpegs
    with clock.timed("jpeg"):
        # Where the engine decodes them too, that time is part of "preprocess".
        if not clock.inner.decodes_jpeg:
            with ThreadPoolExecutor(worker_count()) as threads:
                images = list(threads.map(simplejpeg.decode_jpeg, jpegs))
    poses = np.tile(np.eye(4), (rig.num_cameras, 1, 1))
    labels = stream(CameraSet(images, rig, poses, (index + 1) * FRAME_NS)).semantics
    total = (1e3 * (process_time() - cpu), 1e3 * (perf_counter() - wall))
    known = [sum(value[axis] for value in clock.times.values()) for axis in range(2)]
    clock.times["rest"] = (max(0.0, total[0] - known[0]), max(0.0, total[1] - known[1]))
    return labels


def _report(
    predictor: Predictor, steps: list[StageTimes], reference: list[tuple[float, float]], agreement: float | None
) -> dict[str, Any]:
    stages = {stage: _median([step[stage] for step in steps]) for stage in STAGES}

    def total(names: Sequence[str]) -> dict[str, float]:
        return _median([(sum(s[n][0] for n in names), sum(s[n][1] for n in names)) for s in steps])

    report: dict[str, Any] = {
        "machine": machine(),
        "threads": worker_count(),
        "variant": predictor.variant.name,
        "engine": predictor.backend.describe(),
        "trained": predictor.trained,
        "runs": len(steps),
        "geometry": "lift table computed once, reused while the vehicle stands",
        "stages": stages,
        "engine_only": total(("encoder", "head")),
        "frame": total(STAGES[1:]),
        "end_to_end": total(STAGES),
    }
    if reference:
        base = _median(reference)
        report["baseline"] = {"name": "reference", **base}
        report["ratio"] = {
            "cpu": round(base["cpu_ms"] / report["end_to_end"]["cpu_ms"], 2),
            "wall": round(base["wall_ms"] / report["end_to_end"]["wall_ms"], 2),
        }
        report["agreement"] = agreement
    return report


def _median(values: Sequence[tuple[float, float]]) -> dict[str, float]:
    cpu, wall = (statistics.median(value[axis] for value in values) for axis in range(2))
    return {"cpu_ms": round(cpu, 2), "wall_ms": round(wall, 2)}


def machine() -> dict[str, Any]:
    """What was measured on: host, CPU, its cores, GPU if torch is loaded and sees one."""
    import sys

    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name(0) if torch is not None and torch.cuda.is_available() else None
    return {"host": platform.node(), "cpu": cpu_name(), "cores": os.cpu_count(), "gpu": gpu}


class ReferencePipeline:
    """A frame as the published code computes it on a CPU: Pillow pictures, eager network, geometry and pooling tables
    made for every frame, index_add pooling, softmax and argmax; all frames of a temporal variant again.

    Raises:
        ConfigError: a stereo variant; their eager cost volume takes minutes per frame.
    """

    def __init__(self, variant: Any, checkpoint: Path | None = None) -> None:
        import torch

        from flashocc_ros.model import build_model

        if variant.stereo:
            raise ConfigError(f"--baseline reference has no stereo variants, got {variant.name}")
        torch.set_num_threads(worker_count())
        self.model = build_model(variant)
        if checkpoint is not None:
            from flashocc_ros.model import load_checkpoint

            self.model.load_state_dict(load_checkpoint(checkpoint, variant))
        self.variant = variant

    def __call__(self, jpegs: Sequence[bytes], rig: CameraRig) -> npt.NDArray[np.uint8]:
        import torch

        from flashocc_ros.engine.poolers import torch_pooler
        from flashocc_ros.geometry import bev_warp_grid, camera_params, lift_table
        from flashocc_ros.pipeline.set_geometry import rig_geometry

        variant, model = self.variant, self.model
        pixels, sizes = self._pictures(jpegs)
        geometry = rig_geometry(rig, sizes, variant)
        with torch.no_grad():
            maps = []
            for frame in range(variant.num_frames):
                numbers = torch.from_numpy(camera_params(geometry)) if variant.depth_net else None
                encoded = model.encode_images(pixels, numbers)
                table = torch_pooler.to_device(lift_table(variant, geometry))
                bev = model.preprocess_bev(
                    torch_pooler.pool_index_add(encoded.depth, encoded.context, table, volumetric=variant.volumetric)
                )
                still = torch.from_numpy(bev_warp_grid(np.eye(4), grid=variant.grid))[None]
                maps.append(model.warp(bev, still) if frame else bev)
            logits = model.bev_head(model.concatenate(maps[0], maps[1:])).occ_logits
            return logits.softmax(-1).argmax(-1)[0].numpy().astype(np.uint8)

    def _pictures(self, jpegs: Sequence[bytes]) -> tuple[Any, list[tuple[int, int]]]:
        """Network input (N, 3, H, W) and the sizes (height, width) of the pictures it was made from."""
        import torch
        from PIL import Image

        from flashocc_ros.pipeline.preprocess import MEAN, STD, image_transform

        height, width = self.variant.input_size
        pixels, sizes = [], []
        for jpeg in jpegs:
            picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
            transform = image_transform((picture.height, picture.width), self.variant)
            left, top = transform.crop_left, transform.crop_top
            picture = picture.resize(transform.resized[::-1]).crop((left, top, left + width, top + height))
            bgr = np.asarray(picture, np.float32)[..., ::-1]
            pixels.append(torch.from_numpy(((bgr - MEAN) / STD).transpose(2, 0, 1).copy()))
            sizes.append(transform.source_size)
        return torch.stack(pixels), sizes
