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

"""tf as anybody may publish it: poses, or a reason why there are none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hostile import takes
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_messages import S, message, transform

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.cameras.poses import Poses, PoseSource
from flashocc_ros.cameras.transforms import TransformIntake, TransformTree
from flashocc_ros.errors import InputError
from flashocc_ros.structures import CameraRig

FRAMES = st.sampled_from(["map", "odom", "base_link", "front", "/front", "", "/", "x" * 10_000])
STAMP_NS = st.one_of(
    st.integers(99 * S, 101 * S), st.sampled_from([0, 1, -(2**31) * S, (2**31 - 1) * S + 2**32 - 1, 100 * S])
)
LENGTH = st.one_of(st.floats(-10, 10), st.floats(), st.sampled_from([1e308, -1e308, 1e5, 1e8]))
QUATERNION = st.one_of(
    st.sampled_from([(0, 0, 0, 1), (0.5, 0.5, 0.5, 0.5), (0, 0, 0, 0.9999), (0, 0, 0, 0)]),
    st.tuples(*[st.floats()] * 4),
)
K = np.array([[[20.0, 0, 16], [0, 20, 12], [0, 0, 1]]])


@st.composite
def transforms(draw: st.DrawFn) -> SimpleNamespace:
    """One transform between a few frames."""
    made = transform(draw(FRAMES), draw(FRAMES), draw(STAMP_NS), (draw(LENGTH), draw(LENGTH), draw(LENGTH)))
    made.transform.rotation = SimpleNamespace(**dict(zip("xyzw", draw(QUATERNION), strict=True)))
    return made


def sound(intake: TransformIntake) -> None:
    """A camera on a vehicle that moves."""
    intake.take(message(transform("base_link", "front", 1, (1.0, 0.0, 1.5))), static=True)
    for stamp_ns in (99 * S, 101 * S):
        intake.take(message(transform("odom", "base_link", stamp_ns, (stamp_ns / S, 0.0, 0.0))), static=False)


@given(st.lists(st.tuples(transforms(), st.booleans()), max_size=12), st.booleans(), STAMP_NS)
@settings(max_examples=400)
def test_any_tf_gives_poses_or_a_reason(sent: list[tuple[SimpleNamespace, bool]], first: bool, stamp_ns: int) -> None:
    intake = TransformIntake(TransformTree(), say=lambda _: None)
    source = PoseSource(intake.buffer, ["front"], say=lambda _: None)

    def use() -> None:
        if first:
            sound(intake)
        for each, static in sent:
            intake.take(message(each), static)
        if not first:
            sound(intake)
        found = source.lookup([stamp_ns], stamp_ns, waited_s=9.0)
        for frame in ("front", "base_link", "nobody"):
            intake.path(frame, "odom")
            intake.moving_parent(frame)
            intake.moves_below(frame, "odom")
        if not isinstance(found, Poses):
            assert found.reason
            return
        rig = CameraRig(["front"], K, found.base_from_camera)
        image = np.zeros((24, 32, 3), np.uint8)
        made = CameraSet([image], rig, found.odom_from_base, max(0, stamp_ns), key_pose=found.key_pose)
        assert np.isfinite(made.odom_from_base).all()

    takes(use, InputError)
