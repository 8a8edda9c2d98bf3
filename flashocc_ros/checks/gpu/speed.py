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

"""How long a set takes: engine alone, frame, and JPEG files to labels on the host; moving and standing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.checks.gpu import engines, scenes
from flashocc_ros.checks.gpu.machine import gigabytes_per_s, median_ms, tera_per_s
from flashocc_ros.checks.gpu.networks import named_model
from flashocc_ros.checks.gpu.report import Result
from flashocc_ros.checks.gpu.run import Part
from flashocc_ros.checks.gpu.setting import Setting
from flashocc_ros.checks.gpu.streams import DeviceTorch
from flashocc_ros.errors import FlashOccError
from flashocc_ros.geometry import camera_params
from flashocc_ros.pipeline.preprocess import image_transform
from flashocc_ros.pipeline.set_geometry import geometry_of
from flashocc_ros.pipeline.stream import Stream
from flashocc_ros.variants import Variant, get_variant

if TYPE_CHECKING:
    from flashocc_ros.pipeline.backend import Backend

WORK = {
    "flashocc-r50-M0": (141.0, 39.5, 679),
    "panoptic-flashocc-r50-depth-tiny-pano": (171.0, 45.5, 732),
    "panoptic-flashocc-r50-depth4d-pano": (343.7, 75.5, 918),
    "bevdet-occ-r50": (239.1, 28.6, 1439),
    "flashocc-r50-4d-stereo": (270.8, 58.6, 10173),
}
"""1e9 multiply-adds, 1e6 weights, 1e6 activations read or written: the table of docs/performance.md."""
BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "int8": 1}

PUBLISHED = (
    "panoptic-flashocc-r50-depth-tiny",
    "panoptic-flashocc-r50-depth-tiny-pano",
    "panoptic-flashocc-r50-depth4d-pano",
    "panoptic-flashocc-r50-depth4d-longterm8f-pano",
    "flashocc-r50-M0",
)
"""Timed by their authors in PyTorch, fp32 with TF32 convolutions, on an A100."""
SMALL = "synthetic-tiny"
SETS, SECONDS, WARM_UP = 100, 2.5, 5

Numbers = dict[str, float | int | str]


def torch_network(name: str, setting: Setting) -> Iterator[Result]:
    """The torch network with device tables: fp32 as published, and fp16."""
    floors, variant = _Floors(setting), get_variant(name)
    model = named_model(setting, variant)
    text = "" if setting.gpu else "two cameras on the CPU: shows that it runs, not how fast"
    for half, graphs in ((False, False), (False, True), (True, True)) if setting.gpu else ((False, False),):
        backend = DeviceTorch(variant, model, setting.device, graphs=graphs, half=half)
        numbers = {"engine ms": _torch_ms(setting, backend), **frames(setting, backend)}
        kind = "fp16" if half else "tf32"
        how = "CUDA graphs" if graphs else "kernel by kernel, as published"
        yield Result(f"torch {kind}, {how}", "info", text, floors.beside(variant, kind, numbers))


def tensorrt_engines(
    name: str | Variant, precisions: Sequence[str], setting: Setting, tensorrt: ModuleType | None = None
) -> Iterator[Result]:
    """Engines that were compared before, so they are built by now."""
    floors, variant = _Floors(setting), get_variant(name)
    for precision in precisions:
        if precision == "int8" and setting.shared is None:
            yield Result(precision, "skipped", "no real frame here to measure activations on: give --shared")
            continue
        try:
            engine = engines.open_engine(setting, variant, precision, tensorrt=tensorrt)
        except FlashOccError as error:
            yield Result(precision, "failed", str(error))
            continue
        numbers: Numbers = {}
        if alone := engine.engine_only_ms(len(scenes.CAMERAS)):
            numbers["engine ms"] = alone["image_encoder"] + alone["bev_head"]
        numbers |= frames(setting, engine)
        yield Result(f"{precision}, {engine.describe()}", "info", "", floors.beside(variant, precision, numbers))
        engine.close()


def frames(setting: Setting, backend: Backend) -> Numbers:
    """Wall milliseconds from pictures or JPEG files in the host's memory to labels there."""
    numbers: Numbers = {}
    decode: list[float] = []
    for label, shown, moving in (
        ("moving", "same", True),
        ("standing", "same", False),
        ("JPEG, moving", "jpeg", True),
        ("JPEG, standing", "jpeg", False),
    ):
        sets = scenes.drive(setting, setting.scaled(SETS + WARM_UP, 2), shown, moving=moving)  # type: ignore[arg-type]
        if not setting.gpu:
            sets = [scenes.first_cameras(frame, 2) for frame in sets]
        times = _times(setting, Stream(backend), sets, decode)
        numbers[f"{label} p50 ms"] = float(np.percentile(times, 50))
        numbers[f"{label} p99 ms"] = float(np.percentile(times, 99))
    numbers["of it objects ms"] = float(np.median(decode))
    numbers["sets/s"] = 1e3 / float(numbers["JPEG, moving p50 ms"])
    return numbers


def _times(setting: Setting, stream: Stream, sets: Sequence[CameraSet], decode: list[float]) -> list[float]:
    """Of one set after the other, for ``SECONDS`` at most."""
    times: list[float] = []
    warm_up, begun = setting.scaled(WARM_UP, 1), perf_counter()
    for index, frame in enumerate(sets):
        started = perf_counter()
        result = stream(frame)
        if index >= warm_up:
            times.append(1e3 * (perf_counter() - started))
            decode.append(result.timings["decode"])
        if len(times) >= 10 and perf_counter() - begun > SECONDS:
            break
    return times


def _torch_ms(setting: Setting, backend: DeviceTorch) -> float:
    """Encoder, pooling and head on inputs that lie on the device, to class logits there: what the authors time."""
    import torch

    variant = backend.variant
    frame = scenes.still(setting)
    frame = frame if setting.gpu else scenes.first_cameras(frame, 2)
    geometry = geometry_of(frame, variant)
    pixels = backend.preprocess(frame.images, [image_transform(size, variant) for size in frame.image_sizes])
    numbers = camera_params(geometry) if variant.depth_net else None
    stereo = None
    if variant.stereo:
        stereo = backend.stereo_feature(pixels), backend.stereo_grid(geometry.with_past(geometry))
    table = backend.lift_table(geometry)
    grids = backend.warp_grids([np.eye(4)] * variant.num_history) if variant.num_history else None
    backend.synchronize()

    def network() -> Any:
        encoded = backend.encode(pixels, numbers, stereo)
        return backend.head_tensors(backend.pool(encoded, table), grids)

    with torch.inference_mode():
        return backend.timed(partial(median_ms, network, setting, setting.scaled(30, 1)))


class _Floors:
    """The least time a network can take here: by the measured rates, and the counts of docs/performance.md."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._rates: dict[str, float] = {}

    def beside(self, variant: Variant, kind: str, numbers: Numbers) -> Numbers:
        """``numbers`` with the floor and the ratio to it, where the network was counted."""
        if variant.name not in WORK:
            return numbers
        multiply_adds, weights, activations = WORK[variant.name]
        # fp32 engines compute in TF32 where TensorRT may.
        tera = self._rate("tf32" if kind == "fp32" and self._setting.gpu else kind, tera_per_s)
        bandwidth = self._rate("bandwidth", lambda setting, _: gigabytes_per_s(setting))
        floor_ms = max(2 * multiply_adds / tera, BYTES[kind] * (weights + activations) / bandwidth)
        numbers = {"floor ms": floor_ms, **numbers}
        if "engine ms" in numbers:
            numbers["engine / floor"] = float(numbers["engine ms"]) / floor_ms
        return numbers

    def _rate(self, name: str, measure: Callable[[Setting, str], float]) -> float:
        if name not in self._rates:
            self._rates[name] = measure(self._setting, name)
        return self._rates[name]


def torch_parts() -> tuple[Part, ...]:
    """Those whose times are published; without a GPU only that it runs is shown, by a small one."""
    question = "How long does a set take in PyTorch?"
    return tuple(
        Part(f"speed of {name} in torch", question, partial(torch_network, name), 60, gpu=name != SMALL)
        for name in (*PUBLISHED, SMALL)
    )


def parts() -> tuple[Part, ...]:
    """After the engines were compared, in the order of how much depends on them."""
    asked = (
        ("flashocc-r50-M0", ("fp16", "fp32")),
        ("panoptic-flashocc-r50-depth4d-pano", ("fp16", "fp32")),
        ("flashocc-r50-4d-stereo", ("fp16", "fp32")),
        ("panoptic-flashocc-r50-depth4d-longterm8f-pano", ("fp16",)),
        ("synthetic-tiny-4d", ("fp16",)),
        ("flashocc-r50-M0", ("int8",)),
    )
    return tuple(
        Part(
            f"speed of {name} {'/'.join(precisions)}",
            "How long does a set take?",
            partial(tensorrt_engines, name, precisions),
            90,
            (*engines.NEEDS, "onnxconverter_common"),
            gpu=True,
            least_s=15,
        )
        for name, precisions in asked
    )
