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

"""What OpenVINO and onnxruntime share: the exported graphs, pooling and labels with numba, NumPy in between."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.engine.poolers import numba_pooler
from flashocc_ros.engine.store.meta import ExportMeta, load_export
from flashocc_ros.engine.store.signatures import CENTER_OUTPUTS
from flashocc_ros.errors import EngineError, FlashOccError, InputError
from flashocc_ros.pipeline.backend import Backend, Encoded, Float32, HeadOutput

if TYPE_CHECKING:
    from flashocc_ros.geometry.lift import LiftTable
    from flashocc_ros.variants import Variant

Arrays = dict[str, npt.NDArray[Any]]


@contextmanager
def one_sentence(what: str, remedy: str) -> Iterator[None]:
    """Whatever an engine's C++ raises, of many types and over many lines, as ``what``: reason; ``remedy``.

    Raises:
        EngineError: instead of it.
    """
    try:
        yield
    except FlashOccError:
        raise
    except Exception as error:
        raise EngineError(f"{what}: {reason(error)}; {remedy}") from error


def reason(error: Exception) -> str:
    """The last line an engine said: those before it tell where in its sources it came from."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


def out_of_memory(error: Exception | str) -> bool:
    """Whether an engine's C++ raised, or said, that it got no memory: that tells nothing about the file it loaded."""
    text = str(error).lower().replace("_", " ")
    said = ("bad alloc", "out of memory", "outofmemory", "cannot allocate", "failed to allocate", "not enough memory")
    return isinstance(error, MemoryError) or any(phrase in text for phrase in said)


class OnnxBackend(Backend):
    """A backend that runs the graphs of an export.

    Args:
        variant: which network.
        export_dir: folder of its export, in ``export_precision(precision)`` or as it was given.
        precision: one of ``precisions``.
        cache_dir: where what the engine builds is kept; None is the user's cache.
        from_export: the export was given by somebody, so its files are run as they are; False for one made on demand,
            whose files were checked when it was made.

    Attributes:
        meta: of the export in use.
        folder: where it lies.
        observer: called with graph name and inputs before every run, for calibration; None otherwise.
    """

    def __init__(
        self,
        variant: Variant,
        export_dir: Path,
        *,
        precision: str = "fp32",
        cache_dir: Path | None = None,
        from_export: bool = True,
    ) -> None:
        reason = self.unavailable()
        if reason is not None:
            raise EngineError(reason)
        self.variant, self.precision, self.cache_dir = variant, precision, cache_dir
        self.observer: Callable[[str, Arrays], None] | None = None
        self.from_export, self.folder = from_export, export_dir
        of = precision if from_export else self.export_precision(precision)
        self.meta: ExportMeta = load_export(export_dir, variant, of, check_files=from_export)

    @classmethod
    def export_precision(cls, precision: str) -> str:
        """Precision of the ONNX files made for this engine when it is asked for ``precision``."""
        return precision

    @property
    def graphs(self) -> list[str]:
        """What a stream runs, for ``prepare``; the start of a temporal one needs ``bev_key`` too."""
        return [name for name in self.meta.graphs if name != "fused"] + ["bev_key"] * bool(self.variant.num_history)

    @abstractmethod
    def run(self, graph: str, inputs: Arrays) -> Arrays:
        """Outputs by name, valid until the next run. Graph "bev_key" is the part of ``bev_head`` up to that output."""

    @abstractmethod
    def run_head(self, inputs: Arrays, with_logits: bool) -> tuple[Arrays, npt.NDArray[np.uint8], bool, Float32 | None]:
        """``bev_head``: outputs by name, labels (X, Y, Z), whether the logits were finite (True where they are not
        seen), and logits (X, Y, Z, classes) when asked for. The maps of the centres lie in the host's memory, the
        caller's to keep."""

    def given(self, grids: Any) -> Any:
        """Sampling grids as the engine takes them."""
        return np.ascontiguousarray(grids, np.float32)

    def kept(self, array: Any) -> Any:
        """A copy that later runs do not overwrite, where the engine computes."""
        return array.copy()

    def encode(
        self, pixels: Any, camera_params: Float32 | None = None, stereo: tuple[Any, Float32] | None = None
    ) -> Encoded:
        inputs: Arrays = {"images": pixels}
        if self.variant.depth_net:
            inputs["camera_params"] = _required(camera_params, f"{self.variant.name} needs camera_params (N, 27)")
        if self.variant.stereo:
            feature, grid = _required(stereo, f"{self.variant.name} needs the previous frame's stereo feature and grid")
            inputs |= {"previous_feature": feature, "stereo_grid": grid}
        outputs = self._observed("image_encoder", inputs)
        feature = self.kept(outputs["stereo_feature"]) if self.variant.stereo else None
        return Encoded(outputs["depth"], outputs["context"], feature)

    def stereo_feature(self, pixels: Any) -> Any:
        if not self.variant.stereo:
            return super().stereo_feature(pixels)
        return self.kept(self._observed("stereo_feature", {"images": pixels})["stereo_feature"])

    def pool(self, encoded: Encoded, table: LiftTable) -> Float32:
        if encoded.depth.shape != table.frustum_shape:
            raise InputError(
                f"the lift table is for (N, D, fH, fW) = {table.frustum_shape}, the encoder gave {encoded.depth.shape}"
            )
        return numba_pooler.pool(encoded.depth, encoded.context, table, volumetric=self.variant.volumetric)

    def head(
        self, bev: Any, history: Sequence[Any] = (), grids: Float32 | None = None, *, with_logits: bool = False
    ) -> HeadOutput:
        inputs: Arrays = {"bev": bev}
        if self.variant.num_history:
            if len(history) != self.variant.num_history or grids is None:
                count = self.variant.num_history
                raise InputError(f"{self.variant.name} needs {count} past maps and their grids, got {len(history)}")
            maps = list(history)
            if any(past is None for past in maps):
                own = self.kept(self._observed("bev_key", {"bev": bev})["bev_key"])
                maps = [own if past is None else past for past in maps]
            inputs["grids"] = self.given(grids)
            inputs |= {f"history_{age}": past for age, past in enumerate(maps, 1)}
        if self.observer is not None:
            self.observer("bev_head", inputs)
        with self._running("bev_head"):
            outputs, labels, finite, logits = self.run_head(inputs, with_logits)
        centers = {name: outputs[name][0] if name in outputs else None for name in CENTER_OUTPUTS}
        key = self.kept(outputs["bev_key"]) if self.variant.num_history else None
        return HeadOutput(labels, key, logits=logits, finite=finite, **centers)

    def _observed(self, graph: str, inputs: Arrays) -> Arrays:
        if self.observer is not None:
            self.observer(graph, inputs)
        with self._running(graph):
            return self.run(graph, inputs)

    def _running(self, graph: str) -> AbstractContextManager[None]:
        what = f"engine {self.name} cannot run {graph} of {self.variant.name}"
        return one_sentence(what, "see `flashocc doctor`, or choose another engine")


def _required(value: Any, sentence: str) -> Any:
    if value is None:
        raise InputError(sentence)
    return value
