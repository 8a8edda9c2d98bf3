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

"""TensorRT engines against the torch network on the same device: the engine itself is compared, not the graph it was
built from."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from functools import partial
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from flashocc_ros.checks.gpu import scenes, streams
from flashocc_ros.checks.gpu.compare import array
from flashocc_ros.checks.gpu.networks import exact, named_model
from flashocc_ros.checks.gpu.report import Result, outcome
from flashocc_ros.checks.gpu.run import Part
from flashocc_ros.checks.gpu.setting import Setting
from flashocc_ros.errors import EngineError, FlashOccError
from flashocc_ros.geometry import camera_params
from flashocc_ros.pipeline.preprocess import image_transform
from flashocc_ros.pipeline.set_geometry import geometry_of
from flashocc_ros.variants import Variant, get_variant

if TYPE_CHECKING:
    from pathlib import Path

    from flashocc_ros.engine.tensorrt.backend import TensorRTBackend
    from flashocc_ros.pipeline.backend import Backend

MODULES = ("tensorrt", "tensorrt_rtx")
NEEDS = ("torch", "|".join(MODULES), "onnx", "pydantic", "filelock", "safetensors", "rosbags", "yaml")
"""What exporting, keeping and running an engine imports."""

LEAST_EQUAL = {"fp32": 0.999, "fp16": 0.99, "int8": 0.8}
"""Share of voxels with the class of torch in exact float32. TensorRT rounds factors of fp32 to TF32 unless told not to;
weights that are not trained nearly tie classes, which int8 shows most."""
MEAN_ERROR = {"fp32": 0.005, "fp16": 0.02, "int8": 0.3}
"""Of depth and features, in standard deviations. A plane sweep that is three planes off moves depth by 0.06 to 0.08."""


def open_engine(
    setting: Setting, variant: Variant, precision: str, *, graphs: bool = True, tensorrt: ModuleType | None = None
) -> TensorRTBackend:
    """The engine of a variant with the weights of ``named_model``; exported and built when that was not done yet.

    Raises:
        EngineError: it cannot be built or loaded.
        ConfigError: int8 without real frames to measure activations on.
    """
    from flashocc_ros.engine.tensorrt.backend import TensorRTBackend

    class Given(TensorRTBackend):
        """The module is given, and the device was looked at before."""

        @classmethod
        def unavailable(cls) -> str | None:
            return None

    return Given(
        variant,
        _exported(setting, variant, precision),
        precision=precision,
        cache_dir=setting.cache_dir,
        from_export=False,
        device=setting.device,
        tensorrt=tensorrt or _installed(),
        graphs=graphs,
    )


def _exported(setting: Setting, variant: Variant, precision: str) -> Path:
    from flashocc_ros.engine.export.on_demand import cached_export

    given = (variant, _checkpoint(setting, variant), precision, setting.cache_dir)
    frames = None if setting.shared is None else setting.shared / "data/nuscenes_frame_scene0003"
    try:
        return cached_export(*given)[0]
    except EngineError:
        if precision != "int8":
            raise
        # It was never quantized.
        return cached_export(*given, calibration=frames)[0]


def _checkpoint(setting: Setting, variant: Variant) -> Path | None:
    """A file with the weights of ``named_model``, the shipped weights, or None for untrained ones."""
    import torch

    from flashocc_ros import weights

    if setting.shared is None or variant.trained_on != "nuscenes":
        return weights.path(variant.name)
    path = setting.out / "weights" / f"{variant.name}.pth"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"state_dict": named_model(setting, variant).state_dict()}, path)
    return path


def _installed() -> ModuleType:
    name = next(name for name in MODULES if importlib.util.find_spec(name) is not None)
    from flashocc_ros.engine.tensorrt.build import import_tensorrt

    return import_tensorrt(name)


def reference(setting: Setting, variant: Variant) -> Backend:
    """The torch network on the same device with the same weights."""
    from flashocc_ros.engine.torch_backend import TorchBackend

    return TorchBackend(variant, model=named_model(setting, variant), device=setting.device)


def against_torch(
    name: str | Variant, precisions: tuple[str, ...], setting: Setting, tensorrt: ModuleType | None = None
) -> Iterator[Result]:
    """Stage by stage on one set, then whole streams with memory, per precision."""
    variant = get_variant(name)
    sets = scenes.drive(setting, setting.scaled(streams.FRAMES, 3))
    expected = None
    for precision in precisions:
        if precision == "int8" and setting.shared is None:
            yield Result(precision, "skipped", "no real frame here to measure activations on: give --shared")
            continue
        begun = perf_counter()
        try:
            engine = open_engine(setting, variant, precision, tensorrt=tensorrt)
            engine.prepare(len(scenes.CAMERAS))
        except FlashOccError as error:
            yield Result(f"{precision}, build", "failed", str(error))
            continue
        yield Result(f"{precision}, build", "info", engine.describe(), {"s": round(perf_counter() - begun, 1)})
        torch_engine = reference(setting, variant)
        with exact():
            yield from stages(precision, torch_engine, engine, setting)
            if expected is None:
                expected = streams.run(torch_engine, sets)
            yield streams.compare(f"{precision}, stream", streams.run(engine, sets), expected, LEAST_EQUAL[precision])
        engine.close()


def stages(precision: str, expected: Backend, engine: Backend, setting: Setting) -> Iterator[Result]:
    """Encoder and head fed with the very same inputs as torch."""
    variant = engine.variant
    older, frame = scenes.drive(setting, 2)
    geometry = geometry_of(frame, variant)
    transforms = [image_transform(size, variant) for size in frame.image_sizes]
    numbers = camera_params(geometry) if variant.depth_net else None
    pixels, past = (expected.preprocess(shot.images, transforms) for shot in (frame, older))
    stereo, torch_stereo = None, None
    if variant.stereo:
        pair = geometry.with_past(geometry_of(older, variant))
        torch_stereo = expected.stereo_feature(past), expected.stereo_grid(pair)
        stereo = engine.stereo_feature(past), engine.stereo_grid(pair)
        yield _near(precision, "stereo feature", stereo[0], torch_stereo[0])
    encoded = expected.encode(pixels, numbers, torch_stereo)
    got = engine.encode(pixels, numbers, stereo)
    engine.synchronize()
    yield _near(precision, "depth", got.depth, encoded.depth)
    yield _near(precision, "context", got.context, encoded.context)
    bev = expected.pool(encoded, expected.lift_table(geometry))
    history: list[Any] = [None] * variant.num_history
    motions = [scenes.pose_at(-0.5 * age) for age in range(1, variant.num_history + 1)]
    grids = [backend.warp_grids(motions) if motions else None for backend in (expected, engine)]
    theirs, ours = expected.head(bev, history, grids[0]), engine.head(bev, history, grids[1])
    share = float((theirs.labels == ours.labels).mean())
    least = LEAST_EQUAL[precision]
    yield Result(
        f"{precision}, labels of the head",
        outcome(share >= least),
        f"needs {100 * least:g} %",
        {"equal %": 100 * share},
    )
    for tensor in ("bev_key", "heatmap", "reg", "height"):
        if getattr(theirs, tensor) is not None:
            yield _near(precision, tensor, getattr(ours, tensor), getattr(theirs, tensor))


def _near(precision: str, tensor: str, got: Any, expected: Any) -> Result:
    a, b = array(expected).astype(np.float64), array(got).astype(np.float64)
    error = np.abs(a - b) / max(float(a.std()), 1e-12)
    limit = MEAN_ERROR[precision]
    numbers: dict[str, float | int | str] = {
        "mean error / std": float(error.mean()),
        "max error / std": float(error.max()),
    }
    passed = bool(np.isfinite(b).all()) and float(error.mean()) <= limit
    return Result(f"{precision}, {tensor}", outcome(passed), f"limit {limit:g} in the mean", numbers)


def life(name: str | Variant, precision: str, setting: Setting, tensorrt: ModuleType | None = None) -> Iterator[Result]:
    """One engine after another: graphs or not, two at once, opened again, without memory, without waiting."""
    variant = get_variant(name)
    sets = scenes.drive(setting, 4)
    engine = open_engine(setting, variant, precision, tensorrt=tensorrt)
    first = streams.run(engine, sets)

    eager = open_engine(setting, variant, precision, graphs=False, tensorrt=tensorrt)
    yield streams.compare("CUDA graphs and kernel by kernel", streams.run(eager, sets), first, 1.0)
    # Both hold buffers and contexts now; in turns they must not disturb each other.
    two = [streams.Stream(engine), streams.Stream(eager)]
    in_turns = [
        [(result.semantics, len(result.centers)) for result in (stream(shot) for stream in two)] for shot in sets
    ]
    yield streams.compare("two engines in turns", [turn[0] for turn in in_turns], first, 1.0)
    yield streams.compare("the other one", [turn[1] for turn in in_turns], first, 1.0)
    eager.close()
    engine.close()

    begun = perf_counter()
    engine = open_engine(setting, variant, precision, tensorrt=tensorrt)
    engine.prepare(len(scenes.CAMERAS))
    seconds = {"s": round(perf_counter() - begun, 2)}
    yield Result("opened again, out of the cache", "info", "", {**seconds})
    yield streams.compare("opened again", streams.run(engine, sets), first, 1.0)
    yield from waits(engine, setting)
    engine.close()
    if setting.gpu:
        yield from _without_memory(setting, variant, precision, tensorrt)


def waits(backend: Backend, setting: Setting) -> Iterator[Result]:
    """What torch says of operations that wait for the device in the steady state of a moving vehicle."""
    import warnings

    import torch

    sets = scenes.drive(setting, 6)
    stream = streams.Stream(backend)
    for frame in sets[:3]:
        stream(frame)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if setting.gpu:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            for frame in sets[3:]:
                stream(frame)
        finally:
            if setting.gpu:
                torch.cuda.set_sync_debug_mode("default")
    waiting = [warning for warning in said if "synchroniz" in str(warning.message).lower()]
    where = sorted({f"{warning.filename.rpartition('/')[2]}:{warning.lineno}" for warning in waiting})
    text = "in " + ", ".join(where) if where else "but the one for the labels"
    yield Result("waits for the device", outcome(not waiting), text, {"hidden": len(waiting), "sets": len(sets) - 3})


def _without_memory(
    setting: Setting, variant: Variant, precision: str, tensorrt: ModuleType | None
) -> Iterator[Result]:
    """All memory of the device taken but 64 MB: a sentence, and after it an engine that works."""
    import torch

    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(max(0, free - (64 << 20)), dtype=torch.uint8, device=setting.device)
    said = "it opened all the same"
    engine = None
    try:
        engine = open_engine(setting, variant, precision, tensorrt=tensorrt)
        engine.prepare(len(scenes.CAMERAS))
    except FlashOccError as error:
        said = str(error)
    finally:
        del taken
        if engine is not None:
            engine.close()
        torch.cuda.empty_cache()
    yield Result("no memory left", outcome("memory" in said), said[:300])
    engine = open_engine(setting, variant, precision, tensorrt=tensorrt)
    engine.prepare(len(scenes.CAMERAS))
    engine.close()
    yield Result("opened after that", "ok")


def parts() -> tuple[Part, ...]:
    """In the order of how much depends on them."""
    asked = (
        ("flashocc-r50-M0", ("fp16", "fp32")),
        ("synthetic-tiny-4d", ("fp32", "fp16")),
        ("flashocc-r50-4d-stereo", ("fp32", "fp16")),
        ("panoptic-flashocc-r50-depth4d-pano", ("fp16", "fp32")),
        ("panoptic-flashocc-r50-depth4d-longterm8f-pano", ("fp16", "fp32")),
        ("flashocc-r50-M0", ("int8",)),
    )
    question = "Does the engine give what torch gives?"
    return tuple(
        Part(
            f"engine {name} {'/'.join(precisions)}",
            question,
            partial(against_torch, name, precisions),
            180,
            (*NEEDS, *(("onnxruntime",) if "int8" in precisions else ()), "onnxconverter_common"),
            gpu=True,
            least_s=20,
        )
        for name, precisions in asked
    )


LIFE = Part(
    "life of engines",
    "Two engines, opened again, without memory, without waiting?",
    partial(life, "synthetic-tiny-4d", "fp16"),
    120,
    (*NEEDS, "onnxconverter_common"),
    gpu=True,
    least_s=20,
)
