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

"""Parameters of the node for the cameras of a given recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flashocc_ros.bags import BagReader, Frames, cameras_at, colour_cameras
from flashocc_ros.bags.camera_sets import odom_frame
from flashocc_ros.cameras.decode import is_rectified_topic
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.cameras.transports import MESSAGE_TYPES
from flashocc_ros.data.recorded_frames import truth_stamps
from flashocc_ros.errors import BagError

REPORT_PERIOD_S = 0.25


@dataclass(frozen=True)
class Network:
    """What the node is to run, and how its pictures come to it; empty strings leave the choice to the node."""

    variant: str
    checkpoint: str = ""
    engine: str = "auto"
    precision: str = "fp32"
    fisheye: Fisheye = "rectify"


def node_parameters(
    bag: BagReader,
    network: Network,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    *,
    lockstep: bool = False,
) -> dict[str, Any]:
    """ROS parameters of ``flashocc_node`` that fit the cameras, topics and frames of ``bag``.

    Args:
        frames: how the recording names its frames.
        lockstep: the recording is replayed in lockstep, which offers every topic reliably.

    Raises:
        BagError: the recording holds no camera, or cameras of several message types.
    """
    cameras = colour_cameras(bag, frames.tf_prefix)
    if not cameras:
        raise BagError(f"{bag.path} holds no camera: an image topic and a camera_info in one namespace")
    if stamps := truth_stamps(bag.path):  # results are to have the stamps of what they are compared with
        order = cameras_at(bag.path, stamps, frames=frames) or list(cameras)
        cameras = {name: cameras[name] for name in order}
    kinds = {bag.topics[pair.image].type for pair in cameras.values()}
    if len(kinds) > 1:
        raise BagError(f"{bag.path} holds cameras of {' and '.join(sorted(kinds))}; the node takes one kind at a time")
    names = [name.replace("/", "_") for name in cameras]
    rig: dict[str, Any] = {
        "names": names,
        "transport": next(name for name, kind in MESSAGE_TYPES.items() if kind in kinds),
        # Nothing may be lost where the publishers allow it: one lost image costs a set.
        "reliability": "reliable"
        if lockstep or all(bag.topics[pair.image].qos.reliability.name != "BEST_EFFORT" for pair in cameras.values())
        else "best_effort",
        "fisheye": network.fisheye,
        "rectified": all(is_rectified_topic(pair.image) for pair in cameras.values()),
    }
    for name, pair in zip(names, cameras.values(), strict=True):
        rig[name] = {"image_topic": pair.image, "info_topic": pair.info}
    return {
        "variant": network.variant,
        "checkpoint": network.checkpoint and str(Path(network.checkpoint).resolve()),
        "engine": network.engine,
        "precision": network.precision,
        "base_frame": frames.base,
        "odom_frame": odom_frame(bag, frames),
        "cameras": rig,
        "outputs": {"depth": 20},
        "diagnostics": {"period_s": REPORT_PERIOD_S},
    }


def write_parameters(path: Path, parameters: dict[str, Any]) -> None:
    """Write a parameter file that ``--params-file`` takes."""
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}, sort_keys=False))
