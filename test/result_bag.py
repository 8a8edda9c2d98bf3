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

"""A tiny result recording for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from drive_bag import MS, T0_NS, header

from flashocc_ros import bags
from flashocc_ros.bags.reader import BagReader
from flashocc_ros.demo.session import copy_inputs


def add_results(source: Path, target: Path, truth: bool) -> Path:
    """A result recording: the inputs of ``source`` and an occupancy (and truth) for each of its sets."""
    labels = np.full((200, 200, 16), 17, np.uint8)
    labels[:, :, 2] = 11
    with BagReader(source) as reader, bags.BagWriter(target, compress=True) as writer:
        writer.add_topic("/occupancy", "flashocc_ros/msg/Occupancy3D")
        writer.add_topic("/truth", "flashocc_ros/msg/OccupancyTruth")
        for index in range(3):
            stamp_ns = T0_NS + index * 100 * MS
            occupancy = writer.message(
                "flashocc_ros/msg/Occupancy3D",
                header=header(writer, stamp_ns, "base_link"),
                resolution=0.4,
                origin=writer.message("geometry_msgs/msg/Point", x=-40.0, y=-40.0, z=-1.0),
                size_x=200,
                size_y=200,
                size_z=16,
                labels=labels.ravel(),
                instances=np.array([], np.uint16),
                class_table="occ3d-nuscenes",
                class_table_version=1,
                masked_cameras=[],
            )
            writer.write("/occupancy", stamp_ns, occupancy)
            if truth and index != 1:
                mask = np.ones(labels.size, np.uint8)
                origin = writer.message("geometry_msgs/msg/Point", x=0.9, y=0.0, z=1.8)
                message = writer.message(
                    "flashocc_ros/msg/OccupancyTruth",
                    occupancy=occupancy,
                    mask_camera=mask,
                    mask_lidar=mask,
                    lidar_origin=origin,
                )
                writer.write("/truth", stamp_ns, message)
        copy_inputs(reader, writer)
    return target
