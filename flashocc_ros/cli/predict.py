"""``flashocc predict``: pictures or a recording in, occupancy files out, without ROS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flashocc_ros.cli.options import BaseFrame, TfPrefix
from flashocc_ros.engine_names import ENGINE_HELP, PRECISION_HELP

if TYPE_CHECKING:
    from flashocc_ros.bags import Frames
    from flashocc_ros.structures import Occupancy

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Example: flashocc predict drive_bag --variant flashocc-r50-M0 --checkpoint M0.pth --png. "
    "A folder holds calibration.yaml (K, T_base_cam per camera) and either one picture per camera, named by its image "
    "entry, or a sequence <camera>/<stamp_ns>.jpg with poses.csv; flashocc_ros/data/folder.py describes both."
)
def predict(
    source: Annotated[Path, typer.Argument(help="A folder with calibration.yaml and pictures, or a rosbag2.")],
    variant: Annotated[str, typer.Option(help="Network, see `flashocc variants`.")] = "flashocc-r50-M0",
    checkpoint: Annotated[Path | None, typer.Option(help="Weights (.pth or .safetensors).")] = None,
    engine: Annotated[str, typer.Option(help=ENGINE_HELP)] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISION_HELP)] = "auto",
    out: Annotated[Path, typer.Option(help="Folder for <stamp_ns>.npz and <stamp_ns>.png.")] = Path("out/predict"),
    png: Annotated[bool, typer.Option("--png", help="Also draw each result.")] = False,
    calibration: Annotated[Path | None, typer.Option(help="Instead of calibration.yaml in the folder.")] = None,
    cameras: Annotated[str, typer.Option(help="Of a bag: these cameras in this order, separated by commas.")] = "",
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    bit_depth: Annotated[
        int, typer.Option(help="Of a bag: bits that the sensor uses of 16 bit images, 8 to 16; 0 is all.")
    ] = 0,
    limit: Annotated[int, typer.Option(min=0, help="Stop after this many sets; 0 is all.")] = 0,
    cache_dir: Annotated[Path | None, typer.Option(help="Where built engines are kept.")] = None,
) -> None:
    """Predict occupancy for a folder of images or a bag, without ROS."""
    import numpy as np
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from flashocc_ros import Predictor
    from flashocc_ros.bags import Frames
    from flashocc_ros.errors import InputError
    from flashocc_ros.variants import get_variant
    from flashocc_ros.whole_file import make_folder

    make_folder(out)
    frames = Frames.of(base_frame, tf_prefix)
    sets, count = _open(source, calibration, cameras, frames, bit_depth, get_variant(variant).temporal)
    predictor = Predictor(variant, checkpoint, engine, precision, cache_dir=cache_dir)
    console = Console(stderr=True)
    console.print(predictor.description, highlight=False)
    timings: dict[str, list[float]] = {}
    done = 0
    columns = (TextColumn("predicting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=min(count, limit) if count and limit else (limit or count))
        for item in sets:
            result = predictor.predict(item)
            save(out / f"{result.stamp_ns}.npz", result)
            if png:
                _draw(out / f"{result.stamp_ns}.png", result, item, predictor)
            for stage, value_ms in result.timings.items():
                timings.setdefault(stage, []).append(value_ms)
            done += 1
            progress.advance(task)
            if done == limit:
                break
    if not done:
        raise InputError(f"{source} gave no result: none of its sets can be used; see the warnings above")
    stages = ", ".join(f"{stage} {np.median(values):.0f}" for stage, values in timings.items())
    typer.echo(f"{done} sets -> {out}; median ms: {stages}")


def save(path: Path, result: Occupancy) -> None:
    """Write a result as compressed npz, whole or not at all.

    Arrays: ``semantics`` (200, 200, 16) uint8; ``stamp_ns``; ``resolution_m``; ``origin_m`` (3,); with instances also
    ``instances`` (200, 200, 16) int32 and, one row per instance, ``instance_id``, ``instance_class``,
    ``instance_score``, ``instance_center_m`` (K, 3), ``instance_extent_m`` (K, 3), ``instance_voxels``.
    """
    import numpy as np

    from flashocc_ros.whole_file import whole_file

    arrays: dict[str, Any] = {
        "semantics": result.semantics,
        "stamp_ns": np.int64(result.stamp_ns),
        "resolution_m": np.float64(result.grid.resolution_m),
        "origin_m": np.array(result.grid.origin_m),
    }
    if result.instances is not None:
        centers = result.centers
        arrays |= {
            "instances": result.instances,
            "instance_id": np.array([c.id for c in centers], np.int32),
            "instance_class": np.array([c.class_id for c in centers], np.uint8),
            "instance_score": np.array([c.score for c in centers], np.float32),
            "instance_center_m": np.array([c.center_m for c in centers], np.float32).reshape(-1, 3),
            "instance_extent_m": np.array([c.extent_m for c in centers], np.float32).reshape(-1, 3),
            "instance_voxels": np.array([c.voxel_count for c in centers], np.int64),
        }
    with whole_file(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def _open(
    source: Path, calibration: Path | None, cameras: str, frames: Frames, bit_depth: int, needs_odometry: bool
) -> tuple[Iterable[Any], int | None]:
    """Sets and their number, None when only reading tells."""
    from flashocc_ros.bags.files import is_recording
    from flashocc_ros.data.frames import CALIBRATION_FILE
    from flashocc_ros.errors import BagError

    if not source.exists():
        raise BagError(f"{source} does not exist; give a folder with calibration.yaml and pictures, or a rosbag2")
    if source.is_dir() and ((source / CALIBRATION_FILE).is_file() or not is_recording(source)):
        from flashocc_ros.data.folder import ImageFolder

        folder = ImageFolder(source, calibration)
        return folder, len(folder)
    from flashocc_ros.bags import read_sets

    names = [name.strip() for name in cameras.split(",") if name.strip()]
    return read_sets(source, names or None, frames=frames, bit_depth=bit_depth, needs_odometry=needs_odometry), None


def _draw(path: Path, result: Occupancy, item: Any, predictor: Any) -> None:
    import numpy as np

    from flashocc_ros.structures import CameraRig
    from flashocc_ros.viz.render import Figure, render_figure
    from flashocc_ros.viz.video import write_png

    key_from_odom = np.linalg.inv(item.odom_from_base[0])
    seen_from = key_from_odom @ item.odom_from_base @ item.rig.base_from_camera
    figure = Figure(
        result.semantics,
        instances=result.instances,
        images=item.images,
        rig=CameraRig(item.rig.names, item.rig.intrinsics, seen_from),
        title=predictor.variant.name,
        note="" if predictor.trained else "untrained weights",
        details=(f"{result.stamp_ns / 1e9:.3f} s",),
        grid=result.grid,
    )
    write_png(path, render_figure(figure))
