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

"""Training samples from label folders: any rig, several drives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.data.label_folder import (
    Hits,
    LabelDrive,
    boxed_classes,
    decode_pictures,
    load_cameras,
    load_hits,
    load_voxels,
)
from flashocc_ros.data.partial_labels import UNOBSERVED, possible_classes, targets_of
from flashocc_ros.errors import InputError
from flashocc_ros.geometry import Geometry
from flashocc_ros.geometry.camera_models import rays_of_pixels
from flashocc_ros.pipeline.preprocess import ImageTransform, image_transform
from flashocc_ros.training.augment import PictureAugmentation
from flashocc_ros.training.sample import Sample, mirror_bev
from flashocc_ros.variants import Variant

Float64 = npt.NDArray[np.float64]
_DEEPER_M = 0.2
"""A surface lies between two voxels: what a point hit is in one of both."""


class LabelSource:
    """Labelled key frames, one drive after the other.

    Args:
        drives: of one rig, one convention, one grid and one class table, see ``data.label_folder.open_drives``.
        flip: mirror the BEV grid at random; augment: enlarge and tint pictures at random.

    Raises:
        InputError: there are no drives, or no past for a network that needs one.
    """

    def __init__(
        self, drives: Sequence[LabelDrive], variant: Variant, flip: bool = False, augment: bool = False
    ) -> None:
        if not drives:
            raise InputError("no labelled drive is left to train on; give more drives or fewer for validation")
        if variant.temporal and max(len(drive.frames) for drive in drives) < 2:
            raise InputError(
                f"{variant.name} learns from the key frames before, and {drives[0].folder} has one key frame, as has "
                "every drive; label longer drives or a higher --key-rate, or train a network of one frame"
            )
        self.drives, self.variant, self.flip, self.augment = tuple(drives), variant, flip, augment
        self.frames = [(frame, number) for drive in drives for number, frame in enumerate(drive.frames)]
        classes = variant.classes
        self.labelled = self.drives[0].classes
        self.possible = possible_classes(boxed_classes(drives), classes, self.labelled)
        channel = {c: number for number, c in enumerate(classes.detections)}
        self._channel = np.array([channel.get(own, -1) for own in classes.ids_from(self.labelled)], np.int64)

    def __len__(self) -> int:
        return len(self.frames)

    def available(self, step: int) -> int:
        """All samples, at every step."""
        return len(self.frames)

    def sample(self, index: int, rng: np.random.Generator | None) -> Sample:
        """Sample ``index`` with augmentation drawn from ``rng``, None for none.

        Raises:
            InputError: a file of it is missing or damaged.
        """
        frame, number = self.frames[index]
        # At the start of a drive the key frame stands in for the missing past, as at a scene start.
        past = [self.frames[index - k][0] if k <= number else frame for k in range(1, self.variant.num_input_frames)]
        paths = (frame, *past)
        sets = [load_cameras(path) for path in paths]
        key, voxels = sets[0], load_voxels(frame, self.variant.grid, self.labelled)
        hits = load_hits(frame, key.rig.num_cameras)
        transforms = [image_transform(size, self.variant) for size in key.image_sizes]
        images = [_network_pictures(path, each, self.variant) for path, each in zip(paths, sets, strict=True)]
        post_rot, post_tran = (np.stack([getattr(t, name) for t in transforms]) for name in ("post_rot", "post_tran"))
        flips = (False, False)
        if rng is not None:
            drawn = (self.flip and rng.random() < 0.5, self.flip and rng.random() < 0.5)
            x, y = self.variant.grid.symmetric
            flips = (drawn[0] and x, drawn[1] and y)
            if self.augment:
                rows = key.rig.intrinsics[:, 1, 2] * post_rot[:, 1, 1] + post_tran[:, 1]
                change = PictureAugmentation.draw(rows, self.variant.input_size, rng)
                images = [change.pictures(pictures) for pictures in images]
                post_rot, post_tran = change.post_transform(post_rot, post_tran)
        targets = targets_of(voxels.semantics, voxels.guessed, voxels.observed, self.variant.classes, self.labelled)
        depth = labels = None
        if hits is not None:
            depth, labels = pixel_truth(hits, key, targets, post_rot, post_tran, self.variant)
        mask = voxels.mask_camera & voxels.observed
        kept = self._channel[voxels.box_classes] >= 0
        if voxels.instances is not None:  # what no camera sees is no centre to learn
            kept &= np.isin(voxels.box_ids, np.unique(voxels.instances[mask]))
        targets, mask, boxes, bda = mirror_bev(targets, mask, voxels.boxes[kept], *flips)
        shape = (len(sets), key.rig.num_cameras)
        geometry = Geometry(
            sensor2ego=np.stack([s.rig.base_from_camera for s in sets]),
            ego2global=np.stack([s.odom_from_base for s in sets]),
            intrinsics=np.stack([s.rig.intrinsics for s in sets]),
            post_rot=np.broadcast_to(post_rot, (*shape, 3, 3)),
            post_tran=np.broadcast_to(post_tran, (*shape, 3)),
            bda=bda,
            key2global=key.key_pose,
            models=tuple(key.rig.models),
        )
        return Sample(
            images=np.stack(images),
            geometry=geometry,
            semantics=targets,
            mask_camera=mask,
            depth_m=depth,
            labels_2d=labels,
            boxes=boxes,
            box_labels=self._channel[voxels.box_classes[kept]],
            possible=self.possible,
            sparse=True,
        )


def _network_pictures(frame: Path, camera_set: CameraSet, variant: Variant) -> npt.NDArray[np.uint8]:
    """(N, H, W, 3) uint8 RGB as the network's preprocessing makes them, before it normalises."""
    pictures = decode_pictures(frame, camera_set)
    sizes = camera_set.image_sizes
    return np.stack(
        [
            _network_picture(picture, image_transform(size, variant))
            for picture, size in zip(pictures, sizes, strict=True)
        ]
    )


def _network_picture(picture: npt.NDArray[np.uint8], transform: ImageTransform) -> npt.NDArray[np.uint8]:
    (height, width), top = transform.resized, transform.crop_top
    image = Image.fromarray(picture)
    if (height, width) != transform.source_size:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image.crop((0, top, width, top + transform.size[0])))


def pixel_truth(
    hits: Hits,
    key: CameraSet,
    targets: npt.NDArray[np.uint8],
    post_rot: Float64,
    post_tran: Float64,
    variant: Variant,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Depth and target of the pixels that points of the lidar fall on, the nearest where there are several.

    Args:
        targets: (X, Y, Z) of the voxels, by which a point has its class.
        post_rot, post_tran: (N, 3, 3), (N, 3) picture to network pixel.
        variant: gives the size of its pictures (H, W), its grid and what is free.

    Returns:
        (N, H, W) float32 metres, 0 none; (N, H, W) uint8, 255 none.
    """
    count, camera = key.rig.num_cameras, hits.camera.astype(np.int64)
    size, grid = variant.input_size, variant.grid
    pixel, rays = np.concatenate([hits.pixel, np.ones((len(camera), 1))], 1), np.empty((len(camera), 3))
    at = np.rint(np.einsum("pij,pj->pi", post_rot[camera], pixel) + post_tran[camera])[:, :2].astype(np.int64)
    for index, (model, intrinsic) in enumerate(zip(key.rig.models, key.rig.intrinsics, strict=True)):
        rays[camera == index] = rays_of_pixels(model, intrinsic, hits.pixel[camera == index].astype(np.float64))
    key_from_camera = np.linalg.inv(key.key_pose) @ key.odom_from_base @ key.rig.base_from_camera
    target = np.full(len(camera), UNOBSERVED, np.uint8)
    for deeper_m in (0.0, _DEEPER_M):
        points = rays * (hits.depth_m + deeper_m)[:, None]
        points = np.einsum("pij,pj->pi", key_from_camera[camera, :3, :3], points) + key_from_camera[camera, :3, 3]
        cell = np.floor((points - grid.origin_m) / grid.resolution_m).astype(np.int64)
        inside = ((cell >= 0) & (cell < targets.shape)).all(1)
        found = np.full(len(camera), UNOBSERVED, np.uint8)
        found[inside] = targets[tuple(cell[inside].T)]
        target = np.where((target == UNOBSERVED) & (found != variant.classes.free), found, target)
    shown = ((at >= 0) & (at < size[::-1])).all(1)
    order = np.flatnonzero(shown)[np.argsort(-hits.depth_m[shown], kind="stable")]  # the nearest is written last
    depth, labels = np.zeros((count, *size), np.float32), np.full((count, *size), UNOBSERVED, np.uint8)
    where = (camera[order], at[order, 1], at[order, 0])
    depth[where], labels[where] = hits.depth_m[order], target[order]
    return depth, labels
