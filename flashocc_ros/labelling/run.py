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

"""Label whole drives into a folder, and say what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from flashocc_ros.bags.results import rig_at_key
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.data.label_files import FrameFiles, SceneWriter, camera_facts, class_facts, picture_files
from flashocc_ros.data.synthetic.truth import camera_mask
from flashocc_ros.errors import InputError
from flashocc_ros.labelling import page, writer
from flashocc_ros.labelling.class_ids import as_seen
from flashocc_ros.labelling.frame import Labels
from flashocc_ros.labelling.quality import judge, mean_of, shown
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.stream import Event, Key, LabelledKey, Labeller

LIMITS = {
    "pierced": (
        0.12,
        "boxes are missing or elsewhere, the poses of the vehicle jump, or lidar and vehicle have clocks apart",
    ),
    "outside": (0.5, "boxes are too small, late or of another frame"),
    "empty_boxes": (0.6, "boxes fit nothing: check their frame, their stamps and their middle"),
    "drift_m": (
        0.02,
        "the poses of the vehicle drift within seconds, and walls become thick: better odometry is needed",
    ),
}
"""Mean of a drive beyond which it is said that something is wrong, and what is likely."""
LEAST_COVERAGE = 0.5


class DriveSource(Protocol):
    """A drive: a recording, or a scene of nuScenes."""

    @property
    def by_class(self) -> bool: ...

    @property
    def has_boxes(self) -> bool: ...

    @property
    def remarks(self) -> list[str]: ...

    @property
    def seconds(self) -> float: ...

    @property
    def start_ns(self) -> int: ...

    def say(self, sentence: str) -> None: ...

    def events(self) -> Any: ...


@dataclass(frozen=True)
class Summary:
    """What came out of a drive."""

    scene: str
    frames: int
    new: int
    quality: dict[str, float | None]
    folder: Path


def label_drive(
    drive: DriveSource,
    out: Path,
    scene: str,
    sources: dict[str, Any],
    settings: Settings,
    *,
    pictures: bool = True,
    progress: Callable[[float], object] | None = None,
    token_of: Callable[[Key], str] = lambda key: str(key.stamp_ns),
) -> Summary:
    """Labels of all key frames of a drive that are not there yet.

    Args:
        out: labels go to ``out/scene/token``.
        sources: what the drive is made of, for the manifest and to tell another one.
        pictures: keep the cameras' pictures beside the labels.
        progress: called with the share of the drive that is done.

    Raises:
        InputError: no key frame could be labelled.
        ConfigError: the folder holds other labels.
        OutputError: it cannot be written.
    """
    made_of = {"settings": writer.described(settings), "sources": sources}
    target = SceneWriter(out, scene, writer.fingerprint(settings, sources), made_of)
    if (manifest := target.complete) is not None:
        return Summary(scene, len(manifest["frames"]), 0, manifest["quality"], target.folder)
    labeller = Labeller(settings, drive.by_class, drive.has_boxes)
    new, skipped = 0, 0

    def wanted() -> Any:
        event: Event
        for event in drive.events():
            if not isinstance(event, Key) or not target.done(token_of(event)):
                yield event

    try:
        for item in labeller.run(wanted()):
            if not item.nearest:
                skipped += 1
                continue
            target.write(token_of(item.key), _files(item, token_of(item.key), settings, drive.has_boxes, pictures))
            new += 1
            if progress is not None:
                progress((item.key.stamp_ns - drive.start_ns) / 1e9 / max(drive.seconds, 1e-9))
    finally:
        target.drop_empty()
    frames = target.frames()
    if not frames:
        why = (
            f"{skipped} have no sweep of the lidar within {settings.window_s:g} s; are lidar and cameras of one clock?"
        )
        none = "there is none: no camera set is complete and has poses; flashocc doctor says what is missing"
        raise InputError(f"{scene}: no key frame was labelled: {why if skipped else none}")
    if skipped:
        drive.say(f"{skipped} key frames have no sweep of the lidar within {settings.window_s:g} s and are left out")
    quality = mean_of([facts["quality"] for facts in frames])
    _warn(drive, quality, len(frames))
    page.write_page(target.folder, frames, quality, settings.grid, settings.classes)
    target.finish(
        {
            "scene": scene,
            **made_of,
            "quality": quality,
            "remarks": drive.remarks,
            "frames": [{"token": facts["token"], "sha256": facts["sha256"]} for facts in frames],
        }
    )
    return Summary(scene, len(frames), new, quality, target.folder)


def _warn(drive: DriveSource, quality: dict[str, float | None], frames: int) -> None:
    if frames == 1:
        drive.say("one key frame only: surfaces are as sparse as a few sweeps; drive on for seconds around it")
    for name, (limit, likely) in LIMITS.items():
        value = quality.get(name)
        if value is not None and value > limit:
            drive.say(f"{name} is {shown(name, value)}, limit {shown(name, limit)}: {likely}")
    coverage = quality.get("coverage")
    if coverage is not None and coverage < LEAST_COVERAGE:
        drive.say(
            f"coverage is {coverage:.0%}, limit {LEAST_COVERAGE:.0%}: too few sweeps around the key frames, rays "
            "without return are not recorded, or the lidar does not look where the cameras do"
        )


def seen_by_cameras(labels: Labels, cameras: CameraSet, settings: Settings) -> npt.NDArray[np.bool_]:
    """(X, Y, Z) what cameras see of labels by the package's own rule, whether it is labelled or not."""
    hiding = as_seen(settings.classes)[labels.semantics]
    return camera_mask(hiding, rig_at_key(cameras), cameras.image_sizes, settings.grid).astype(bool)


def _files(item: LabelledKey, token: str, settings: Settings, has_boxes: bool, pictures: bool) -> FrameFiles:
    key, labels = item.key, item.labels
    base_from_fixed = np.asarray(np.linalg.inv(key.fixed_from_base))
    cameras = key.content if isinstance(key.content, CameraSet) else None
    seen: npt.NDArray[np.bool_] | None = None
    if cameras is not None:
        seen = seen_by_cameras(labels, cameras, settings)
    mask = labels.observed & seen if seen is not None else np.zeros_like(labels.observed)
    quality = judge(labels, seen, item.nearest, item.boxes, base_from_fixed, settings.grid, settings.classes)
    facts: dict[str, Any] = {
        "token": token,
        "stamp_ns": key.stamp_ns,
        "convention": settings.convention,
        **class_facts(settings.classes),
        "odom_from_base": key.fixed_from_base.tolist(),
        "quality": quality.as_dict(),
    }
    depth: dict[str, npt.NDArray[Any]] = {}
    images: dict[str, bytes] = {}
    if cameras is not None:
        facts |= camera_facts(cameras)
        depth = writer.depth_targets(cameras, item.nearest)
        images = picture_files(cameras) if pictures else {}
    arrays = writer.label_arrays(labels, mask, item.boxes, item.later, base_from_fixed)
    return FrameFiles(arrays, depth, images, facts)
