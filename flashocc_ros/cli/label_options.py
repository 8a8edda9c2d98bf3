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

"""What `flashocc label` and `flashocc fleet label` are told alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli.options import completing

Lidar = Annotated[list[str] | None, typer.Option(help="Topic of points; may be repeated. Default: the only one.")]
Boxes = Annotated[str, typer.Option(help="Topic of Detection3DArray or PanopticInstanceArray with ids, or a CSV file.")]
PointClass = Annotated[str, typer.Option(help="Field of the points with their class; default: none.")]
ClassMap = Annotated[
    Path | None, typer.Option(help="YAML file: names or numbers of your classes to names of the class table.")
]
Classes = Annotated[str, typer.Option(help="Variant file (.yaml) whose classes the labels get; default: Occ3D's.")]
Convention = Annotated[
    str,
    typer.Option(
        help="touch: what a surface reaches into is occupied, as in Occ3D; solid: what has its middle inside.",
        autocompletion=completing("touch", "solid"),
    ),
]
KeyRate = Annotated[float, typer.Option(min=0.05, max=30.0, help="Labels per second.")]
Window = Annotated[float, typer.Option(min=0.1, max=30.0, help="Seconds of sweeps before and after.")]
Grid = Annotated[
    str,
    typer.Option(
        help="Lower corner, upper corner and voxel in metres: -40,-40,-1,40,40,5.4,0.4 is Occ3D's; or a variant "
        "file (.yaml), whose grid it is."
    ),
]
OwnBox = Annotated[
    str,
    typer.Option(help="The vehicle itself in the base frame, two corners in metres: -1.3,-1.1,-0.2,3.9,1.1,1.7."),
]
Unknown = Annotated[
    str, typer.Option(help="Class of what is above ground and nothing tells; default: manmade, or what is made of it.")
]
UnknownGround = Annotated[str, typer.Option(help="Class of such ground; default: driveable_surface, likewise.")]
Cameras = Annotated[str, typer.Option(help="These cameras in this order, separated by commas, or none.")]
Pictures = Annotated[bool, typer.Option(help="Keep the pictures beside the labels.")]
