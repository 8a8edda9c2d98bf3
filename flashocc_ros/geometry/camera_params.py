"""The 27 numbers that tell a camera-aware depth network which camera it looks through."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NUM_CAMERA_PARAMS = 27


def camera_params(
    camera_to_key: npt.ArrayLike,
    intrinsics: npt.ArrayLike,
    post_rot: npt.ArrayLike,
    post_tran: npt.ArrayLike,
    bda: npt.ArrayLike,
) -> npt.NDArray[np.float32]:
    """(N, 27) float32 in the order the published weights expect.

    K00, K11, K02, K12, post_rot00, post_rot01, post_tran0, post_rot10, post_rot11, post_tran1, bda00, bda01, bda10,
    bda11, bda22, then the upper 3x4 of camera-to-key row by row. K belongs to the source picture. For previous frames
    the reference passes the key frame's ``camera_to_key``.
    """
    pose, k, rot, tran = (np.asarray(a, np.float64) for a in (camera_to_key, intrinsics, post_rot, post_tran))
    b = np.broadcast_to(np.asarray(bda, np.float64), (len(pose), 3, 3))
    columns = [k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2]]
    columns += [rot[:, 0, 0], rot[:, 0, 1], tran[:, 0], rot[:, 1, 0], rot[:, 1, 1], tran[:, 1]]
    columns += [b[:, 0, 0], b[:, 0, 1], b[:, 1, 0], b[:, 1, 1], b[:, 2, 2]]
    return np.concatenate([np.stack(columns, -1), pose[:, :3, :].reshape(len(pose), 12)], -1).astype(np.float32)
