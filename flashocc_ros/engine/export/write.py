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

"""Networks as ONNX: ``image_encoder``, ``bev_head`` and, for stereo, ``stereo_feature``; optionally all in one."""

from __future__ import annotations

import importlib.metadata
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashocc_ros.bags import Frames
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.nominal_rig import nominal_rig
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.data.frames import first_frame
from flashocc_ros.engine.export.calibration import frame_table, standing_table
from flashocc_ros.engine.export.together import written_together
from flashocc_ros.engine.store.cache import file_sha256
from flashocc_ros.engine.store.meta import (
    DYNAMIC_CAMERAS,
    LOGITS,
    ExportMeta,
    GraphMeta,
    LayerMeta,
    Precision,
    TensorMeta,
    TreeMeta,
    depth_meta,
    grid_meta,
)
from flashocc_ros.engine.store.signatures import Signature, encoder_signature, head_signature, signatures
from flashocc_ros.errors import ConfigError, EngineError
from flashocc_ros.variants import Variant, get_variant
from flashocc_ros.version import __version__

if TYPE_CHECKING:
    import torch

    from flashocc_ros.geometry.lift import LiftTable
    from flashocc_ros.model.network import FlashOcc
    from flashocc_ros.structures import CameraRig

logger = logging.getLogger(__name__)

OPSET = 17

CONVERTERS = {
    "fp32": ("torch", "onnx"),
    "fp16": ("torch", "onnx", "onnxconverter-common"),
    "int8": ("torch", "onnx", "onnxruntime"),
}
"""Packages that decide what the files hold, by precision; their versions go into ``meta.json``."""

PER_CAMERA_INPUTS = ("images", "camera_params", "previous_feature", "stereo_grid")
PER_CAMERA_OUTPUTS = ("depth", "context", "stereo_feature")


def export(
    variant: str | Variant,
    checkpoint: Path | None,
    out_dir: Path,
    precision: Precision = "fp32",
    fused: bool = False,
    calibration: Path | None = None,
    *,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    fisheye: Fisheye | None = None,
    rig: CameraRig | None = None,
    model: FlashOcc | None = None,
) -> ExportMeta:
    """Write the graphs of a variant and ``meta.json``.

    Args:
        variant: name or row.
        checkpoint: weights; None exports untrained ones.
        out_dir: made when missing; files of the same names are replaced once all are written.
        precision: fp32, fp16 (mixed) or int8 (Q/DQ).
        fused: also write ``fused.onnx``, pictures to labels without a plugin, sized for ``rig``.
        calibration: bag or folder of frames; int8 needs it, and a fused graph takes its rig from it.
        frames: how that bag names its frames.
        fisheye: what becomes of wide lenses in it, see ``data.frames.read_frames``; the same as in the node.
        rig: cameras the fused graph is sized for; None takes ``calibration``'s, else the variant's
            number of cameras around the vehicle.
        model: a network already built, instead of ``checkpoint``.

    The number of cameras stays open in all files but the fused one. Calibration and motion are inputs everywhere.

    Raises:
        ConfigError: int8 without calibration frames.
        CheckpointError: the weights do not fit.
        EngineError: torch or onnx is missing, or the folder cannot be written.
    """
    row = get_variant(variant)
    if precision == "int8" and calibration is None:
        raise ConfigError("int8 needs frames to measure activations on; give --calibration a bag or a frame folder")
    # Before minutes of work and half an export.
    frame = None if calibration is None else first_frame(calibration, frames, fisheye)
    try:
        import onnx  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise EngineError(f"export needs {error.name}; pip install 'flashocc_ros[export]'") from error
    if model is None:
        from flashocc_ros.model import build_model

        model = build_model(row)
        if checkpoint is not None:
            from flashocc_ros.model import load_checkpoint

            model.load_state_dict(load_checkpoint(checkpoint, row))
    try:
        with written_together(out_dir) as folder:
            table = None if not fused else _fused_table(row, rig, frame)
            return _write(model, row, checkpoint, folder, precision, table, calibration, frames, fisheye)
    except OSError as error:
        raise EngineError(
            f"cannot write the export to {out_dir}: {error.strerror or error}; free some space or choose another --out "
            "(in the cache: another cache_dir)"
        ) from error


def _write(
    model: FlashOcc,
    row: Variant,
    checkpoint: Path | None,
    out_dir: Path,
    precision: Precision,
    fused: tuple[LiftTable, float] | None,
    calibration: Path | None,
    frames: Frames,
    fisheye: Fisheye | None,
) -> ExportMeta:
    from flashocc_ros.engine.rewrite.fold import folded

    files = write_two_graphs(folded(model), row, out_dir)
    tree = None
    if fused is not None:
        tree = _write_fused(folded(model), row, out_dir, *fused)
        files["fused"] = out_dir / "fused.onnx"
    kept: tuple[LayerMeta, ...] = ()
    if precision != "fp32":
        from flashocc_ros.engine.export.precision import convert

        kept = convert(files, row, precision, calibration, frames, fisheye)
    meta = ExportMeta(
        variant=row.name,
        grid=grid_meta(row),
        depth=depth_meta(row),
        input_size=row.input_size,
        lift_z_bins=row.lift_z_bins,
        precision=precision,
        opset=OPSET,
        graphs={name: describe_graph(path) for name, path in files.items()},
        checkpoint_sha256=None if checkpoint is None else file_sha256(checkpoint),
        calibration=None if calibration is None else str(calibration),
        kept_layers=kept,
        tree=tree,
        versions={"flashocc_ros": __version__} | {name: package_version(name) for name in CONVERTERS[precision]},
        classes=row.classes,
    )
    meta.write(out_dir)
    return meta


def write_two_graphs(model: FlashOcc, variant: Variant, out_dir: Path) -> dict[str, Path]:
    """Write the fp32 graphs of a folded network; paths by graph name."""
    from flashocc_ros.engine.export import graphs

    modules = {
        "image_encoder": graphs.ImageEncoderGraph,
        "bev_head": graphs.BevHeadGraph,
        "stereo_feature": graphs.StereoFeatureGraph,
    }
    # Two cameras while tracing: one could be mistaken for a constant.
    wanted = signatures(variant, 2)
    files = {name: out_dir / f"{name}.onnx" for name in wanted}
    for name, signature in wanted.items():
        write_onnx(modules[name](model), signature, files[name], dynamic=name != "bev_head")
    return files


def write_onnx(
    module: torch.nn.Module,
    signature: Signature,
    path: Path,
    *,
    dynamic: bool = False,
    dtypes: dict[str, Any] | None = None,
) -> None:
    """Trace ``module`` on zeros of the signature's shapes and write a checked, tidy ONNX file."""
    import onnx
    import torch

    from flashocc_ros.engine.export.onnx_tools import drop_outputs, fold_identities

    example = tuple(
        torch.zeros(shape, dtype=(dtypes or {}).get(name, torch.float32)) for name, shape in signature.inputs.items()
    )
    # Head graphs return their logits second, so that the tensor has a name; it is no output of the file.
    has_labels = "labels" in signature.outputs
    outputs = ["labels", LOGITS, *signature.outputs[1:]] if has_labels else list(signature.outputs)
    axes = None
    if dynamic:
        per_camera = {*PER_CAMERA_INPUTS, *PER_CAMERA_OUTPUTS} & {*signature.inputs, *outputs}
        axes = {name: {0: DYNAMIC_CAMERAS} for name in per_camera}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            example,
            str(path),
            input_names=list(signature.inputs),
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            do_constant_folding=True,
            dynamo=False,
        )
    graph = onnx.load(path)
    fold_identities(graph)
    if has_labels:
        drop_outputs(graph, {LOGITS})
    onnx.checker.check_model(graph)
    onnx.save(graph, path)
    logger.info("wrote %s: %d nodes, %.1f MB", path.name, len(graph.graph.node), path.stat().st_size / 1e6)


def _fused_table(variant: Variant, rig: CameraRig | None, frame: CameraSet | None) -> tuple[LiftTable, float]:
    """What a fused graph is sized for and how much more it holds: a guessed rig needs more room than a known one that
    may only be recalibrated."""
    if rig is not None:
        return standing_table(variant, rig), 1.25
    if frame is not None:
        return frame_table(variant, frame), 1.25
    return standing_table(variant, nominal_rig(variant.num_cameras)), 1.6


def _write_fused(model: FlashOcc, variant: Variant, out_dir: Path, table: LiftTable, margin: float) -> TreeMeta:
    import torch

    from flashocc_ros.engine.export import graphs, tree16

    sizes = tree16.TreeSizes.fitting(table, margin)
    cameras = table.frustum_shape[0]
    encoder, head = encoder_signature(variant, cameras), head_signature(variant)
    tables = {
        "row_point": (sizes.rows, sizes.row_points),
        "row_pixel": (sizes.rows, sizes.row_points),
        "cell_row": (sizes.tall_cells, sizes.rows_per_cell),
        "cell_source": (table.num_cells,),
    }
    past = {name: shape for name, shape in head.inputs.items() if name != "bev"}
    inputs = {**encoder.inputs, **tables, **past}
    outputs = head.outputs + (("stereo_feature",) if variant.stereo else ())
    module = graphs.FusedGraph(model, tuple(inputs), table.grid_shape)
    dtypes = dict.fromkeys(tables, torch.int32)
    write_onnx(module, Signature(inputs, outputs), out_dir / "fused.onnx", dtypes=dtypes)
    return TreeMeta(
        rows=sizes.rows,
        tall_cells=sizes.tall_cells,
        rows_per_cell=sizes.rows_per_cell,
        row_points=sizes.row_points,
        cameras=cameras,
    )


def describe_graph(path: Path) -> GraphMeta:
    """Inputs, outputs and hash of an ONNX file."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph

    def tensors(values: Any) -> tuple[TensorMeta, ...]:
        return tuple(
            TensorMeta(
                name=value.name,
                dtype=onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
                shape=tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim),
            )
            for value in values
        )

    return GraphMeta(
        file=path.name, sha256=file_sha256(path), inputs=tensors(graph.input), outputs=tensors(graph.output)
    )


def package_version(name: str) -> str:
    """Version of an installed distribution, "absent" when there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
