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

"""Training samples from caches of synthetic frames."""

from __future__ import annotations

import time

import numpy as np

from flashocc_ros.data.synthetic import FrameCache, NetworkFrame
from flashocc_ros.data.synthetic.cache import grid_of
from flashocc_ros.errors import InputError
from flashocc_ros.geometry import Geometry
from flashocc_ros.labels import IGNORE
from flashocc_ros.training.augment import PictureAugmentation
from flashocc_ros.training.config import HELD_OUT_SEED, SyntheticData
from flashocc_ros.training.sample import Sample, mirror_bev
from flashocc_ros.variants import Variant

_WAIT_S = 900.0


class SyntheticSource:
    """Cached frames, one cache after the other; the BEV grid is mirrored at random, pictures change on request.

    Raises:
        InputError: a cache holds held-out drives, fewer frames than asked for, or pictures of another size or rig.
    """

    def __init__(self, data: SyntheticData, variant: Variant) -> None:
        folders = data.cache if isinstance(data.cache, list) else [data.cache]
        self.caches = [FrameCache(folder) for folder in folders]
        self.data, self.num_frames = data, variant.num_input_frames
        classes = variant.classes
        own = np.array(classes.from_occ3d(), np.uint8)
        self._own = np.where(own < len(classes), own, np.uint8(IGNORE))
        self._channel = np.full(256, -1, np.int64)
        self._channel[list(classes.detections)] = np.arange(len(classes.detections))
        self._mirrored = variant.grid.symmetric
        # Number of the first frame of each cache, and of all at the end.
        self.first = np.cumsum([0, *(len(c.meta["seeds"]) * c.frames_per_seed for c in self.caches)])
        self.length = data.frames or int(self.first[-1])
        if self.length > self.first[-1]:
            names = ", ".join(map(str, folders))
            raise InputError(f"{names}: {self.first[-1]} frames are there, data.frames asks for {self.length}")
        meta = self.caches[0].meta
        for cache in self.caches:
            if tuple(cache.meta["size"]) != variant.input_size:
                raise InputError(
                    f"{cache.path} holds pictures of {cache.meta['size']}, {variant.name} takes {variant.input_size}"
                )
            if grid_of(cache.meta) != variant.grid:
                raise InputError(
                    f"{cache.path} holds labels of {grid_of(cache.meta)}, {variant.name} predicts {variant.grid}; draw "
                    "it for that variant into another folder"
                )
            if max(cache.meta["seeds"]) >= HELD_OUT_SEED:
                raise InputError(
                    f"{cache.path} holds seed {max(cache.meta['seeds'])}; seeds from {HELD_OUT_SEED} on are held out"
                )
            for key in ("intrinsics", "base_from_camera", "scale", "crop_top_px", "models"):
                if cache.meta.get(key) != meta.get(key):
                    raise InputError(f"{cache.path} was drawn for another {key} than {folders[0]}")
        self.intrinsics = np.array(meta["intrinsics"])
        self.base_from_camera = np.array(meta["base_from_camera"])
        self.models = self.caches[0].models
        self.post_rot = np.diag([meta["scale"], meta["scale"], 1.0])
        self.post_tran = np.array([0.0, -float(meta["crop_top_px"]), 0.0])
        self.principal_rows = self.intrinsics[:, 1, 2] * self.post_rot[1, 1] + self.post_tran[1]

    def __len__(self) -> int:
        return self.length

    def available(self, step: int) -> int:
        """Frames that may be drawn at ``step``: a renderer may still be at work on the rest."""
        if not self.data.first_frames:
            return self.length
        return min(self.length, self.data.first_frames + int(step * self.data.frames_per_step))

    def sample(self, index: int, rng: np.random.Generator | None) -> Sample:
        """Sample ``index`` with augmentation drawn from ``rng``, None for none; waits until it is rendered."""
        which = int(np.searchsorted(self.first, index, side="right")) - 1
        cache, number = self.caches[which], index - int(self.first[which])
        deadline = time.monotonic() + _WAIT_S
        while len(cache) <= number:
            if time.monotonic() > deadline:
                raise InputError(f"frame {number} of {cache.path} did not appear within {_WAIT_S:g} s")
            time.sleep(1.0)
        frames = [cache.frame(number)]
        before: int | None = number
        for _ in range(self.num_frames - 1):
            # At the start of a drive the key frame stands in for the missing past, as at a scene start.
            before = None if before is None else cache.previous(before)
            frames.append(frames[0] if before is None else cache.frame(before))
        if rng is None:
            return self.to_sample(frames, False, False)
        drawn = (self.data.flip and rng.random() < 0.5, self.data.flip and rng.random() < 0.5)
        flip_x, flip_y = (wanted and possible for wanted, possible in zip(drawn, self._mirrored, strict=True))
        change = None
        if self.data.augment:
            change = PictureAugmentation.draw(self.principal_rows, frames[0].images.shape[1:3], rng)
        return self.to_sample(frames, flip_x, flip_y, change)

    def to_sample(
        self, frames: list[NetworkFrame], flip_x: bool, flip_y: bool, change: PictureAugmentation | None = None
    ) -> Sample:
        """Key frame first, then the previous ones, newest first."""
        key, count, cameras = frames[0], len(frames), len(self.intrinsics)
        images, depth_m, labels_2d = [frame.images for frame in frames], key.depth_m, self._own[key.labels_2d]
        post_rot, post_tran = self.post_rot, self.post_tran
        if change is not None:
            images = [change.pictures(pictures) for pictures in images]
            depth_m, labels_2d = change.pixels(depth_m), change.pixels(labels_2d)
            post_rot, post_tran = change.post_transform(post_rot, post_tran)
        channel = self._channel[self._own[key.box_labels]]
        seen = (key.box_voxels > 0) & (channel >= 0)
        semantics, mask, boxes, bda = mirror_bev(
            self._own[key.semantics], key.mask_camera, key.boxes[seen], flip_x, flip_y
        )
        geometry = Geometry(
            sensor2ego=np.broadcast_to(self.base_from_camera, (count, cameras, 4, 4)),
            ego2global=np.stack([frame.odom_from_base for frame in frames]),
            intrinsics=np.broadcast_to(self.intrinsics, (count, cameras, 3, 3)),
            post_rot=np.broadcast_to(post_rot, (count, cameras, 3, 3)),
            post_tran=np.broadcast_to(post_tran, (count, cameras, 3)),
            bda=bda,
            models=self.models,
        )
        return Sample(
            images=np.stack(images),
            geometry=geometry,
            semantics=semantics,
            mask_camera=mask,
            depth_m=depth_m,
            labels_2d=labels_2d,
            boxes=boxes,
            box_labels=channel[seen],
        )
