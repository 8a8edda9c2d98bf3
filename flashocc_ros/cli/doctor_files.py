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

"""What a file or folder is: a checkpoint, a recording, a folder of pictures or an export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flashocc_ros.bags.camera_sets import Frames
from flashocc_ros.bags.files import is_recording
from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.cameras.rig_check import RigFinding, check_poses, check_rig
from flashocc_ros.cli.doctor_findings import Finding
from flashocc_ros.data.frames import CALIBRATION_FILE, first_frame, has_calibration
from flashocc_ros.errors import BagError, CheckpointError, ConfigError, EngineError, InputError, OutputError
from flashocc_ros.remote import Location, only_local
from flashocc_ros.structures import CameraRig
from flashocc_ros.variants import get_variant, is_file

_NOTES = ("epoch", "iter", "updates", "time", "exp_name", "mmdet3d_version", "variant", "trained_on", "predicts")


def check(
    path: Location,
    picture: Path | None = None,
    base_frame: str = "base_link",
    tf_prefix: str = "",
    fisheye: Fisheye | None = None,
) -> list[Finding]:
    """Findings about ``path``; a damaged file is an error of its kind (CheckpointError, BagError, EngineError).

    Args:
        path: of any kind named above.
        picture: where the rig of a recording or a folder is drawn; None is ``out/doctor/<name of path>.png``.
        base_frame: of a recording: the frame of the vehicle.
        tf_prefix: of a recording: the namespace of its transforms.
        fisheye: what becomes of wide lenses of a recording or a folder, see ``data.frames.read_frames``.
    """
    if isinstance(path, Path) and has_calibration(path):
        return check_sets(path, picture, fisheye=fisheye)
    if is_recording(path):
        frames = Frames.of(base_frame, tf_prefix)
        return [*check_recording(path, frames), *check_sets(path, picture, frames, fisheye)]
    path = only_local(path, "what is no recording")
    if picture is not None:
        raise InputError(f"--picture draws the rig of a recording or a folder of pictures, and {path} is neither")
    if path.is_dir():
        if (path / "meta.json").is_file():
            return check_export(path)
        raise InputError(
            f"{path} is neither a recording (.mcap or .db3 files), nor pictures ({CALIBRATION_FILE}), "
            "nor an export (meta.json)"
        )
    if not path.is_file():
        raise InputError(f"{path} is not a regular file; give a checkpoint, a recording or the folder of an export")
    return check_variant(path) if is_file(path) else check_checkpoint(path)


def check_variant(path: Path) -> list[Finding]:
    """What a variant file describes; one that describes no network raises."""
    from flashocc_ros.cli.variants import counted, sheet

    first, *rest = sheet(counted(get_variant(path))).splitlines()
    return [Finding("ok", "variant", first), *(Finding("info", "", line) for line in rest)]


def check_checkpoint(path: Path) -> list[Finding]:
    """Format, size and the networks the weights fit; never runs anything the file holds."""
    from flashocc_ros.model.checkpoint import PREDICTS, check_values, compare_keys, fitting_variants
    from flashocc_ros.model.weights_file import read_weights
    from flashocc_ros.variants import VARIANTS

    weights = read_weights(path)
    origin = f", from its {weights.container}" if weights.container else ""
    findings = [
        Finding("ok", "format", f"{weights.format}, {path.stat().st_size / 1e6:.1f} MB{origin}"),
        Finding(
            "info",
            "content",
            f"{len(weights.tensors)} tensors, {weights.num_parameters / 1e6:.2f} M numbers, "
            f"stored as {', '.join(weights.stored_dtypes)}",
        ),
    ]
    findings += [Finding("info", key, weights.meta[key]) for key in _NOTES if key in weights.meta]
    try:
        check_values(path, weights.tensors)
    except CheckpointError as error:
        findings.append(Finding("error", "values", str(error)))
    fitting = fitting_variants(weights.tensors)
    if fitting:
        return [*findings, Finding("ok", "variant", " or ".join(fitting))]
    if PREDICTS in weights.meta:
        own = f"{weights.meta.get('variant', 'not named')}, of a variant file; give that file as --variant"
        return [*findings, Finding("ok", "fits", own)]
    mismatches = {name: compare_keys(weights.tensors, row) for name, row in VARIANTS.items()}
    nearest = min(mismatches, key=lambda name: mismatches[name].size)
    return [*findings, Finding("error", "variant", f"fits none; nearest is {nearest}: {mismatches[nearest]}")]


def check_recording(path: Location, frames: Frames) -> list[Finding]:
    """Duration, cameras and transforms."""
    from flashocc_ros.bags.cameras import colour_cameras
    from flashocc_ros.bags.reader import BagReader

    with BagReader(path) as bag:
        seconds = (bag.end_ns - bag.start_ns) / 1e9
        findings = [Finding("ok", "recording", f"{bag.message_count} messages in {seconds:.1f} s")]
        cameras = colour_cameras(bag, frames.tf_prefix)
        for name, topics in cameras.items():
            images = bag.topics[topics.image]
            findings.append(Finding("info", name, f"{images.count} x {images.type} on {topics.image}"))
        moving, static = frames.topics
        if moving not in bag.topics:
            findings.append(Finding("warn", moving, "not recorded; networks of several frames need odometry there"))
            if static not in bag.topics:
                findings.append(Finding("warn", static, "not recorded; it is what places the cameras"))
        return findings


def check_sets(
    path: Location,
    picture: Path | None,
    frames: Frames = Frames(),  # noqa: B008 - frozen
    fisheye: Fisheye | None = None,
) -> list[Finding]:
    """The first complete camera set, what is implausible about its rig and poses, and the rig as a picture."""
    try:
        first = first_frame(path, frames, fisheye)
    except (BagError, ConfigError, InputError) as error:
        return [Finding("error", "camera sets", str(error))]
    sizes, rig = first.image_sizes, first.rig
    text = f"{rig.num_cameras} cameras, shutters spread over {np.ptp(first.stamps_ns) / 1e6:.0f} ms"
    odd = (*check_rig(rig, sizes), *check_poses(rig.names, first.odom_from_base))
    found = [Finding(finding.level, "rig", finding.text) for finding in odd]
    return [
        Finding("ok", "camera sets", text),
        *(found or [Finding("ok", "rig", "plausible: axes, heights, distances and names fit")]),
        _drawn(path, picture, rig, sizes, odd),
    ]


def _drawn(
    path: Location, picture: Path | None, rig: CameraRig, sizes: Sequence[tuple[int, int]], odd: tuple[RigFinding, ...]
) -> Finding:
    from flashocc_ros.viz.rig import draw_rig
    from flashocc_ros.viz.video import write_png

    target = picture or Path("out/doctor") / f"{path.resolve().stem}.png"
    try:
        write_png(target, draw_rig(rig, sizes, odd, path.resolve().name))
    except OutputError as error:
        return Finding("warn", "picture", f"{error}; give another path with --picture")
    return Finding("info", "picture", f"the rig from above and from the side: {target}")


def check_export(path: Path) -> list[Finding]:
    """What was exported, and whether the files are the ones that were written."""
    from flashocc_ros.engine.store.meta import load_export

    try:
        meta = load_export(path)
    except EngineError as error:
        return [Finding("error", "export", str(error))]
    findings = [Finding("ok", "export", f"{meta.variant} in {meta.precision}, opset {meta.opset}, all hashes right")]
    findings += [Finding("info", name, graph.file) for name, graph in meta.graphs.items()]
    weights = "untrained" if meta.checkpoint_sha256 is None else f"checkpoint {meta.checkpoint_sha256[:12]}"
    return [*findings, Finding("info", "weights", weights)]
