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

"""A tiny recording for tests: two cameras on a vehicle that drives straight ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import simplejpeg
from scipy.spatial.transform import Rotation

from flashocc_ros import bags

MS = 1_000_000
T0_NS = 1_700_000_000_000_000_000
NAMES = ("CAM_FRONT", "CAM_BACK")
YAWS_DEG = {
    "CAM_FRONT": 0,
    "CAM_FRONT_LEFT": 55,
    "CAM_LEFT": 90,
    "CAM_BACK_LEFT": 110,
    "CAM_BACK": 180,
    "CAM_BACK_RIGHT": -110,
    "CAM_FRONT_RIGHT": -55,
}
DELAYS_MS = {"CAM_FRONT": 0, "CAM_BACK": 30}


def optical(yaw_deg: float) -> tuple[float, ...]:
    """Quaternion (x, y, z, w) of a level camera: base from optical frame."""
    forward = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    return tuple((Rotation.from_euler("z", yaw_deg, degrees=True) * forward).as_quat())


def stamp(writer: bags.BagWriter, stamp_ns: int):
    return writer.message("builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)


def header(writer: bags.BagWriter, stamp_ns: int, frame: str):
    return writer.message("std_msgs/msg/Header", stamp=stamp(writer, stamp_ns), frame_id=frame)


def transform(writer: bags.BagWriter, stamp_ns: int, parent: str, child: str, translation, quaternion=(0, 0, 0, 1.0)):
    t = writer.message("geometry_msgs/msg/Vector3", x=translation[0], y=translation[1], z=translation[2])
    q = writer.message("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", map(float, quaternion), strict=True)))
    pose = writer.message("geometry_msgs/msg/Transform", translation=t, rotation=q)
    single = writer.message(
        "geometry_msgs/msg/TransformStamped",
        header=header(writer, stamp_ns, parent),
        child_frame_id=child,
        transform=pose,
    )
    return writer.message("tf2_msgs/msg/TFMessage", transforms=[single])


def camera_info(writer: bags.BagWriter, stamp_ns: int, frame: str, distortion=()):
    roi = writer.message(
        "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return writer.message(
        "sensor_msgs/msg/CameraInfo",
        header=header(writer, stamp_ns, frame),
        height=24,
        width=32,
        distortion_model="plumb_bob",
        d=np.array(distortion, np.float64),
        k=np.array([20.0, 0, 16, 0, 20, 12, 0, 0, 1]),
        r=np.eye(3).ravel(),
        p=np.zeros(12),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def write_drive(
    path: Path,
    *,
    storage="mcap",
    sets=6,
    period_ms=100,
    delays_ms=DELAYS_MS,
    tf_static=True,
    odometry=True,
    skip=(),
    info=True,
) -> Path:
    """A set every 100 ms, the second camera 30 ms after the first, the vehicle driving 1 m per set along x."""
    with bags.BagWriter(path, storage=storage) as writer:
        if tf_static:
            writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", bags.LATCHED)
        writer.add_topic("/tf", "tf2_msgs/msg/TFMessage")
        for name in delays_ms:
            writer.add_topic(f"/{name}/image/compressed", "sensor_msgs/msg/CompressedImage", bags.SENSOR_DATA)
            if info:
                writer.add_topic(f"/{name}/camera_info", "sensor_msgs/msg/CameraInfo", bags.SENSOR_DATA)
        for k, name in enumerate(delays_ms if tf_static else ()):
            mounted = transform(writer, T0_NS, "base_link", name, (1.0 + k, 0.0, 1.5), optical(YAWS_DEG[name]))
            writer.write("/tf_static", T0_NS, mounted)
        for index in range(-1, sets + 1):
            when = T0_NS + index * period_ms * MS
            if odometry:
                writer.write("/tf", when, transform(writer, when, "odom", "base_link", (float(index), 0.0, 0.0)))
            for k, name in enumerate(delays_ms if 0 <= index < sets else ()):
                if (index, k) in skip:
                    continue
                taken = when + round(delays_ms[name] * MS)
                pixels = np.full((24, 32, 3), (40 * index + 20 * k) % 256, np.uint8)
                image = writer.message(
                    "sensor_msgs/msg/CompressedImage",
                    header=header(writer, taken, name),
                    format="jpeg",
                    data=np.frombuffer(simplejpeg.encode_jpeg(pixels), np.uint8),
                )
                writer.write(f"/{name}/image/compressed", taken, image)
                if info:
                    writer.write(f"/{name}/camera_info", taken, camera_info(writer, taken, name))
    return path


def spoil_pictures(source: Path, target: Path) -> Path:
    """The recording ``source`` again with every picture cut in half."""
    with bags.BagReader(source) as reader, bags.BagWriter(target) as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            if topic.type == "sensor_msgs/msg/CompressedImage":
                message = reader.deserialize(cdr, topic.type)
                message.data = message.data[: len(message.data) // 2]
                cdr = bytes(writer.types.serialize_cdr(message, topic.type))
            writer.write(topic.name, stamp_ns, cdr)
    return target
