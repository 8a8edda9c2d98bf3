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

"""Faults of what is in the messages: pictures, calibrations and transforms that cannot be, and damaged bytes.

Each changes one trigger; its first line is what the report calls it.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message
from tf2_msgs.msg import TFMessage

from benchmarks.soak.messages import Shot, image, info, mounting, odometry, transform
from benchmarks.soak.scene import PICTURES, Scene, scaled
from flashocc_ros.ros.stamps import NS_PER_S

NAN, INF = float("nan"), float("inf")
LONG_NAME = "x" * 10_000
LAST_NS = (2**31 - 1) * NS_PER_S
"""The last second that a stamp can say."""


# -------------------------------------------------------------------- pictures that are none
def _damaged(shot: Shot, data: bytes, image_format: str = "jpeg") -> None:
    broken = image(shot.camera, shot.stamp_of(shot.camera), data, image_format)
    shot.images[shot.camera] = [(shot.due_s(shot.camera), broken)]
    shot.expected = []


def pictures_damaged(shot: Shot) -> None:
    """a camera's files are cut, empty, zeros or noise"""
    whole = shot.jpeg(shot.camera)
    broken = (
        whole[: len(whole) // 2],
        b"",
        bytes(len(whole)),
        b"\xff\xd8" + shot.random.randbytes(5000),
        whole[: shot.random.randrange(2, 600)],
        b"hello" * 1000,
    )
    _damaged(shot, broken[shot.index % len(broken)])


def pictures_huge(shot: Shot) -> None:
    """a camera's headers promise up to 4 billion pixels: decompression bombs"""
    whole = shot.jpeg(shot.camera)
    bombs = (
        (_jpeg_of_size(whole, 21120, 11880), "jpeg"),
        (_png_of_size(30000, 16875), "png"),
        (_jpeg_of_size(whole, 65500, 65500), "jpeg"),
        (_png_of_size(2**31 - 1, 2**31 - 1), "png"),
        (_jpeg_of_size(whole, 0, 0), "jpeg"),
        (_jpeg_of_size(whole, 1, 1), "jpeg"),
    )
    _damaged(shot, *bombs[shot.index % len(bombs)])


def pictures_halved(shot: Shot) -> None:
    """a camera's pictures come at half the size of its CameraInfo"""
    data = shot.pictures.halved(shot.picture, shot.camera)
    shot.images[shot.camera] = [(shot.due_s(shot.camera), image(shot.camera, shot.stamp_of(shot.camera), data))]
    shot.expected = [Scene(shot.picture, halved=(shot.camera,))]


def pictures_squared(shot: Shot) -> None:
    """a camera's pictures have another shape than its CameraInfo"""
    _damaged(shot, scaled(shot.jpeg(shot.camera), (704, 704)))


def _jpeg_of_size(whole: bytes, width: int, height: int) -> bytes:
    changed, at = bytearray(whole), 2
    while changed[at + 1] not in (0xC0, 0xC1, 0xC2):  # start of frame: length, precision, height, width
        at += 2 + struct.unpack(">H", changed[at + 2 : at + 4])[0]
    changed[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(changed)


def _png_of_size(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(bytes(1000))
    parts = [struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in (head, body, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# -------------------------------------------------------------------- calibrations that are none
def _calibrated(shot: Shot, **changes: Any) -> None:
    due_s = shot.due_s(shot.camera) - 0.01
    shot.infos[shot.camera] = [(due_s, info(shot.camera, shot.stamp_of(shot.camera), **changes))]


def k_unusable(shot: Shot) -> None:
    """K is NaN, zero, skewed, of other last row, 1e308"""
    broken = (
        [NAN] * 9,
        [0.0] * 9,
        [500.0, 1e9, 3.0, 1e9, 500.0, 3.0, 7.0, 8.0, 0.0],
        [500.0, 0, 352.0, 0.0, 500.0, 198.0, 0.0, 0.0, 0.0],
        [1e308, 0.0, 1e308, 0.0, 1e308, 1e308, 0.0, 0.0, 1.0],
        [500.0, 400.0, 352.0, 0.0, 500.0, 198.0, 0.0, 0.0, 1.0],
    )
    _calibrated(shot, k=list(map(float, broken[shot.index % len(broken)])))


def info_size_wrong(shot: Shot) -> None:
    """CameraInfo names 0x0, 40000x22500 or 2^32 pixels, or a region far outside"""
    sizes = ((40000, 22500), (2**32 - 1, 2**32 - 1), (64, 64))
    width, height = sizes[shot.index % len(sizes)]
    _calibrated(shot, width=width, height=height)


def mount_unusable(shot: Shot) -> None:
    """a mounting is NaN, no rotation, or a billion metres away"""
    xyz, q = (((NAN, 0, 0), (0, 0, 0, 1)), ((1, 0, 1), (0, 0, 0, 0)), ((1e9, 0, 0), (0, 0, 0, 1)))[shot.index % 3]
    shot.static = [TFMessage(transforms=[transform("base_link", f"{shot.camera}_optical", 1, xyz, q)])]


def camera_moved(shot: Shot) -> None:
    """a camera is calibrated anew, 0.3 m further ahead"""
    _moved(shot, 0.3)


def camera_moved_50_m(shot: Shot) -> None:
    """a camera is said to be 50 m ahead"""
    _moved(shot, 50.0)


def _moved(shot: Shot, ahead_m: float) -> None:
    moved = Scene(shot.picture, moved=(shot.camera, ahead_m))
    if shot.index == 0:  # the trigger before may still be at work when the calibration changes
        shot.static = [mounting(moved.moved)]
        shot.also_before = [Scene((shot.picture - 1) % PICTURES, moved=moved.moved)]
        shot.expected.append(moved)
    else:
        shot.expected = [moved]


# -------------------------------------------------------------------- transforms
def tf_silent(shot: Shot) -> None:
    """no odometry"""
    shot.tf = []


def tf_late(shot: Shot) -> None:
    """odometry comes 500 ms late"""
    shot.tf = [(due_s + 0.5, m) for due_s, m in shot.tf]


def pose_jumps(shot: Shot) -> None:
    """the vehicle's pose jumps 100 m and back"""
    shot.move(100.0 if shot.index % 4 < 2 else 0.0)


def pose_jumps_little(shot: Shot) -> None:
    """the vehicle's pose jumps 20 m and back"""
    shot.move(20.0 if shot.index % 4 < 2 else 0.0)


def pose_jumps_inside(shot: Shot) -> None:
    """the vehicle's pose jumps 20 m while the shutters open"""
    shot.move(20.0 if shot.index % 2 else 0.0)
    after = shot.tf
    shot.move(0.0 if shot.index % 2 else 20.0)
    shot.tf = [*shot.tf[:2], *after[2:]]  # the samples until the first shutter are of the other side
    shot.expected = []


def tf_unrelated(shot: Shot) -> None:
    """a frame of no concern whose stamps alternate by a second"""
    now = TFMessage(transforms=[transform("arm", "tool", shot.stamp_ns)])
    before = TFMessage(transforms=[transform("arm", "tool", shot.stamp_ns - NS_PER_S)])
    shot.tf += [event for due_s, _ in shot.tf[::2] for event in ((due_s + 0.01, now), (due_s + 0.02, before))]


def tf_hostile(shot: Shot) -> None:
    """NaN, cycles, other parents, endless names, extreme stamps and 3000 frames in tf"""
    base, stamp_ns = ("odom", "base_link"), shot.stamp_ns
    too_many_nanoseconds = transform(*base, stamp_ns)
    too_many_nanoseconds.header.stamp.nanosec = 2**31 - 1
    hostile = (
        transform(*base, stamp_ns, (NAN, 0, 0)),
        transform(*base, stamp_ns, (INF, 0, 0)),
        transform(*base, stamp_ns, (1e308, 1e308, 0)),
        transform(*base, stamp_ns, q=(0, 0, 0, 0)),
        transform(*base, stamp_ns, q=(NAN, NAN, NAN, NAN)),
        transform("", "", stamp_ns),
        transform("base_link", "base_link", stamp_ns),
        transform("base_link", "odom", stamp_ns),
        transform("elsewhere", "base_link", stamp_ns),
        transform(LONG_NAME, LONG_NAME + "y", stamp_ns),
        transform(*base, LAST_NS),
        transform(*base, 0),
        transform(*base, -(2**31) * NS_PER_S),
        too_many_nanoseconds,
    )
    chosen = [[hostile[(2 * shot.index + number) % len(hostile)]] for number in range(2)]
    if shot.index == 0:
        chosen.append([transform("odom", f"frame {number}", stamp_ns) for number in range(3000)])
    shot.tf += [(0.01, TFMessage(transforms=transforms)) for transforms in chosen]


# -------------------------------------------------------------------- bytes
def bytes_damaged(shot: Shot) -> None:
    """messages whose bytes are cut or announce more than there is"""
    header = 4  # of the CDR encoding; a stamp of 8 bytes and the length of the frame's name follow
    sent = (
        (shot.images[shot.camera], shot.shown(shot.camera), header + 8),
        (shot.infos[shot.camera], info(shot.camera, shot.stamp_ns), header + 8),
        (shot.tf, odometry(shot.stamp_ns), header),  # the number of transforms comes first
    )
    for events, message, at in sent:
        whole = serialize_message(message)
        endless = whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4 :]
        for broken in (whole[: shot.random.randrange(4, len(whole))], endless):
            events.append((0.2, broken))


def bad_images_flood(shot: Shot) -> None:
    """a hundred images per trigger that are none, with every kind of stamp"""
    for number in range(100):
        stamp_ns = shot.random.choice([0, -1, LAST_NS, shot.stamp_of(shot.camera), shot.random.randrange(2**62)])
        junk = image(shot.camera, stamp_ns, np.random.default_rng(number).bytes(200))
        shot.images[shot.camera].append((0.1 + 0.003 * number, junk))


CONTENT_FAULTS = (
    pictures_damaged,
    pictures_huge,
    pictures_halved,
    pictures_squared,
    k_unusable,
    info_size_wrong,
    mount_unusable,
    camera_moved,
    camera_moved_50_m,
    tf_silent,
    tf_late,
    pose_jumps,
    pose_jumps_little,
    pose_jumps_inside,
    tf_unrelated,
    tf_hostile,
    bytes_damaged,
    bad_images_flood,
)
