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

"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from flashocc_ros.engine_names import AUTO, ENGINES, PRECISIONS

if TYPE_CHECKING:
    from flashocc_ros.cameras.rectify import Fisheye
    from flashocc_ros.evaluation.mean_iou import Mask
    from flashocc_ros.remote import Location

    Place: TypeAlias = Location
else:
    Place = Path  # typer gives a parser to a single type only

MAX_SEEDS = 1_000_000
VARIANT_HELP = "Network of `flashocc variants`, or a variant file (.yaml)."

Completer = Callable[[str], list[str]]


def completing(*names: str) -> Completer:
    """What the shell offers for an option of these values."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def complete_variant(incomplete: str) -> list[str]:
    """Networks that begin so."""
    from flashocc_ros.variants import VARIANTS

    return completing(*VARIANTS)(incomplete)


complete_engine = completing(AUTO, *ENGINES)
complete_precision = completing(AUTO, *PRECISIONS)

BaseFrame = Annotated[str, typer.Option(help="Of a recording: frame of the vehicle.")]
TfPrefix = Annotated[
    str, typer.Option(help="Of a recording: namespace of its transforms, e.g. robot1 where they are on /robot1/tf.")
]
FisheyeRays = Annotated[
    str | None,
    typer.Option(
        "--fisheye",
        help="Wide lenses (equidistant, rational_polynomial): rays lifts each pixel along its own, rectify straightens "
        "pictures to pinholes, as shipped networks know them. Default: a folder's calibration.yaml, else rectify.",
        autocompletion=completing("rectify", "rays"),
    ),
]
Untrained = Annotated[
    bool, typer.Option("--untrained", help="Run a network without weights, e.g. to try a rig; what it says is noise.")
]
MaskName = Annotated[
    str,
    typer.Option(
        help="Voxels that count for mIoU: camera, lidar or none.",
        autocompletion=completing("camera", "lidar", "none"),
    ),
]
VariantByPlace = Annotated[str | None, typer.Argument(metavar="[VARIANT]", hidden=True)]
"""The variant without ``--variant``, as the first release had it."""


def place(text: str) -> Place:
    """The path or URL that somebody typed."""
    from flashocc_ros.remote import location

    return location(text)


def one_variant(option: str | None, by_place: str | None) -> str | None:
    """What ``--variant`` or the first argument says.

    Raises:
        ConfigError: both do, and differ.
    """
    from flashocc_ros.errors import ConfigError

    if option is not None and by_place is not None and option != by_place:
        raise ConfigError(f"two networks are named, {by_place} and --variant {option}; give one --variant")
    return option if option is not None else by_place


def check_trained(variant: str, checkpoint: str | Path | None, untrained: bool) -> None:
    """Refuse to pretend that a network without weights predicts anything.

    Raises:
        ConfigError: there are no weights, and nobody said ``--untrained``.
    """
    from flashocc_ros.engine.select import trained_on
    from flashocc_ros.errors import ConfigError

    if not untrained and trained_on(variant, checkpoint) is None:
        raise ConfigError(
            f"{variant} has no weights, so its prediction means nothing; give --checkpoint "
            "(`flashocc variants` tells where the authors' are), or --untrained to run it all the same"
        )


def fisheye_of(given: str | None) -> Fisheye | None:
    """What ``--fisheye`` says, None where it was not given.

    Raises:
        ConfigError: it is neither rays nor rectify.
    """
    from flashocc_ros.cameras.rectify import check_fisheye

    return None if given is None else check_fisheye(given)


def mask_of(given: str) -> Mask | None:
    """What ``--mask`` says, None for every voxel.

    Raises:
        ConfigError: it is neither camera, lidar nor none.
    """
    from flashocc_ros.errors import ConfigError

    if given == "camera":
        return "camera"
    if given == "lidar":
        return "lidar"
    if given != "none":
        raise ConfigError(f"--mask {given} must be camera, lidar or none")
    return None


def comma_separated(text: str) -> tuple[str, ...]:
    """The names in ``a, b,c``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def counted(number: int, noun: str) -> str:
    """``1 set``, ``2 sets``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seed_range(text: str) -> tuple[int, ...]:
    """Drives of the synthetic world: ``7`` or ``FIRST:STOP``.

    Raises:
        ConfigError: it is neither, or names no drive.
    """
    from flashocc_ros.errors import ConfigError

    first, _, stop = text.partition(":")
    try:
        seeds = range(int(first), int(stop) if stop else int(first) + 1)
    except ValueError as error:
        raise ConfigError(f"--seeds {text} must be a number or FIRST:STOP, e.g. 1000:1010") from error
    if not seeds or seeds.start < 0 or len(seeds) > MAX_SEEDS:
        raise ConfigError(f"--seeds {text:.40} must hold 1 to {MAX_SEEDS} seeds from 0 on, e.g. 1000:1010")
    return tuple(seeds)
