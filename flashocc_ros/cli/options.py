"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

BaseFrame = Annotated[str, typer.Option(help="Of a recording: frame of the vehicle.")]
TfPrefix = Annotated[
    str, typer.Option(help="Of a recording: namespace of its transforms, e.g. robot1 where they are on /robot1/tf.")
]
