"""Transforms of a recording at any time: static ones as they are, moving ones interpolated between neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation, Slerp

from flashocc_ros.errors import BagError

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


class PoseLog:
    """The frame tree collected from ``tf2_msgs/TFMessage`` messages.

    Moving transforms are interpolated: linear for the translation, along the great arc for the rotation. Nothing is
    extrapolated.
    """

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._static: dict[str, Float64] = {}
        self._samples: dict[str, dict[int, tuple[float, ...]]] = {}
        self._cached: dict[str, tuple[Int64, Float64, Slerp | None]] = {}

    def add(self, message: Any, static: bool) -> None:
        """Take in the transforms of one message of ``/tf_static`` (static) or ``/tf``."""
        for transform in message.transforms:
            child = transform.child_frame_id.lstrip("/")
            self._parent[child] = transform.header.frame_id.lstrip("/")
            t, q = transform.transform.translation, transform.transform.rotation
            values = (t.x, t.y, t.z, q.x, q.y, q.z, q.w)
            if static:
                self._static[child] = _matrices(
                    np.array([values[:3]]), Rotation.from_quat(values[3:]).as_matrix()[None]
                )[0]
            else:
                stamp = transform.header.stamp
                self._samples.setdefault(child, {})[stamp.sec * 1_000_000_000 + stamp.nanosec] = values
                self._cached.pop(child, None)

    def moving_parent(self, frame: str) -> str | None:
        """The nearest frame that ``frame`` moves in, usually odom; None when nothing above it moves."""
        while frame in self._parent:
            if frame in self._samples:
                return self._parent[frame]
            frame = self._parent[frame]
        return None

    def static(self, target: str, source: str) -> Float64:
        """target_from_source, (4, 4) float64, over static transforms only.

        Raises:
            BagError: the frames are not joined by static transforms.
        """
        up_target, up_source = self._static_chain(target), self._static_chain(source)
        for frame, root_from_source in up_source.items():
            if frame in up_target:
                return np.linalg.inv(up_target[frame]) @ root_from_source
        raise BagError(
            f"/tf_static does not join {source} to {target}; it knows {', '.join(sorted(self._static)) or 'no frame'}"
        )

    def _static_chain(self, frame: str) -> dict[str, Float64]:
        chain, pose = {frame: np.eye(4)}, np.eye(4)
        while frame in self._static:
            pose = self._static[frame] @ pose
            frame = self._parent[frame]
            chain[frame] = pose
        return chain

    def at(self, root: str, frame: str, stamps_ns: npt.ArrayLike) -> tuple[Float64, npt.NDArray[np.bool_]]:
        """root_from_frame at each stamp.

        Args:
            root: a frame above ``frame``.
            stamps_ns: (M,) int64 nanoseconds.

        Returns:
            (M, 4, 4) float64 and (M,) bool, False where a stamp lies outside the recorded time.

        Raises:
            BagError: ``root`` is not above ``frame``.
        """
        stamps = np.atleast_1d(np.asarray(stamps_ns, np.int64))
        poses, known, current = np.broadcast_to(np.eye(4), (len(stamps), 4, 4)), np.ones(len(stamps), bool), frame
        while current != root:
            if current not in self._parent:
                raise BagError(f"frame {root} is not above {frame}: the tf tree ends at {current}")
            if current in self._samples:
                step, inside = self._interpolate(current, stamps)
                poses, known = step @ poses, known & inside
            else:
                poses = self._static[current] @ poses
            current = self._parent[current]
        return np.array(poses), known

    def _interpolate(self, child: str, stamps: Int64) -> tuple[Float64, npt.NDArray[np.bool_]]:
        if child not in self._cached:
            times = np.array(sorted(self._samples[child]), np.int64)
            values = np.array([self._samples[child][int(t)] for t in times])
            seconds = (times - times[0]) * 1e-9
            slerp = Slerp(seconds, Rotation.from_quat(values[:, 3:])) if len(times) > 1 else None
            self._cached[child] = times, values, slerp
        times, values, slerp = self._cached[child]
        inside = (stamps >= times[0]) & (stamps <= times[-1])
        seconds = (np.clip(stamps, times[0], times[-1]) - times[0]) * 1e-9
        grid = (times - times[0]) * 1e-9
        translation = np.stack([np.interp(seconds, grid, values[:, k]) for k in range(3)], 1)
        rotation = slerp(seconds) if slerp is not None else Rotation.from_quat(np.repeat(values[:, 3:], len(stamps), 0))
        return _matrices(translation, rotation.as_matrix()), inside


def _matrices(translation: Float64, rotation: Float64) -> Float64:
    matrices = np.zeros((len(translation), 4, 4))
    matrices[:, :3, :3], matrices[:, :3, 3], matrices[:, 3, 3] = rotation, translation, 1.0
    return matrices
