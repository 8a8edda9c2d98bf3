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

"""What `flashocc predict` read, and a note of it beside its files, so that they can be shown with their pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from flashocc_ros.bags import Frames, read_sets
from flashocc_ros.bags.files import is_recording
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.data.folder import ImageFolder
from flashocc_ros.data.frames import CALIBRATION_FILE
from flashocc_ros.errors import BagError, InputError
from flashocc_ros.plain_json import parse
from flashocc_ros.regular_file import regular_size
from flashocc_ros.remote import Location, location, only_local, output_file

FILE = "predict.json"
MAX_BYTES = 1 << 16


def _place(value: object) -> object:
    return location(value) if isinstance(value, str) else value


class Predicted(BaseModel):
    """Where camera sets come from and how they are read.

    Attributes:
        source: a recording, or a folder with pictures and ``calibration.yaml``.
        calibration: another calibration file of a folder.
        cameras: these of a recording, in this order; empty for all.
        base_frame, tf_prefix, bit_depth: of a recording.
        fisheye: what becomes of wide lenses; None leaves it to the calibration file.
        variant, runs_on, note: what predicted, and the warning that belongs to it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    source: Annotated[Location, BeforeValidator(_place), PlainSerializer(str)]
    calibration: Path | None = None
    cameras: tuple[str, ...] = ()
    base_frame: str = "base_link"
    tf_prefix: str = ""
    bit_depth: int = 0
    fisheye: Fisheye | None = None
    variant: str = ""
    runs_on: str = ""
    note: str = ""

    def sets(self, needs_odometry: bool = False) -> tuple[Iterable[CameraSet], int | None]:
        """Sets and their number, None when only reading tells.

        Raises:
            BagError, ConfigError, InputError: nothing can be read.
        """
        source = self.source
        if not source.exists():
            raise BagError(f"{source} does not exist; give a folder with calibration.yaml and pictures, or a rosbag2")
        if source.is_dir() and ((source / CALIBRATION_FILE).is_file() or not is_recording(source)):
            folder = ImageFolder(only_local(source, "a folder of pictures"), self.calibration, self.fisheye)
            return folder, len(folder)
        sets = read_sets(
            source,
            self.cameras or None,
            frames=Frames.of(self.base_frame, self.tf_prefix),
            bit_depth=self.bit_depth,
            needs_odometry=needs_odometry,
            fisheye=self.fisheye or "rectify",
        )
        return sets, None

    def write(self, folder: Location) -> None:
        """Note it in ``folder``, without the credentials of a URL.

        Raises:
            OutputError, RemoteError: it cannot be written.
        """
        source = self.source.resolve() if isinstance(self.source, Path) else self.source
        calibration = None if self.calibration is None else self.calibration.resolve()
        text = self.model_copy(update={"source": source, "calibration": calibration}).model_dump_json(indent=1)
        with output_file(folder / FILE) as path:
            path.write_text(text + "\n")


def read_predicted(folder: Path) -> Predicted | None:
    """The note in ``folder``; None where there is none.

    Raises:
        InputError: it is damaged.
    """
    path = folder / FILE
    try:
        if regular_size(path) > MAX_BYTES:
            raise ValueError(f"it is longer than {MAX_BYTES} bytes")
        return Predicted.model_validate(parse(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # that of pydantic is one
        why = " ".join(str(error).split())
        raise InputError(f"{path} is no note of `flashocc predict`: {why}; remove it to go without pictures") from error
