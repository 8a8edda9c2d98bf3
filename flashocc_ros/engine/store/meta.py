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

"""``meta.json`` beside exported graphs: what they are, so that nothing else is ever taken for them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError, field_validator

from flashocc_ros.engine.store.cache import file_sha256
from flashocc_ros.engine.store.external_data import external_files
from flashocc_ros.engine.store.signatures import signatures
from flashocc_ros.engine_names import Precision
from flashocc_ros.errors import EngineError
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.variants import Variant
from flashocc_ros.version import __version__

META_FILE = "meta.json"
FORMAT_VERSION = 1
DYNAMIC_CAMERAS = "cameras"
ANY_CAMERAS = -1
MAX_META_BYTES = 10_000_000
"""A thousand times what an export writes."""

LOGITS = "class_logits"
"""Tensor inside every head graph: (1, Dz * classes, Dy, Dx), channel = z * classes + class; of volumes (1, classes, Dz,
Dy, Dx)."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorMeta(_Strict):
    """An input or output; a dimension is a number or the name of what decides it."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class GraphMeta(_Strict):
    """One ONNX file."""

    file: str
    sha256: str
    inputs: tuple[TensorMeta, ...]
    outputs: tuple[TensorMeta, ...]

    @field_validator("file")
    @classmethod
    def _in_the_folder(cls, value: str) -> str:
        if value in ("", ".", "..") or any(character in value for character in "/\\\0"):
            raise ValueError(f"{value!r} must be the bare name of a file beside {META_FILE}")
        return value


class GridMeta(_Strict):
    """The voxel grid in the base frame, metres."""

    resolution_m: float
    origin_m: tuple[float, float, float]
    size: tuple[int, int, int]


class DepthMeta(_Strict):
    """The depth bins, metres."""

    start_m: float
    stop_m: float
    step_m: float
    sid: bool
    count: int


class TreeMeta(_Strict):
    """Fixed sizes inside a fused graph, see ``poolers.tree16.TreeSizes``, and its number of cameras."""

    rows: PositiveInt
    tall_cells: PositiveInt
    rows_per_cell: PositiveInt
    row_points: PositiveInt
    cameras: PositiveInt


class LayerMeta(_Strict):
    """A layer kept at a higher precision than the rest, and why."""

    graph: str
    layer: str
    precision: str
    reason: str


class ExportMeta(_Strict):
    """Everything a runtime must know to use an export, and what it was made of.

    Attributes:
        variant: row of the variant table.
        grid, depth, input_size, lift_z_bins: repeated from that row, so that a changed row is noticed.
        precision: of weights and activations.
        graphs: by name: image_encoder, bev_head, stereo_feature (stereo variants), fused (when asked for).
        checkpoint_sha256: of the weights file, None for untrained weights.
        calibration: the frames int8 scales were measured on.
        kept_layers: layers excluded from ``precision``, with the reason.
        tree: sizes inside the fused graph.
        versions: of the packages that wrote the files.
        classes: what the labels mean; exports of earlier releases have the table of Occ3D and do not say so.
    """

    format_version: int = FORMAT_VERSION
    variant: str
    grid: GridMeta
    depth: DepthMeta
    input_size: tuple[int, int]
    lift_z_bins: int
    precision: Precision
    opset: int
    graphs: dict[str, GraphMeta]
    checkpoint_sha256: str | None
    calibration: str | None = None
    kept_layers: tuple[LayerMeta, ...] = ()
    tree: TreeMeta | None = None
    versions: dict[str, str] = {}
    classes: ClassTable = OCC3D

    def write(self, folder: Path) -> None:
        (folder / META_FILE).write_text(self.model_dump_json(indent=1) + "\n")


def grid_meta(variant: Variant) -> GridMeta:
    grid = variant.grid
    return GridMeta(resolution_m=grid.resolution_m, origin_m=grid.origin_m, size=grid.size)


def depth_meta(variant: Variant) -> DepthMeta:
    depth = variant.depth
    return DepthMeta(start_m=depth.start_m, stop_m=depth.stop_m, step_m=depth.step_m, sid=depth.sid, count=depth.count)


def load_export(
    folder: Path, variant: Variant | None = None, precision: str | None = None, *, check_files: bool = True
) -> ExportMeta:
    """Read and check an export folder.

    Args:
        folder: holds ``meta.json`` and the ONNX files.
        variant: what the caller wants to run; None accepts any.
        precision: likewise.
        check_files: compare every file with its hash; False where the cache has just done so.

    Raises:
        EngineError: no export there, another format, variant or precision, or a file that is not the one described or
            takes weights from another one, of which nothing is known.
    """
    path = folder / META_FILE
    if not path.is_file():
        raise EngineError(
            f"{folder} holds no {META_FILE}; write an export there with `flashocc export --variant NAME --out`"
        )
    try:
        if path.stat().st_size > MAX_META_BYTES:
            raise EngineError(
                f"{path} has {path.stat().st_size / 1e6:.0f} MB, more than an export writes; export again"
            )
        meta = ExportMeta.model_validate_json(path.read_text(), strict=True)
    except OSError as error:
        raise EngineError(
            f"{path} cannot be read ({error.strerror or error}); copy it again or export again"
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        reason = error.errors()[0] if isinstance(error, ValidationError) else str(error)
        where = ".".join(map(str, reason["loc"])) + ": " + reason["msg"] if isinstance(reason, dict) else reason
        raise EngineError(
            f"{path} is damaged or of another release ({where}); this is flashocc_ros {__version__}: export again"
        ) from error
    if meta.format_version != FORMAT_VERSION:
        raise EngineError(f"{path} has format {meta.format_version}, this release reads {FORMAT_VERSION}: export again")
    if variant is not None:
        _check_variant(path, meta, variant)
    if precision is not None and meta.precision != precision:
        raise EngineError(
            f"{path} is an export in {meta.precision}, asked for {precision}; export with --precision {precision}, "
            "or leave the precision to the export"
        )
    if check_files:
        for graph in meta.graphs.values():
            _check_file(folder / graph.file, graph.sha256)
    return meta


def _check_variant(path: Path, meta: ExportMeta, variant: Variant) -> None:
    if meta.variant != variant.name:
        raise EngineError(f"{path} is an export of {meta.variant}, not of {variant.name}; export that variant")
    wanted = {
        "grid": grid_meta(variant),
        "depth": depth_meta(variant),
        "input_size": variant.input_size,
        "lift_z_bins": variant.lift_z_bins,
    }
    for name, value in wanted.items():
        if getattr(meta, name) != value:
            raise EngineError(
                f"{path} says {name} = {getattr(meta, name)!s}, {variant.name} has {value!s}; export again with this "
                "release"
            )
    if not meta.classes.same_ids(variant.classes) or meta.classes.detections != variant.classes.detections:
        raise EngineError(
            f"{path} is an export with the classes {', '.join(meta.classes.names)}, {variant.name} has "
            f"{', '.join(variant.classes.names)}; export again with this variant"
        )
    for graph, signature in signatures(variant, ANY_CAMERAS).items():
        if graph not in meta.graphs:
            raise EngineError(f"{path} lists no graph {graph}, which {variant.name} needs; export again")
        found = meta.graphs[graph]
        inputs = {tensor.name: tensor.shape for tensor in found.inputs}
        shapes = {
            name: tuple(DYNAMIC_CAMERAS if size == ANY_CAMERAS else size for size in shape)
            for name, shape in signature.inputs.items()
        }
        if inputs != shapes:
            raise EngineError(f"{path} says {graph} takes {inputs}, {variant.name} gives {shapes}; export again")
        other = {tensor.dtype for tensor in found.inputs} - {"float32"}
        if other:
            raise EngineError(f"{path} says {graph} takes {other.pop()}, {variant.name} gives float32; export again")
        outputs = tuple(tensor.name for tensor in found.outputs)
        if outputs != signature.outputs:
            raise EngineError(
                f"{path} says {graph} gives {outputs}, {variant.name} has {signature.outputs}; export again"
            )


def _check_file(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise EngineError(f"{path} is missing although {META_FILE} lists it; copy the whole folder or export again")
    if file_sha256(path) != sha256:
        raise EngineError(
            f"{path} is not the file {META_FILE} describes (its SHA-256 differs); copy it again or export again"
        )
    elsewhere = external_files(path)
    if elsewhere:
        raise EngineError(
            f"{path} takes weights from {elsewhere[0]!r}, of which {META_FILE} knows nothing; save the graph as one "
            "file or export again"
        )


def int8_needs_calibration(variant: Variant) -> str:
    """One sentence for engines asked for int8 before it was built."""
    return (
        f"int8 of {variant.name} was never built for these weights: run `flashocc build --variant {variant.name} "
        "--precision int8 --calibration BAG` once with a recording of this vehicle"
    )
