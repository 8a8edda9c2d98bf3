"""Training samples from a cache of synthetic frames."""

from __future__ import annotations

import time

import numpy as np

from flashocc_ros.data.synthetic.dataset import Frame, FrameCache
from flashocc_ros.errors import InputError
from flashocc_ros.geometry import Geometry
from flashocc_ros.labels import CLASS_NAMES, DETECTION_NAMES
from flashocc_ros.model.variants import Variant
from flashocc_ros.training.config import SyntheticData
from flashocc_ros.training.sample import Sample, mirror_bev

HELD_OUT_SEED = 1000
_DETECTION_OF_CLASS = np.array([DETECTION_NAMES.index(n) if n in DETECTION_NAMES else -1 for n in CLASS_NAMES])
_WAIT_S = 900.0


class SyntheticSource:
    """Cached frames; the BEV grid is mirrored at random, pictures stay as they are.

    Raises:
        InputError: the cache holds held-out drives, fewer frames than asked for, or pictures of another size.
    """

    def __init__(self, data: SyntheticData, variant: Variant) -> None:
        self.cache = FrameCache(data.cache)
        self.data, self.num_frames = data, variant.num_input_frames
        meta = self.cache.meta
        total = len(meta["seeds"]) * self.cache.frames_per_seed
        self.length = data.frames or total
        if self.length > total:
            raise InputError(f"{data.cache} is a cache of {total} frames, data.frames asks for {self.length}")
        if tuple(meta["size"]) != variant.input_size:
            raise InputError(
                f"{data.cache} holds pictures of {meta['size']}, {variant.name} takes {variant.input_size}"
            )
        if max(meta["seeds"]) >= HELD_OUT_SEED:
            raise InputError(
                f"{data.cache} holds seed {max(meta['seeds'])}; seeds from {HELD_OUT_SEED} on are held out"
            )
        self.intrinsics = np.array(meta["intrinsics"])
        self.base_from_camera = np.array(meta["base_from_camera"])
        self.post_rot = np.diag([meta["scale"], meta["scale"], 1.0])
        self.post_tran = np.array([0.0, -float(meta["crop_top_px"]), 0.0])

    def __len__(self) -> int:
        return self.length

    def available(self, step: int) -> int:
        """Frames that may be drawn at ``step``: a renderer may still be at work on the rest."""
        if not self.data.first_frames:
            return self.length
        return min(self.length, self.data.first_frames + int(step * self.data.frames_per_step))

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Sample ``index`` with augmentation drawn from ``rng``; waits until it is rendered."""
        deadline = time.monotonic() + _WAIT_S
        while len(self.cache) <= index:
            if time.monotonic() > deadline:
                raise InputError(f"frame {index} of {self.cache.path} did not appear within {_WAIT_S:g} s")
            time.sleep(1.0)
        frames = [self.cache.frame(index)]
        before: int | None = index
        for _ in range(self.num_frames - 1):
            # At the start of a drive the key frame stands in for the missing past, as at a scene start.
            before = None if before is None else self.cache.previous(before)
            frames.append(frames[0] if before is None else self.cache.frame(before))
        return self.to_sample(frames, self.data.flip and rng.random() < 0.5, self.data.flip and rng.random() < 0.5)

    def to_sample(self, frames: list[Frame], flip_x: bool, flip_y: bool) -> Sample:
        """Key frame first, then the previous ones, newest first."""
        key, count, cameras = frames[0], len(frames), len(self.intrinsics)
        seen = key.box_voxels > 0
        semantics, mask, boxes, bda = mirror_bev(key.semantics, key.mask_camera, key.boxes[seen], flip_x, flip_y)
        geometry = Geometry(
            sensor2ego=np.broadcast_to(self.base_from_camera, (count, cameras, 4, 4)),
            ego2global=np.stack([frame.odom_from_base for frame in frames]),
            intrinsics=np.broadcast_to(self.intrinsics, (count, cameras, 3, 3)),
            post_rot=np.broadcast_to(self.post_rot, (count, cameras, 3, 3)),
            post_tran=np.broadcast_to(self.post_tran, (count, cameras, 3)),
            bda=bda,
        )
        return Sample(
            images=np.stack([frame.images for frame in frames]),
            geometry=geometry,
            semantics=semantics,
            mask_camera=mask,
            depth_m=key.depth_m,
            labels_2d=key.labels_2d,
            boxes=boxes,
            box_labels=_DETECTION_OF_CLASS[key.box_labels[seen]],
        )
