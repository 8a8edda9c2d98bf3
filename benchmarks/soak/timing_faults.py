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

"""Faults of when images come and what their stamps say.

Each changes one trigger; its first line is what the report calls it.
"""

from __future__ import annotations

from benchmarks.soak.content_faults import LAST_NS
from benchmarks.soak.messages import ANCHOR, NAMES, Shot
from benchmarks.soak.scene import Scene
from flashocc_ros.ros.stamps import NS_PER_S

BACK_S = 5.123
"""No multiple of the period: no other trigger has the same stamp."""


# -------------------------------------------------------------------- images that come late, twice or not at all
def camera_stalls(shot: Shot) -> None:
    """one camera sends nothing"""
    shot.images[shot.camera] = []
    shot.may_lack = {shot.camera}


def anchor_stalls(shot: Shot) -> None:
    """the anchor camera sends nothing"""
    shot.images[ANCHOR] = []


def two_cameras_stall(shot: Shot) -> None:
    """two cameras send nothing"""
    other = next(name for name in NAMES[1:] if name != shot.camera)
    shot.images[shot.camera] = shot.images[other] = []
    shot.may_lack = {shot.camera, other}


def all_pause(shot: Shot) -> None:
    """all cameras pause, tf goes on"""
    shot.images = {name: [] for name in NAMES}


def two_broken_triggers(shot: Shot) -> None:
    """the anchor of one trigger, all others of the next, then silence"""
    kept = {0: NAMES[:1], 1: NAMES[1:]}.get(shot.index, ())
    shot.images = {name: shot.images[name] if name in kept else [] for name in NAMES}
    shot.expected = []


def anchor_faster(shot: Shot) -> None:
    """the anchor is five times as fast as the others"""
    step_ns = round(shot.period_s / 5 * NS_PER_S)
    for number in range(1, 5):
        stamp_ns = shot.stamp_ns + number * step_ns
        shot.images[ANCHOR].append((shot.due_s(ANCHOR) + number * step_ns / NS_PER_S, shot.shown(ANCHOR, stamp_ns)))
        shot.others[stamp_ns] = [Scene(shot.picture)]


def images_lost(shot: Shot) -> None:
    """one image in five is lost"""
    for name in NAMES:
        if shot.random.random() < 0.2:
            shot.images[name] = []
            shot.may_lack.add(name)


def images_reordered(shot: Shot) -> None:
    """images come up to 150 ms late, out of order"""
    for name in NAMES:
        shot.images[name] = [(due_s + shot.random.random() * 0.15, m) for due_s, m in shot.images[name]]


def images_repeated(shot: Shot) -> None:
    """every image comes twice, the second time with the picture of the next trigger"""
    for name in NAMES:
        due_s = shot.due_s(name) + shot.random.choice([0.0, 0.1])
        shot.images[name].append((due_s, shot.shown(name, later=1)))


def ten_hertz(shot: Shot) -> None:
    """all cameras at 10 Hz, faster than the network"""
    for number in range(1, round(shot.period_s / 0.1)):
        shot.more(0.1 * number)


def one_camera_faster(shot: Shot) -> None:
    """one camera is five times as fast, its further images show other triggers"""
    step_s = shot.period_s / 5
    for number in range(1, 5):
        stamp_ns = shot.stamp_of(shot.camera) + round(number * step_s * NS_PER_S)
        due_s = shot.due_s(shot.camera) + number * step_s
        shot.images[shot.camera].append((due_s, shot.shown(shot.camera, stamp_ns, later=4)))


def _second_publisher(shot: Shot, behind_s: float) -> None:
    stamp_ns = shot.stamp_of(shot.camera) - round(behind_s * NS_PER_S)
    shot.images[shot.camera].append((shot.due_s(shot.camera) + 0.01, shot.shown(shot.camera, stamp_ns, later=3)))


def second_publisher_ahead(shot: Shot) -> None:
    """a second publisher on a camera's topic, 200 ms ahead"""
    _second_publisher(shot, -0.2)


def second_publisher_near(shot: Shot) -> None:
    """a second publisher on a camera's topic, 20 ms ahead"""
    _second_publisher(shot, -0.02)


def second_publisher_behind(shot: Shot) -> None:
    """a second publisher on a camera's topic, 2 s behind"""
    _second_publisher(shot, 2.0)


# -------------------------------------------------------------------- stamps
def stamps_zero(shot: Shot) -> None:
    """a camera also sends images with the stamp zero"""
    shot.images[shot.camera].insert(0, (shot.due_s(shot.camera), shot.shown(shot.camera, 0, later=1)))


def stamps_extreme(shot: Shot) -> None:
    """a camera also sends images with the stamps -5 s, 1 ns and 2^31 s"""
    stamp_ns = (-5 * NS_PER_S, 1, LAST_NS, LAST_NS + NS_PER_S - 1)[shot.index % 4]
    shot.images[shot.camera].append((shot.due_s(shot.camera) + 0.02, shot.shown(shot.camera, stamp_ns, later=1)))


def stamps_back(shot: Shot) -> None:
    """all stamps go back 5 s"""
    shot.at(shot.stamp_ns - round(BACK_S * NS_PER_S), shot.picture)


def stamps_forward(shot: Shot) -> None:
    """all stamps are an hour ahead, then right again"""
    shot.at(shot.stamp_ns + 3600 * NS_PER_S + 7, shot.picture)


def stamps_37_s_ahead(shot: Shot) -> None:
    """all stamps count leap seconds: 37 s ahead"""
    shot.at(shot.stamp_ns + 37 * NS_PER_S + 11, shot.picture)


def recording_loops(shot: Shot) -> None:
    """the same three seconds again and again"""
    done = shot.index - shot.index % 6
    shot.at(shot.stamp_ns - round(done * shot.period_s * NS_PER_S), shot.picture - done)


def one_clock_off(shot: Shot) -> None:
    """the clock of one camera is an hour behind"""
    stamp_ns = shot.stamp_of(shot.camera) - 3600 * NS_PER_S
    shot.images[shot.camera] = [(shot.due_s(shot.camera), shot.shown(shot.camera, stamp_ns))]


TIMING_FAULTS = (
    camera_stalls,
    anchor_stalls,
    two_cameras_stall,
    all_pause,
    images_lost,
    images_reordered,
    images_repeated,
    ten_hertz,
    one_camera_faster,
    anchor_faster,
    second_publisher_ahead,
    second_publisher_near,
    second_publisher_behind,
    stamps_zero,
    stamps_extreme,
    stamps_back,
    stamps_forward,
    stamps_37_s_ahead,
    recording_loops,
    one_clock_off,
)
