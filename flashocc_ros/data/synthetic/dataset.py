"""Frames of many drives by number, for training and evaluation, and a cache of them on disk.

Pictures go the way a recording's do: drawn at the published size, JPEG, the antialiased bicubic resize of
``preprocess``. A network trained here therefore sees in a bag what it saw in training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from flashocc_ros import plain_json
from flashocc_ros.data.synthetic.drive import Drive, KeyFrame
from flashocc_ros.data.synthetic.rig import SyntheticRig
from flashocc_ros.data.synthetic.world import Boxes
from flashocc_ros.errors import InputError

MAX_BOXES = 192
_CAMERA_BIT, _LIDAR_BIT, _LABEL_BITS = 32, 64, 31


@dataclass(frozen=True, eq=False)
class NetworkFrame:
    """A ``KeyFrame`` at network size: what training samples are made of.

    Attributes:
        images: (N, h, w, 3) uint8 RGB, resized and cropped as the network takes them.
        depth_m: (N, h, w) float32 z-depth, 0 in the sky; labels_2d: (N, h, w) uint8 classes.
        odom_from_base: (N, 4, 4) float64 at each shutter; the first is the key pose.
        stamp_ns: key stamp.
        semantics: (200, 200, 16) uint8; mask_camera, mask_lidar: the same shape, bool.
        boxes: (B, 9) float32 centre, size (length, width, height), yaw, velocity in the key base frame.
        box_labels: (B,) uint8 occupancy classes; box_voxels: (B,) int32 number of voxels that a camera sees.
        instances: (200, 200, 16) int32 or None where a cache was written without.
        seed, index: drive and key frame.
    """

    images: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.float32]
    labels_2d: npt.NDArray[np.uint8]
    odom_from_base: npt.NDArray[np.float64]
    stamp_ns: int
    semantics: npt.NDArray[np.uint8]
    mask_camera: npt.NDArray[np.bool_]
    mask_lidar: npt.NDArray[np.bool_]
    boxes: npt.NDArray[np.float32]
    box_labels: npt.NDArray[np.uint8]
    box_voxels: npt.NDArray[np.int32]
    instances: npt.NDArray[np.int32] | None
    seed: int
    index: int


class SyntheticDataset:
    """``frames_per_seed`` consecutive key frames (0.5 s apart) of every seed, drawn when asked for.

    Frame ``i`` belongs to ``seeds[i // frames_per_seed]``; the frame before it in time is ``previous(i)``.
    A later ``first_frame`` shows another place of a longer drive.

    Args:
        seeds: drives.
        size: (h, w) of the network's picture; w must divide the published width.
        frames_per_seed: 1 or more.
        first_frame: key frames left out at the start of every drive.
        rig: cameras with their published picture size; default nuScenes-like, 396x704.
        jpeg: quality range of the JPEG step, None for none.
        threads: cameras drawn at a time.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        size: tuple[int, int] = (176, 352),
        frames_per_seed: int = 4,
        rig: SyntheticRig | None = None,
        source_size: tuple[int, int] = (396, 704),
        jpeg: tuple[int, int] | None = (80, 95),
        threads: int = 1,
        first_frame: int = 0,
    ) -> None:
        if source_size[1] % size[1]:
            raise InputError(f"network width {size[1]} px must divide the picture width {source_size[1]} px")
        self.factor = source_size[1] // size[1]
        self.crop_top_px = source_size[0] // self.factor - size[0]
        if self.crop_top_px < 0:
            raise InputError(
                f"network height {size[0]} px exceeds the {source_size[0] // self.factor} px of the picture"
            )
        self.seeds, self.size, self.frames_per_seed = list(seeds), size, frames_per_seed
        self.source_size, self.jpeg, self.first_frame = source_size, jpeg, first_frame
        # A few rows more than needed keep the resize filter's upper edge out of the picture.
        self._extra_rows = min(2, self.crop_top_px)
        top = (self.crop_top_px - self._extra_rows) * self.factor

        @lru_cache(maxsize=2)
        def drive(seed: int) -> Drive:
            return Drive(seed, 0.5 * (first_frame + frames_per_seed) + 0.5, rig, source_size, top, threads=threads)

        self._drive = drive

    def __len__(self) -> int:
        return len(self.seeds) * self.frames_per_seed

    def previous(self, index: int) -> int | None:
        """Number of the key frame 0.5 s before, None at the start of a drive."""
        return index - 1 if index % self.frames_per_seed else None

    @property
    def full_rig(self) -> SyntheticRig:
        """Cameras of the published pictures; network pixel = source pixel / ``factor`` - (0, ``crop_top_px``)."""
        return self._drive(self.seeds[0]).full_rig

    def frame(self, index: int) -> NetworkFrame:
        seed, k = self.seeds[index // self.frames_per_seed], index % self.frames_per_seed
        return self._reduce(self._drive(seed).key_frame(self.first_frame + k))

    def pair(self, index: int) -> tuple[NetworkFrame, NetworkFrame]:
        """Frame and the one before it (itself at the start of a drive)."""
        key, before = self.frame(index), self.previous(index)
        return key, key if before is None else self.frame(before)

    def _reduce(self, key: KeyFrame) -> NetworkFrame:
        images = np.stack([self._network_picture(key, i) for i in range(len(key.images))])
        step, skip = self.factor, self._extra_rows
        boxes, labels, voxels = _boxes(key)
        return NetworkFrame(
            images,
            key.depth[:, ::step, ::step][:, skip:],
            key.labels_2d[:, ::step, ::step][:, skip:],
            key.odom_from_base,
            key.stamp_ns,
            key.semantics,
            key.mask_camera > 0,
            key.mask_lidar > 0,
            boxes,
            labels,
            voxels,
            key.instances,
            key.seed,
            key.index,
        )

    def _network_picture(self, key: KeyFrame, camera: int) -> npt.NDArray[np.uint8]:
        image = key.images[camera]
        if self.jpeg is not None:
            rng = np.random.default_rng([key.seed, key.index, camera])
            quality = int(rng.integers(self.jpeg[0], self.jpeg[1] + 1))
            image = simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(image, quality=quality, colorspace="RGB"))
        height, width = image.shape[0] // self.factor, image.shape[1] // self.factor
        small = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(small)[self._extra_rows :]


def _boxes(key: KeyFrame) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    b: Boxes = key.boxes
    seen = np.bincount(key.instances[key.mask_camera > 0], minlength=int(b.instance.max(initial=0)) + 1)
    voxels = seen[b.instance]
    inside = np.flatnonzero((np.abs(b.center[:, :2]) < 40).all(1))
    inside = inside[np.argsort(-voxels[inside], kind="stable")][:MAX_BOXES]
    rows = np.concatenate([b.center, b.size, b.yaw[:, None], b.velocity], 1)[inside].astype(np.float32)
    return rows, b.label[inside], voxels[inside].astype(np.int32)


class FrameCache:
    """Frames on disk as memory-mapped arrays: read at no cost by any number of processes, while still being written.

    The folder holds ``meta.json`` and one ``.npy`` per field; ``voxels`` packs class (5 bits), camera mask (bit 5) and
    lidar mask (bit 6). ``ready`` in ``progress.txt`` tells how many frames are there.

    Raises:
        InputError: no such cache.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.meta: dict[str, Any] = plain_json.parse((self.path / "meta.json").read_text())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path} is no cache of synthetic frames: {error}; write one with write_cache"
            ) from error
        self._arrays = {p.stem: np.load(p, mmap_mode="r") for p in sorted(self.path.glob("*.npy"))}
        self.frames_per_seed = int(self.meta["frames_per_seed"])

    def __len__(self) -> int:
        """Frames written so far."""
        return int((self.path / "progress.txt").read_text())

    def previous(self, index: int) -> int | None:
        """Number of the key frame 0.5 s before, None at the start of a drive."""
        return index - 1 if index % self.frames_per_seed else None

    def frame(self, index: int) -> NetworkFrame:
        a = self._arrays
        voxels = np.asarray(a["voxels"][index])
        count = int(a["num_boxes"][index])
        return NetworkFrame(
            np.asarray(a["images"][index]),
            a["depth_cm"][index].astype(np.float32) * np.float32(0.01),
            np.asarray(a["labels_2d"][index]),
            np.asarray(a["odom_from_base"][index]),
            int(a["stamp_ns"][index]),
            (voxels & np.uint8(_LABEL_BITS)).astype(np.uint8, copy=False),
            (voxels & _CAMERA_BIT) > 0,
            (voxels & _LIDAR_BIT) > 0,
            np.asarray(a["boxes"][index, :count]),
            np.asarray(a["box_labels"][index, :count]),
            np.asarray(a["box_voxels"][index, :count]),
            a["instances"][index].astype(np.int32) if "instances" in a else None,
            int(a["seed"][index]),
            index % self.frames_per_seed,
        )


def _settings(dataset: SyntheticDataset, instances: bool) -> dict[str, Any]:
    """Everything that decides what a cache holds, as JSON gives it back."""
    rig, (h, w) = dataset.full_rig, dataset.size
    return {
        "size": [h, w],
        "source_size": list(dataset.source_size),
        "scale": 1 / dataset.factor,
        "crop_top_px": dataset.crop_top_px,
        "seeds": [int(s) for s in dataset.seeds],
        "first_frame": dataset.first_frame,
        "frames_per_seed": dataset.frames_per_seed,
        "interval_s": 0.5,
        "jpeg": None if dataset.jpeg is None else list(dataset.jpeg),
        "instances": instances,
        "cameras": list(rig.cameras.names),
        "delays_s": np.asarray(rig.delays_s).tolist(),
        "intrinsics": rig.cameras.intrinsics.tolist(),
        "base_from_camera": rig.cameras.base_from_camera.tolist(),
    }


def _refuse_other_settings(cache: FrameCache, meta: dict[str, Any]) -> None:
    """Half of one data set and half of another are none: a cache is only continued as it was begun."""
    for key, value in meta.items():
        there = cache.meta.get(key, "not recorded")
        if there != value:
            raise InputError(
                f"{cache.path} was begun with {key} {_brief(there)}, not {_brief(value)}; "
                "remove the folder to draw it anew, or choose another one"
            )


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:40]} ... {text[-16:]}"


def write_cache(path: str | Path, dataset: SyntheticDataset, instances: bool = False, progress: Any = None) -> None:
    """Draw all frames of a data set into a ``FrameCache`` at ``path``.

    A cache that was left half written is continued.

    Args:
        instances: also keep the instance ids (1.3 MB per frame).
        progress: called with the number of frames done.

    Raises:
        InputError: the folder holds a cache of other drives or settings.
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    rig, (h, w), total = dataset.full_rig, dataset.size, len(dataset)
    cameras = len(rig.delays_s)
    layout: dict[str, tuple[type, tuple[int, ...]]] = {
        "images": (np.uint8, (cameras, h, w, 3)),
        "depth_cm": (np.uint16, (cameras, h, w)),
        "labels_2d": (np.uint8, (cameras, h, w)),
        "voxels": (np.uint8, (200, 200, 16)),
        "odom_from_base": (np.float64, (cameras, 4, 4)),
        "stamp_ns": (np.int64, ()),
        "seed": (np.int64, ()),
        "num_boxes": (np.int32, ()),
        "boxes": (np.float32, (MAX_BOXES, 9)),
        "box_labels": (np.uint8, (MAX_BOXES,)),
        "box_voxels": (np.int32, (MAX_BOXES,)),
    }
    if instances:
        layout["instances"] = (np.uint16, (200, 200, 16))
    meta = _settings(dataset, instances)
    started = (path / "progress.txt").exists()
    if started:
        _refuse_other_settings(FrameCache(path), meta)
    arrays: dict[str, Any] = {
        name: np.lib.format.open_memmap(
            path / f"{name}.npy",
            "r+" if started else "w+",
            None if started else dtype,
            None if started else (total, *shape),
        )
        for name, (dtype, shape) in layout.items()
    }
    if not started:
        (path / "meta.json").write_text(json.dumps(meta, indent=1))
        (path / "progress.txt").write_text("0")
    for i in range(int((path / "progress.txt").read_text()), total):
        frame = dataset.frame(i)
        arrays["images"][i] = frame.images
        arrays["depth_cm"][i] = np.minimum(np.round(frame.depth_m * 100), 65535)
        arrays["labels_2d"][i] = frame.labels_2d
        arrays["voxels"][i] = frame.semantics | frame.mask_camera * _CAMERA_BIT | frame.mask_lidar * _LIDAR_BIT
        arrays["odom_from_base"][i] = frame.odom_from_base
        arrays["stamp_ns"][i], arrays["seed"][i] = frame.stamp_ns, frame.seed
        count = len(frame.boxes)
        arrays["num_boxes"][i] = count
        arrays["boxes"][i, :count] = frame.boxes
        arrays["box_labels"][i, :count] = frame.box_labels
        arrays["box_voxels"][i, :count] = frame.box_voxels
        if instances:
            arrays["instances"][i] = frame.instances
        (path / "progress.tmp").write_text(str(i + 1))
        (path / "progress.tmp").replace(path / "progress.txt")
        if progress is not None:
            progress(i + 1)
