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

"""``flashocc doctor``: is the installation sound, and what is this file?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli import doctor_environment, doctor_files
from flashocc_ros.cli.doctor_findings import Finding
from flashocc_ros.cli.options import BaseFrame, FisheyeRays, Place, TfPrefix, fisheye_of, place
from flashocc_ros.errors import ConfigError, InputError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

EPILOG = (
    "Examples: flashocc doctor | flashocc doctor weights.pth | flashocc doctor drive/ --picture rig.png | "
    "flashocc doctor export/ | flashocc doctor --gpu"
)


@app.command(epilog=EPILOG)
def doctor(
    target: Annotated[
        Place | None,
        typer.Argument(
            parser=place, help="A checkpoint, a recording or its URL, pictures or an export; without it, this machine."
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="PNG of the rig of a recording or a folder; default: out/doctor/<its name>.png."),
    ] = None,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Check every result and speed on this machine's GPU; takes up to 8 minutes.")
    ] = False,
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    fisheye: FisheyeRays = None,
) -> None:
    """Check the installation, a checkpoint, a recording and its rig, or an export."""
    if gpu:
        _check_gpu(target)
        return
    if target is None:
        findings = doctor_environment.check()
    elif not target.exists():
        raise InputError(f"there is nothing at {target}; give a checkpoint, a recording or the folder of an export")
    else:
        findings = doctor_files.check(target, picture, base_frame, tf_prefix, fisheye_of(fisheye))
    _show(findings)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def _check_gpu(target: Place | None) -> None:
    if target is not None:
        raise ConfigError(f"--gpu looks at this machine, not at {target}; leave one of them out")
    from flashocc_ros.checks.gpu.check import check

    if not check(Path("out/gpu")):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        mark = {"ok": "ok     ", "info": "       ", "warn": "warning", "error": "ERROR  "}[finding.level]
        typer.echo(f"{mark} {finding.topic:<{width}}  {finding.text}")
