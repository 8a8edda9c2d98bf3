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

"""An export against the PyTorch network, stage by stage, on each engine that runs here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.nominal_rig import SOURCE_HW, nominal_rig
from flashocc_ros.data.frames import read_frames
from flashocc_ros.engine.export.fused import fused_tables
from flashocc_ros.engine.select import backend_class, find_checkpoint, open_backend
from flashocc_ros.engine.store.meta import ExportMeta, load_export
from flashocc_ros.engine.store.signatures import CENTER_OUTPUTS
from flashocc_ros.engine_names import EXPORT_ENGINES
from flashocc_ros.errors import ConfigError
from flashocc_ros.geometry import bev_warp_grid, camera_params, lift_table, stereo_grid
from flashocc_ros.pipeline.backend import Backend, Encoded
from flashocc_ros.pipeline.preprocess import image_transform
from flashocc_ros.pipeline.set_geometry import rig_geometry
from flashocc_ros.variants import Variant, get_variant

VOXEL_AGREEMENT = {"fp32": 0.9999, "fp16": 0.99, "int8": 0.95}
"""Least share of voxels with the label of PyTorch, by precision of the export."""

POOLING_TOLERANCE = 1e-5


@dataclass(frozen=True)
class StageError:
    """Difference of one tensor between PyTorch and an engine fed with PyTorch's input to that stage.

    Attributes:
        stage: preprocess, encoder, pooling, warp, head or decode.
        tensor: which output.
        max_error, mean_error: absolute, in the unit of the tensor.
        spread: standard deviation of PyTorch's tensor, what errors are to be judged by.
    """

    stage: str
    tensor: str
    max_error: float
    mean_error: float
    spread: float


@dataclass(frozen=True)
class EngineParity:
    """Result for one engine.

    Attributes:
        engine: its description.
        stages: per stage, the worst over all frames.
        voxel_agreement: least share of equal labels over the frames, the engine running end to end.
        required: the least that is accepted.
    """

    engine: str
    stages: tuple[StageError, ...]
    voxel_agreement: float
    required: float

    @property
    def ok(self) -> bool:
        pooling = max((s.max_error / max(1.0, s.spread) for s in self.stages if s.stage == "pooling"), default=0.0)
        finite = all(np.isfinite(s.max_error) for s in self.stages)
        return finite and self.voxel_agreement >= self.required and pooling <= POOLING_TOLERANCE


@dataclass(frozen=True)
class ExportParity:
    """Result for an export folder; ``ok`` only when every engine is inside its tolerance."""

    folder: Path
    variant: str
    precision: str
    frames: int
    engines: tuple[EngineParity, ...] = field(default=())

    @property
    def ok(self) -> bool:
        return bool(self.engines) and all(engine.ok for engine in self.engines)

    def lines(self) -> list[str]:
        """A table for people."""
        lines = [f"{self.folder}: {self.variant}, {self.precision}, {self.frames} frame(s)"]
        for engine in self.engines:
            lines.append(engine.engine)
            if engine.stages:
                lines.append(f"  {'stage':<11}{'tensor':<15}{'max error':>12}{'mean error':>12}{'std':>12}")
            lines += [
                f"  {s.stage:<11}{s.tensor:<15}{s.max_error:>12.3g}{s.mean_error:>12.3g}{s.spread:>12.3g}"
                for s in engine.stages
            ]
            lines.append(
                f"  voxels equal: {100 * engine.voxel_agreement:.4f} %, needs {100 * engine.required:g} %: "
                f"{'inside' if engine.ok else 'OUTSIDE'} the tolerance"
            )
        return lines


def compare_export(
    folder: Path,
    variant: str | Variant,
    checkpoint: Path | None,
    frames: Path | None = None,
    *,
    engines: Sequence[str] = EXPORT_ENGINES,
    max_frames: int = 2,
) -> ExportParity:
    """Run an export on every engine that is installed and compare with PyTorch.

    Args:
        folder: what ``flashocc export`` wrote.
        variant: which network.
        checkpoint: the weights the export was made from; None for the shipped or untrained ones.
        frames: recording or frame folders; None takes noise seen by a nominal rig of the variant's number of cameras.
        engines: names to try; those not installed are left out.
        max_frames: frames to compare.

    Raises:
        ConfigError: none of the engines is installed, or there is no frame.
        CheckpointError, EngineError: the export or the weights do not fit the variant.
    """
    from flashocc_ros.engine.store.cache import file_sha256
    from flashocc_ros.engine.torch_backend import TorchBackend

    row = get_variant(variant)
    meta = load_export(folder, row)
    checkpoint = find_checkpoint(row, checkpoint)
    sha256 = None if checkpoint is None else file_sha256(checkpoint)
    if sha256 != meta.checkpoint_sha256:
        raise ConfigError(
            f"{folder} was exported from {_weights(meta.checkpoint_sha256)}, not from {_weights(sha256)}; "
            "give --checkpoint the file it was made of"
        )
    classes = [cls for cls in map(backend_class, engines) if cls.unavailable() is None]
    if not classes:
        raise ConfigError(f"none of {', '.join(engines)} is installed here; pip install 'flashocc_ros[openvino]'")
    sets: list[CameraSet] = [_noise(row.num_cameras)] if frames is None else _recorded(frames, max_frames)
    reference = TorchBackend(row, checkpoint, device="cpu")
    results = []
    for cls in classes:
        # Half precision and int8 are in the files; the engine itself computes what they say.
        backend: Any = open_backend(row, folder, cls.name, meta.precision)
        comparisons = [_Comparison(row, reference, backend, frame) for frame in sets]
        worst = _worst([c.stages for c in comparisons])
        agreement = min(c.agreement for c in comparisons)
        results.append(EngineParity(backend.describe(), worst, agreement, VOXEL_AGREEMENT[meta.precision]))
        backend.close()
    if meta.tree is not None and "onnxruntime" in engines:
        calibration = "of the nominal rig (give --images of yours)" if frames is None else f"in {frames}"
        results.append(_fused(folder, meta, comparisons, calibration))
    return ExportParity(folder, row.name, meta.precision, len(sets), tuple(results))


def _fused(folder: Path, meta: ExportMeta, comparisons: Sequence[_Comparison], calibration: str) -> EngineParity:
    """The single graph on onnxruntime, fed with what PyTorch was fed with."""
    import onnxruntime

    path = folder / meta.graphs["fused"].file
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    agreements = []
    for comparison in comparisons:
        inputs = comparison.inputs | fused_tables(meta, comparison.table, calibration)
        (labels,) = session.run(["labels"], inputs)
        agreements.append(float((labels == comparison.expected).mean()))
    engine = f"fused graph, onnxruntime {onnxruntime.__version__} on cpu, {meta.precision}"
    return EngineParity(engine, (), min(agreements), VOXEL_AGREEMENT[meta.precision])


class _Comparison:
    """One frame, and for temporal variants the same pictures seen again half a metre further on.

    Attributes:
        stages: what differs where.
        agreement: share of equal labels, the engine running end to end.
        expected: labels of PyTorch.
        table: of the frame's calibration.
        inputs: what the network was fed with, by the names of the exported graphs.
    """

    def __init__(self, variant: Variant, reference: Backend, backend: Backend, frame: CameraSet) -> None:
        self.variant, self.backend, self.stages = variant, backend, list[StageError]()
        transforms = [image_transform(size, variant) for size in frame.image_sizes]
        geometry = rig_geometry(frame.rig, frame.image_sizes, variant)
        table = lift_table(variant, geometry)
        numbers = camera_params(geometry) if variant.depth_net else None

        pixels = _array(reference.preprocess(frame.images, transforms))
        own_pixels = backend.preprocess(frame.images, transforms)
        self._note("preprocess", "pixels", pixels, own_pixels)
        stereo, torch_stereo, own_stereo = None, None, None
        if variant.stereo:
            behind = np.tile(_forward(-0.5), (frame.rig.num_cameras, 1, 1))
            grid = stereo_grid(variant, geometry.with_past(rig_geometry(frame.rig, frame.image_sizes, variant, behind)))
            torch_stereo = reference.stereo_feature(pixels), grid
            stereo = _array(torch_stereo[0]), grid
            own_stereo = backend.stereo_feature(own_pixels), grid
            self._note("encoder", "first_feature", stereo[0], own_stereo[0])
        own = reference.encode(pixels, numbers, torch_stereo)
        encoded = _arrays(own)
        given = backend.encode(pixels, numbers, stereo)
        self._note("encoder", "depth", encoded.depth, given.depth)
        self._note("encoder", "context", encoded.context, given.context)
        bev = _array(reference.pool(own, table))
        self._note("pooling", "bev", bev, backend.pool(encoded, table))

        key = reference.head(bev, *self._start()).bev_key
        grids = self._past(key)[1]
        expected = reference.head(bev, self._past(key)[0], grids, with_logits=True)
        self.expected, self.table = expected.labels, table
        history = self._past(_array(key))[0]
        self.inputs = self._by_name(pixels, numbers, stereo, history, grids)
        if variant.num_history:
            self._warp(reference, backend, bev, history, grids)
        result = backend.head(bev, history, grids, with_logits=backend.gives_logits)
        for name in ("logits", *CENTER_OUTPUTS):
            if getattr(expected, name) is not None and getattr(result, name) is not None:
                self._note("head", name, getattr(expected, name), getattr(result, name))
        self._note("decode", "labels", expected.labels, result.labels)

        own_bev = backend.pool(backend.encode(own_pixels, numbers, own_stereo), table)
        own_history, _ = self._past(backend.head(own_bev, *self._start()).bev_key)
        self.agreement = float((backend.head(own_bev, own_history, grids).labels == expected.labels).mean())

    def _start(self) -> tuple[list[None], npt.NDArray[np.float32] | None]:
        """Head arguments of a sequence's first frame."""
        count = self.variant.num_history
        return [None] * count, np.stack([bev_warp_grid(np.eye(4), grid=self.variant.grid)] * count) if count else None

    def _past(self, key: Any) -> tuple[list[Any], npt.NDArray[np.float32] | None]:
        """The same map at every age, further behind the older it is."""
        count = self.variant.num_history
        if not count:
            return [], None
        grid = self.variant.grid
        return [key] * count, np.stack([bev_warp_grid(_forward(-0.5 * age), grid=grid) for age in range(1, count + 1)])

    def _warp(self, reference: Any, backend: Backend, bev: Any, history: list[Any], grids: Any) -> None:
        """What the engine's own warp changes in the logits, against maps that PyTorch warped."""
        import torch

        ready = [
            reference.model.warp(torch.from_numpy(past), torch.from_numpy(grid)[None]).numpy()
            for past, grid in zip(history, grids, strict=True)
        ]
        still = np.stack([bev_warp_grid(np.eye(4), grid=self.variant.grid)] * len(history))
        tensor = "logits" if backend.gives_logits else "labels"
        expected, got = (
            getattr(backend.head(bev, maps, where, with_logits=backend.gives_logits), tensor)
            for maps, where in ((ready, still), (history, grids))
        )
        self._note("warp", tensor, expected, got)

    def _by_name(self, pixels: Any, numbers: Any, stereo: Any, history: list[Any], grids: Any) -> dict[str, Any]:
        given = {"images": pixels, "camera_params": numbers, "grids": grids}
        if stereo is not None:
            given |= {"previous_feature": stereo[0], "stereo_grid": stereo[1]}
        given |= {f"history_{age}": past for age, past in enumerate(history, 1)}
        return {name: array for name, array in given.items() if array is not None}

    def _note(self, stage: str, tensor: str, expected: Any, got: Any) -> None:
        self.backend.synchronize()
        a, b = _array(expected).astype(np.float64), _array(got).astype(np.float64)
        error = np.abs(a - b)
        self.stages.append(StageError(stage, tensor, float(error.max()), float(error.mean()), float(a.std())))


def _array(value: Any) -> Any:
    """NumPy array of an engine's array."""
    if value is None:
        return None
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.array(value)


def _arrays(encoded: Encoded) -> Encoded:
    return Encoded(_array(encoded.depth), _array(encoded.context), _array(encoded.stereo_feature))


def _worst(runs: list[list[StageError]]) -> tuple[StageError, ...]:
    """Stage by stage the run with the largest error."""
    return tuple(max(same, key=lambda stage: stage.max_error) for same in zip(*runs, strict=True))


def _forward(distance_m: float) -> npt.NDArray[np.float64]:
    pose = np.eye(4)
    pose[0, 3] = distance_m
    return pose


def _recorded(path: Path, count: int) -> list[CameraSet]:
    frames = list(islice(read_frames(path), count))
    if not frames:
        raise ConfigError(f"{path} holds no complete frame; record at least one picture of every camera")
    return frames


def _noise(cameras: int) -> CameraSet:
    rig = nominal_rig(cameras)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*SOURCE_HW, 3), np.uint8) for _ in rig.names]
    return CameraSet(images, rig, np.tile(np.eye(4), (cameras, 1, 1)), 1)


def _weights(sha256: str | None) -> str:
    return "untrained weights" if sha256 is None else f"a checkpoint with SHA-256 {sha256[:12]}..."
