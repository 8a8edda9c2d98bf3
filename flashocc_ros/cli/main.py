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

"""Entry point of ``flashocc``: commands are imported only when they are called, so that ``--help`` stays instant."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from flashocc_ros.errors import FlashOccError, did_you_mean
from flashocc_ros.version import __version__
from flashocc_ros.whole_file import DISK_ERRORS

# command -> one line for the overview; each lives in a module of the same name that defines `app`.
COMMANDS = {
    "variants": "List every network with size, cost and published accuracy.",
    "demo": "Replay a drive through the node and show what came out.",
    "replay": "Play a rosbag2 into DDS.",
    "init-rig": "Write calibration.yaml and the node's camera parameters for a rig.",
    "predict": "Predict occupancy for a folder of images or a bag, without ROS.",
    "label": "Label recordings with lidar: occupancy, masks, quality.",
    "fleet": "Predict, label and evaluate many recordings on processes or a Ray cluster.",
    "synth": "Write a synthetic drive with exact ground truth as a rosbag2.",
    "export": "Export a variant to ONNX.",
    "build": "Fill the engine cache ahead of time.",
    "bench": "Measure speed on this machine.",
    "parity": "Compare a variant or an export with its reference, stage by stage.",
    "train": "Train a variant.",
    "eval": "Measure mIoU, RayIoU and RayPQ.",
    "render": "Draw pictures and videos from a result bag.",
    "view": "Look at results in a browser, recorded or live.",
    "doctor": "Check the installation, a checkpoint, a recording and its rig, or an export.",
}


class LazyGroup(TyperGroup):
    """Resolves a command by importing its module on demand."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"flashocc_ros.cli.{cmd_name.replace('-', '_')}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], COMMANDS) or "; see flashocc --help"
            ctx.fail(f"no such command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """Dense 3D occupancy from surround cameras."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@contextmanager
def _engine_log_shown() -> Iterator[None]:
    """Which engine was chosen and why, and what is built, on stderr: building takes minutes and is never silent."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("flashocc_ros.engine")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


def main() -> None:
    """Run the command line; errors of this package become one line and exit code 1."""
    try:
        with _engine_log_shown():
            app(prog_name="flashocc")
    except FlashOccError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno in DISK_ERRORS:
            where = f"write {error.filename}" if error.filename else "write"
            remedy = "free some space or choose another place"
        elif error.filename:
            where, remedy = f"use {error.filename!s:.200}", "check the path and its permissions"
        else:
            raise
        typer.echo(f"error: cannot {where} ({error.strerror}); {remedy}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
