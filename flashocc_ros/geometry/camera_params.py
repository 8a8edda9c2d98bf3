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

"""The 27 numbers that tell a camera-aware depth network which camera it looks through."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flashocc_ros.geometry.frames import Geometry

NUM_CAMERA_PARAMS = 27


def camera_params(geometry: Geometry, frame: int = 0) -> npt.NDArray[np.float32]:
    """(N, 27) float32 of the N cameras of ``frame``, in the order the published weights expect.

    K00, K11, K02, K12, post_rot00, post_rot01, post_tran0, post_rot10, post_rot11, post_tran1, bda00, bda01, bda10,
    bda11, bda22, then the upper 3x4 of camera-to-key row by row, composed in float64. K belongs to the source picture.
    The pose is the key frame's for every frame: the reference shows no other one to its depth networks.
    """
    pose = geometry.camera_to_key(0)
    k, rot, tran = geometry.intrinsics[frame], geometry.post_rot[frame], geometry.post_tran[frame]
    b = np.broadcast_to(geometry.bda, (len(pose), 3, 3))
    columns = [k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2]]
    columns += [rot[:, 0, 0], rot[:, 0, 1], tran[:, 0], rot[:, 1, 0], rot[:, 1, 1], tran[:, 1]]
    columns += [b[:, 0, 0], b[:, 0, 1], b[:, 1, 0], b[:, 1, 1], b[:, 2, 2]]
    return np.concatenate([np.stack(columns, -1), pose[:, :3, :].reshape(len(pose), 12)], -1).astype(np.float32)
