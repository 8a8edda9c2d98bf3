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

"""``flashocc train``: train any variant on labelled drives, recordings, nuScenes or the synthetic world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Two minutes: flashocc train config/quickstart.yaml. "
    "On labels of your drives: flashocc train config/own_rig.yaml --out runs/van data.folders=[labels]. "
    "Example: flashocc train config/train_synthetic.yaml --out runs/tiny optimizer.lr=1e-3. "
    "Several processes: torchrun --nproc-per-node 2 -m flashocc_ros.cli train config/train_synthetic.yaml"
)
def train(
    config: Annotated[Path, typer.Argument(help="YAML file, see config/quickstart.yaml and config/train_*.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Settings that replace those of the file.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, log.jsonl and TensorBoard files.")] = Path(
        "runs/train"
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from OUT/last.pt to exactly the same losses.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0, ...")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of this process; 0 leaves it to torch.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train a variant; averaged weights end up in OUT/weights.safetensors, the best ones in OUT/best.safetensors."""
    from flashocc_ros.errors import ConfigError
    from flashocc_ros.training.config import load_config

    settings = load_config(config, overrides or [])
    from flashocc_ros.training.checkpoint import BEST, LAST, WEIGHTS

    for name, remedy in ((LAST, "continue it with --resume or"), (WEIGHTS, "move it or"), (BEST, "move it or")):
        if not resume and (out / name).exists():
            raise ConfigError(f"{out} already holds a run ({name}); {remedy} choose another --out")
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from flashocc_ros.training.loop import train as run
    from flashocc_ros.training.processes import emulates_bf16, worker_group
    from flashocc_ros.training.sources import open_sources
    from flashocc_ros.training.validation import best_score

    if threads:
        torch.set_num_threads(threads)
    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("preparing frames", total=None, visible=False)
        source, validation = open_sources(
            settings, lambda done, total: bar.update(task, completed=done, total=total, visible=True)
        )
    with worker_group(device) as worker:
        if worker.is_main and settings.precision == "bf16" and emulates_bf16(worker.device):
            typer.echo("this CPU emulates bf16, which takes several times as long as precision=fp32", err=True)
        run(settings, source, out, worker, resume=resume, quiet=quiet, validation=validation)
    if worker.is_main:
        if settings.held_out is not None:
            from flashocc_ros.cli.learned import show_learned

            show_learned(settings, settings.held_out, out, quiet)
        typer.echo(f"weights: {out / WEIGHTS}")
        if validation is not None:
            typer.echo(f"best on the drives kept apart: {out / BEST}, mIoU {best_score(out / BEST):.3f}")
