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

"""``flashocc init-rig``: the two files that describe a rig, from what there is of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashocc_ros.cli.options import (
    BaseFrame,
    FisheyeRays,
    Place,
    TfPrefix,
    comma_separated,
    counted,
    fisheye_of,
    place,
)

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Examples: flashocc init-rig drive_bag | flashocc init-rig calib_cam_to_cam.txt | "
    "flashocc init-rig pictures/"
)
def init_rig(
    source: Annotated[
        Place,
        typer.Argument(
            parser=place,
            help="A recording or its URL, a calibration file of KITTI, calibrated_sensor.json of nuScenes, or a folder "
            "of pictures, one folder for each camera.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; default: that of the pictures, else out/rig.")
    ] = None,
    cameras: Annotated[str, typer.Option(help="These cameras in this order, separated by commas.")] = "",
    base_frame: BaseFrame = "base_link",
    tf_prefix: TfPrefix = "",
    fisheye: FisheyeRays = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the files that are there.")] = False,
) -> None:
    """Write calibration.yaml and the node's camera parameters for a rig."""
    from dataclasses import replace

    from flashocc_ros.bags import Frames
    from flashocc_ros.data.frames import CALIBRATION_FILE
    from flashocc_ros.data.rig_files import PARAMETERS_FILE, calibration_yaml, parameters_yaml
    from flashocc_ros.data.rig_sources import read_rig
    from flashocc_ros.errors import ConfigError
    from flashocc_ros.whole_file import write_whole

    names = comma_separated(cameras)
    rig = replace(read_rig(source, names, Frames.of(base_frame, tf_prefix)), fisheye=fisheye_of(fisheye) or "rectify")
    folder = out or (source if "K" in rig.unknown and isinstance(source, Path) else Path("out/rig"))
    texts = {folder / CALIBRATION_FILE: calibration_yaml(rig), folder / PARAMETERS_FILE: parameters_yaml(rig)}
    if there := [str(path) for path in texts if path.exists() and not force]:
        raise ConfigError(f"{' and '.join(there)} exists; give --force to replace it, or another --out")
    for path, text in texts.items():
        write_whole(path, text)
    typer.echo(f"{counted(len(rig.cameras), 'camera')}: {' and '.join(map(str, texts))}")
    if rig.unknown:
        of_cameras = " and ".join(key for key in rig.unknown if key != "rate_hz")
        once = ", and rate_hz once" if "rate_hz" in rig.unknown else ""
        typer.echo(
            f"to fill in, for each camera: {of_cameras}{once} (remarks in {CALIBRATION_FILE} say how); then "
            f"flashocc doctor {folder}"
        )
