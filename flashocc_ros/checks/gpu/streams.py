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

"""Streams of a moving vehicle on two backends, side by side: what a user gets, memory and objects included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet, Picture
from flashocc_ros.checks.gpu import scenes
from flashocc_ros.checks.gpu.networks import exact, named_model
from flashocc_ros.checks.gpu.report import Result, outcome
from flashocc_ros.checks.gpu.run import Part
from flashocc_ros.checks.gpu.setting import Setting
from flashocc_ros.engine.torch_backend import TorchBackend
from flashocc_ros.pipeline.backend import Backend, Encoded
from flashocc_ros.pipeline.stream import Stream
from flashocc_ros.variants import Variant, get_variant

if TYPE_CHECKING:
    import torch

    from flashocc_ros.model.network import FlashOcc
    from flashocc_ros.pipeline.preprocess import ImageTransform

FRAMES = 20
TORCH_LEAST = 0.9999
DEVICE_LEAST = 0.999
"""Single pixels of pictures made on the device differ by a grey level."""
NAMES = (
    "synthetic-tiny-4d",
    "flashocc-r50-M0",
    "panoptic-flashocc-r50-depth4d-pano",
    "flashocc-r50-4d-stereo",
    "panoptic-flashocc-r50-depth4d-longterm8f-pano",
)


class DeviceTorch(TorchBackend):
    """The torch network with everything around it as the TensorRT backend does it: pictures, tables and grids made on
    the device, the pooling kernel, one stream, the encoder replayed as a CUDA graph.

    What is around an engine can so be tried where there is no TensorRT.

    Args:
        variant, model, device: as ``TorchBackend``.
        graphs: False launches kernel by kernel.
        half: float16 where autocast takes it.
    """

    def __init__(
        self, variant: Variant, model: FlashOcc, device: str, *, graphs: bool = True, half: bool = False
    ) -> None:
        super().__init__(variant, model=model, device=device)
        from flashocc_ros.engine.tensorrt.device_geometry import DeviceGeometry
        from flashocc_ros.engine.tensorrt.device_preprocess import DevicePreprocessor
        from flashocc_ros.engine.tensorrt.stream import DeviceStream

        self._stream = DeviceStream(self.device, graphs)
        self._geometry = DeviceGeometry(variant, self.device, self._stream)
        self._preprocessor = DevicePreprocessor(self.device)
        self.decodes_jpeg = self._preprocessor.decodes_jpeg
        self._half = half
        self._encoders: dict[int, tuple[dict[str, torch.Tensor], Any, list[Encoded]]] = {}

    def describe(self) -> str:
        return f"torch with device tables, {'fp16' if self._half else 'fp32'}"

    def synchronize(self) -> None:
        self._stream.synchronize()

    def preprocess(self, images: Sequence[Picture], transforms: Sequence[ImageTransform]) -> Any:
        with self._stream():
            return self._preprocessor(images, transforms)

    def lift_table(self, geometry: Any) -> Any:
        with self._stream():
            return self._geometry.lift_table(geometry)

    def stereo_grid(self, geometry: Any) -> Any:
        with self._stream():
            return self._geometry.stereo_grid(geometry)

    def warp_grids(self, key_from_previous: Sequence[npt.NDArray[np.float64]]) -> Any:
        with self._stream():
            return self._geometry.warp_grids(key_from_previous)

    def stereo_feature(self, pixels: Any) -> Any:
        with self._stream(), self._precision():
            return super().stereo_feature(pixels)

    def encode(self, pixels: Any, camera_params: Any = None, stereo: tuple[Any, Any] | None = None) -> Encoded:
        import torch

        from flashocc_ros.engine.tensorrt.stream import pinned

        inputs = {"pixels": pixels}
        if camera_params is not None:
            inputs["params"] = pinned(camera_params, self.device)
        if stereo is not None:
            inputs |= {"feature": stereo[0], "grid": stereo[1]}
        with self._stream(), torch.inference_mode():
            if len(pixels) not in self._encoders:
                self._encoders[len(pixels)] = self._captured(inputs)
            buffers, replay, encoded = self._encoders[len(pixels)]
            for name, value in inputs.items():
                buffers[name].copy_(value, non_blocking=True)
            replay()
            made = encoded[-1]
            feature = None if made.stereo_feature is None else made.stereo_feature.clone()
            return Encoded(made.depth, made.context, feature)

    def _captured(self, inputs: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], Any, list[Encoded]]:
        import torch

        buffers = {name: torch.zeros_like(value) for name, value in inputs.items()}
        stereo = (buffers["feature"], buffers["grid"]) if "grid" in buffers else None
        made: list[Encoded] = []
        plain: Any = super().encode

        def work() -> None:
            with self._precision():
                made[:] = [plain(buffers["pixels"], buffers.get("params"), stereo)]

        return buffers, self._stream.captured(work), made

    def pool(self, encoded: Encoded, table: Any) -> Any:
        import torch

        from flashocc_ros.engine.tensorrt.device_table import pooler_for

        with self._stream(), torch.inference_mode():
            return pooler_for(self.device).pool(
                encoded.depth.float(), encoded.context.float(), table, volumetric=self.variant.volumetric
            )

    def head(self, bev: Any, history: Sequence[Any] = (), grids: Any = None, *, with_logits: bool = False) -> Any:
        with self._stream(), self._precision():
            return super().head(bev, history, grids, with_logits=with_logits)

    def head_tensors(self, bev: Any, grids: Any) -> Any:
        """What ``head`` computes on the device, left there; the key map takes the place of the past."""
        with self._stream(), self._precision():
            key = self.model.preprocess_bev(bev)
            return self._bev_head(key, [None] * self.variant.num_history, grids)

    def timed(self, measure: Callable[[], float]) -> float:
        """``measure`` with its events on this stream."""
        with self._stream():
            return measure()

    def _precision(self) -> Any:
        import torch

        # Casts that were kept would lie in the memory of a graph that another one replays.
        return torch.autocast(self.device.type, torch.float16, enabled=self._half, cache_enabled=False)


def with_memory(name: str, setting: Setting) -> Iterator[Result]:
    """The torch network over 20 sets, then with everything around it as the TensorRT backend has it."""
    variant = get_variant(name)
    model = named_model(setting, variant)
    sets = _recalibrated_in_the_middle(scenes.drive(setting, setting.scaled(FRAMES, 3)))
    if not setting.gpu:
        sets = [scenes.first_cameras(frame, 2) for frame in sets]
    # The CPU takes seconds for a set of a large network.
    on_cpu = variant.trained_on == "synthetic"
    with exact():
        expected = run(TorchBackend(variant, model=model, device="cpu" if on_cpu else setting.device), sets)
        if on_cpu:
            got = run(TorchBackend(variant, model=model, device=setting.device), sets)
            yield compare("torch against the CPU", got, expected, TORCH_LEAST)
        for graphs in (False, True):
            backend = DeviceTorch(variant, model, setting.device, graphs=graphs)
            how = "CUDA graphs" if graphs else "kernel by kernel"
            if graphs and not setting.gpu:
                yield Result(f"device tables, {how}", "skipped", "no GPU: skipped")
                continue
            yield compare(f"device tables, {how}", run(backend, sets), expected, DEVICE_LEAST)


def parts() -> tuple[Part, ...]:
    """One per network, so that none hides another."""
    question = "Are streams with memory the same, with graphs and device tables?"
    return tuple(
        Part(f"streams of {name}", question, partial(with_memory, name), 60, gpu=name != NAMES[0]) for name in NAMES
    )


def _recalibrated_in_the_middle(sets: list[CameraSet]) -> list[CameraSet]:
    middle = len(sets) // 2
    rig = scenes.recalibrated(sets[0].rig)
    return [*sets[:middle], *(replace(frame, rig=rig) for frame in sets[middle:])]


def run(backend: Backend, sets: Sequence[CameraSet]) -> list[tuple[npt.NDArray[np.uint8], int]]:
    """Labels and the number of objects of every set."""
    stream = Stream(backend)
    results = [stream(frame) for frame in sets]
    return [(result.semantics.copy(), len(result.centers)) for result in results]


def compare(
    name: str,
    got: Sequence[tuple[npt.NDArray[np.uint8], int]],
    expected: Sequence[tuple[npt.NDArray[np.uint8], int]],
    least: float,
) -> Result:
    """Ok when in every set at least the share ``least`` of the voxels has the same class."""
    shares = [float((ours == theirs).mean()) for (ours, _), (theirs, _) in zip(got, expected, strict=True)]
    worst = int(np.argmin(shares))
    classes = len(np.unique(expected[worst][0]))
    numbers: dict[str, float | int | str] = {
        "least equal %": 100 * shares[worst],
        "mean equal %": 100 * float(np.mean(shares)),
        "sets": len(shares),
        "classes": classes,
        "objects": f"{sum(count for _, count in got)} of {sum(count for _, count in expected)}",
    }
    return Result(name, outcome(shares[worst] >= least), f"needs {100 * least:g} %, least in set {worst + 1}", numbers)
