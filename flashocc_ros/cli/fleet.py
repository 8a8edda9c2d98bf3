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

"""``flashocc fleet``: many recordings on the processes of one machine or a Ray cluster."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flashocc_ros.cli.label_options import (
    Boxes,
    Cameras,
    Classes,
    ClassMap,
    Convention,
    Grid,
    KeyRate,
    Lidar,
    OwnBox,
    Pictures,
    PointClass,
    Unknown,
    UnknownGround,
    Window,
)
from flashocc_ros.cli.options import (
    BaseFrame,
    FisheyeRays,
    MaskName,
    TfPrefix,
    Untrained,
    check_trained,
    comma_separated,
    complete_engine,
    complete_precision,
    complete_variant,
    counted,
    fisheye_of,
    mask_of,
)
from flashocc_ros.engine_names import ENGINE_HELP, PRECISION_HELP

if TYPE_CHECKING:
    from flashocc_ros.fleet.ledger import State
    from flashocc_ros.fleet.run import Summary
    from flashocc_ros.fleet.work import Work

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

QUARANTINED_CODE = 3
"""Exit code where all went well but for recordings that cannot be used."""

Recordings = Annotated[list[str], typer.Argument(help="Recordings, or patterns of them in quotes: 'drives/**/*.mcap'.")]
Out = Annotated[Path, typer.Option(help="Folder for the results; on a cluster one that all machines share.")]
Executor = Annotated[str, typer.Option(help="local: processes of this machine; ray: a Ray cluster.")]
Address = Annotated[
    str | None, typer.Option(help="Of the Ray cluster: auto or HOST:PORT; default: a Ray of this machine alone.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, max=10_000, help="Default: one per core, or what Ray has room for.")
]
Threads = Annotated[int, typer.Option(min=1, max=256, help="Of each worker on CPU.")]
Gpus = Annotated[float, typer.Option("--gpus-per-worker", min=0.0, max=8.0, help="Share of a GPU that each takes.")]
MemoryGb = Annotated[float, typer.Option(min=0.0, help="Most that a worker may hold; 0 is no limit.")]
Retries = Annotated[int, typer.Option(min=0, max=100, help="Of a recording that failed or whose worker died.")]
Resume = Annotated[bool, typer.Option("--resume", help="Do what is missing, changed or failed, and nothing else.")]
Shard = Annotated[str, typer.Option(help="Only part I of N, as I/N; for Slurm and the like.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]


@app.callback()
def fleet() -> None:
    """Predict, label and evaluate many recordings; nothing is lost when workers or this command are killed."""


@app.command(
    epilog="Example: flashocc fleet predict 'drives/**/*.mcap' --variant flashocc-r50-M0 --checkpoint M0.pth "
    "--out results. Exit codes: 0 all done, 3 some recordings are quarantined, 1 anything else."
)
def predict(
    recordings: Recordings,
    variant: Annotated[
        str, typer.Option(help="Network, see `flashocc variants`.", autocompletion=complete_variant)
    ] = "flashocc-r50-M0",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights (.pth or .safetensors), or the folder of an export.")
    ] = None,
    engine: Annotated[str, typer.Option(help=ENGINE_HELP, autocompletion=complete_engine)] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISION_HELP, autocompletion=complete_precision)] = "auto",
    out: Out = Path("out/fleet"),
    executor: Executor = "local",
    address: Address = None,
    workers: Workers = None,
    threads: Threads = 1,
    gpus_per_worker: Gpus = 0.0,
    memory_gb: MemoryGb = 8.0,
    retries: Retries = 2,
    resume: Resume = False,
    shard: Shard = "1/1",
    cameras: Annotated[str, typer.Option(help="These cameras in this order, separated by commas.")] = "",
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    bit_depth: Annotated[int, typer.Option(help="Bits that the sensor uses of 16 bit images, 8 to 16; 0 is all.")] = 0,
    fisheye: FisheyeRays = None,
    chunk_s: Annotated[
        float,
        typer.Option(
            help="Compute recordings in chunks of that many seconds: idle workers help with them, one whose worker "
            "dies goes on with those that are there, and results are the same; 0 for none."
        ),
    ] = 0.0,
    untrained: Untrained = False,
    cache_dir: Annotated[Path | None, typer.Option(help="Where built engines are kept.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Predict recordings into result recordings."""
    from flashocc_ros.bags import Frames
    from flashocc_ros.fleet.chunks import check_chunk_s
    from flashocc_ros.fleet.predict import PredictWork

    check_trained(variant, checkpoint, untrained)
    names = comma_separated(cameras)
    work = PredictWork(
        variant,
        str(checkpoint.absolute()) if checkpoint else None,  # workers may have another working folder
        engine,
        precision,
        str(cache_dir.absolute()) if cache_dir else None,
        names or None,
        Frames.of(base_frame, tf_prefix),
        bit_depth,
        threads,
        fisheye_of(fisheye) or "rectify",
        check_chunk_s(chunk_s),
    )
    summary = _run(
        recordings, work, out, executor, address, workers, threads, gpus_per_worker, memory_gb, retries, resume, shard,
        quiet,
    )  # fmt: skip
    _conclude(summary, out, as_json)


@app.command(
    epilog="Example: flashocc fleet label 'drives/**/*.mcap' --out labels --lidar /lidar/points --boxes /detections"
)
def label(
    recordings: Recordings,
    out: Out = Path("labels"),
    lidar: Lidar = None,
    boxes: Boxes = "",
    point_class: PointClass = "",
    class_map: ClassMap = None,
    convention: Convention = "touch",
    key_rate: KeyRate = 2.0,
    window: Window = 5.0,
    grid: Grid = "",
    classes: Classes = "",
    own_box: OwnBox = "",
    unknown: Unknown = "",
    unknown_ground: UnknownGround = "",
    cameras: Cameras = "",
    fisheye: FisheyeRays = None,
    pictures: Pictures = True,
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    executor: Executor = "local",
    address: Address = None,
    workers: Workers = None,
    threads: Threads = 1,
    memory_gb: MemoryGb = 8.0,
    retries: Retries = 2,
    resume: Resume = False,
    shard: Shard = "1/1",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Label recordings with lidar; a folder of key frames each."""
    from flashocc_ros.bags import Frames
    from flashocc_ros.cli.label import camera_names
    from flashocc_ros.fleet.label import LabelWork
    from flashocc_ros.labelling.options import class_numbers, make_settings
    from flashocc_ros.labelling.sources import Sources

    settings = make_settings(convention, key_rate, window, grid, classes, own_box, unknown, unknown_ground)
    sources = Sources(
        tuple(lidar or ()), boxes, point_class, camera_names(cameras), Frames.of(base_frame, tf_prefix),
        class_numbers(class_map, settings.classes), fisheye_of(fisheye) or "rectify",
    )  # fmt: skip
    summary = _run(
        recordings, LabelWork(sources, settings, pictures), out, executor, address, workers, threads, 0.0, memory_gb,
        retries, resume, shard, quiet,
    )  # fmt: skip
    _conclude(summary, out, as_json)


@app.command(
    name="eval",
    epilog="Example: flashocc fleet eval results/manifest.parquet --out report.json. Recordings must hold ground "
    "truth, as those of `flashocc synth` do.",
)
def evaluate(
    manifest: Annotated[Path, typer.Argument(help="The manifest.parquet of `flashocc fleet predict`, or its folder.")],
    out: Annotated[Path, typer.Option(help="JSON file; pictures of the worst frames go to a folder beside it.")] = Path(
        "report.json"
    ),
    mask: MaskName = "camera",
    worst: Annotated[int, typer.Option(min=0, max=1000, help="Frames to draw.")] = 20,
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure results against the truth in their recordings."""
    from flashocc_ros.evaluation.run import format_tables
    from flashocc_ros.fleet.evaluate import evaluate_fleet
    from flashocc_ros.progress import Progress
    from flashocc_ros.whole_file import check_writable, write_whole

    counting = mask_of(mask)
    check_writable(out)
    pictures = out.with_name(f"{out.stem}_worst")
    with Progress(quiet) as progress:
        progress.begin("evaluating")
        report = evaluate_fleet(
            manifest,
            pictures,
            counting,
            workers or len(os.sched_getaffinity(0)),
            worst,
            progress,
        )
    write_whole(out, json.dumps(report, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(report))
        return
    typer.echo(format_tables(report["all"]))
    for name, reason in report["left_out"].items():
        typer.echo(f"  left out {name}: {reason}")
    measured, rigs = len(report["recordings"]), len(report["rigs"])
    worst_of = f"; worst frames in {pictures}" if report["worst"] else ""
    typer.echo(f"{counted(measured, 'recording')} of {counted(rigs, 'rig')} -> {out}{worst_of}")


@app.command(epilog="Example: flashocc fleet status results")
def status(
    out: Annotated[Path, typer.Argument(help="The folder of the results.")],
    as_json: AsJson = False,
) -> None:
    """Where a fleet is: what is done, running, failed and why."""
    from flashocc_ros.fleet.status import read_status

    found = read_status(out)
    typer.echo(json.dumps(asdict(found)) if as_json else "\n".join(found.lines()))


def _run(
    patterns: list[str], work: Work, out: Path, executor: str, address: str | None, workers: int | None, threads: int,
    gpus: float, memory_gb: float, retries: int, resume: bool, shard: str, quiet: bool,
) -> Summary:  # fmt: skip
    """Refuse what cannot be done before anything is written or started, then do the rest."""
    from flashocc_ros.errors import ConfigError
    from flashocc_ros.fleet import manifest
    from flashocc_ros.fleet import run as driver
    from flashocc_ros.fleet.ledger import Ledger
    from flashocc_ros.fleet.progress import FleetProgress
    from flashocc_ros.fleet.recordings import find_recordings
    from flashocc_ros.fleet.recordings import shard as part
    from flashocc_ros.fleet.todo import check_settings, choose
    from flashocc_ros.fleet.worker import Task
    from flashocc_ros.replay.interrupts import signals_interrupt

    if executor not in ("local", "ray"):
        raise ConfigError(f"--executor is {executor!r}; choose local or ray")
    if address is not None and executor == "local":
        raise ConfigError("--address is of a Ray cluster; add --executor ray")
    manifest.check_installed()
    found = part(find_recordings(patterns, out.absolute()), shard)
    ledger, settings = Ledger(out), work.settings
    check_settings(ledger, settings)
    todo, settled = choose(found, ledger, out, resume)
    if not todo:
        manifest.write_manifest(ledger, out)
        return _with(driver.Summary(), settled)
    limit_bytes = int(memory_gb * 1e9)
    task = Task(work, out.absolute(), limit_bytes)
    with _workers_log(quiet), signals_interrupt(), _seats(task, executor, address, workers, threads, gpus) as seats:
        sizes = {recording.name: recording.bytes for recording in todo}
        with FleetProgress(sizes, quiet) as progress:
            summary = driver.run(
                todo, seats, ledger, out, settings, retries=retries, progress=progress,
                memory_limit_bytes=limit_bytes, shared=work.shared,
            )  # fmt: skip
    return _with(summary, settled)


def _with(summary: Summary, settled: list[State]) -> Summary:
    for state in settled:
        summary.count_before(state)
    return summary


@contextmanager
def _seats(
    task: Any, executor: str, address: str | None, workers: int | None, threads: int, gpus: float
) -> Iterator[Any]:
    if executor == "ray":
        from flashocc_ros.fleet.ray_seats import ray_cluster, ray_seats

        with ray_cluster(address, workers, threads, gpus) as fitting:
            yield ray_seats(task, fitting, threads, gpus)
    else:
        from flashocc_ros.fleet.seats import local_seats

        cores = len(os.sched_getaffinity(0))
        yield local_seats(task, workers or max(1, cores // threads), threads, gpus)


@contextmanager
def _workers_log(quiet: bool) -> Iterator[None]:
    """What workers run, on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("flashocc_ros.fleet.run")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _conclude(summary: Summary, out: Path, as_json: bool) -> None:
    from flashocc_ros.errors import OutputError
    from flashocc_ros.fleet.manifest import NAME

    if as_json:
        typer.echo(json.dumps(asdict(summary)))
    else:
        parts = [f"{summary.done} done", f"{summary.quarantined} quarantined", f"{summary.failed} failed"]
        parts += [f"{summary.before} there before"] if summary.before else []
        parts += [f"{summary.left} left"] if summary.left else []
        deaths = f"; {counted(summary.deaths, 'worker')} died on the way" if summary.deaths else ""
        typer.echo(f"{', '.join(parts)}; {counted(summary.frames, 'result')} -> {out}; see {out / NAME}{deaths}")
        for name, reason in sorted(summary.reasons.items()):
            typer.echo(f"  {name}: {reason}")
    if summary.problem:
        raise OutputError(f"{summary.problem}; then go on with --resume")
    if summary.failed or summary.left:
        raise typer.Exit(1)
    if summary.quarantined:
        raise typer.Exit(QUARANTINED_CODE)
