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

"""A page of the frames whose rays agree least with their labels, to look at."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from flashocc_ros.data.label_files import camera_model
from flashocc_ros.labelling.quality import shown
from flashocc_ros.labels import ClassTable
from flashocc_ros.structures import CameraRig, VoxelGrid
from flashocc_ros.viz.render import Figure, render_figure
from flashocc_ros.viz.video import write_png
from flashocc_ros.whole_file import write_whole

WORST = 3
FOLDER = "quality"
_WIDTH = 1024
"""Pixels of a picture: drawing takes longer than labelling it."""
_EXPLAINED = {
    "coverage": "of what cameras see is labelled",
    "pierced": "of rays go through what is labelled occupied",
    "missed": "of hits have nothing labelled around them",
    "outside": "of hits at boxes lie beside them",
    "empty_boxes": "of boxes within 30 m hold no hit",
    "guessed": "of occupied voxels have a class that nothing tells",
    "drift_m": "between the sweeps of a moment and those of the other seconds",
}


def write_page(
    folder: Path, frames: list[dict[str, Any]], mean: dict[str, float | None], grid: VoxelGrid, classes: ClassTable
) -> Path:
    """``<folder>/quality/index.html`` with a picture of each of the worst frames.

    Args:
        folder: of a drive; frames: their ``frame.json``.

    Raises:
        OutputError: it cannot be written.
    """
    ranked = sorted(frames, key=lambda f: (-_badness(f["quality"]), f["stamp_ns"]))[:WORST]
    rows = []
    for place, facts in enumerate(ranked, 1):
        picture = render_figure(label_figure(folder / facts["token"], facts, grid, classes), _WIDTH)
        name = f"worst_{place}.png"
        write_png(folder / FOLDER / name, picture)
        text = ", ".join(f"{k} {shown(k, v)}" for k, v in facts["quality"].items() if v is not None)
        rows.append(f'<h2>{html.escape(facts["token"])}</h2><p>{text}</p><img src="{name}" style="width:100%">')
    table = "".join(
        f"<tr><td>{name}</td><td>{shown(name, value)}</td><td>{_EXPLAINED[name]}</td></tr>"
        for name, value in mean.items()
        if value is not None
    )
    page = folder / FOLDER / "index.html"
    write_whole(
        page,
        "<!doctype html><meta charset=utf-8><title>Labels</title><body style='font-family:sans-serif;margin:2em'>"
        f"<h1>{html.escape(folder.name)}: {len(frames)} key frames</h1><table cellpadding=6>{table}</table>"
        f"<p>The frames whose rays agree least with their labels:</p>{''.join(rows)}</body>\n",
    )
    return page


def _badness(quality: dict[str, float | None]) -> float:
    return (quality.get("pierced") or 0.0) + (quality.get("missed") or 0.0)


def label_figure(folder: Path, facts: dict[str, Any], grid: VoxelGrid, classes: ClassTable) -> Figure:
    """Labels of a key frame over its pictures, in 3D and from above.

    Args:
        folder: of the key frame; facts: its ``frame.json``.
    """
    with np.load(folder / "labels.npz") as arrays:
        semantics = np.where(arrays["mask_lidar"] > 0, arrays["semantics"], classes.free).astype(np.uint8)
    cameras = [c for c in facts.get("cameras", ()) if (folder / c["picture"]).is_file()]
    images, rig = [], None
    if cameras:
        images = [np.asarray(Image.open(folder / c["picture"]).convert("RGB")) for c in cameras]
        base_from_odom = np.linalg.inv(np.array(facts["odom_from_base"]))
        poses = [base_from_odom @ np.array(c["odom_from_base"]) @ np.array(c["base_from_camera"]) for c in cameras]
        intrinsics, models = np.array([c["intrinsics"] for c in cameras]), [camera_model(c) for c in cameras]
        rig = CameraRig([c["name"] for c in cameras], intrinsics, np.array(poses), models)
    details = [f"{name} {shown(name, value)}" for name, value in facts["quality"].items() if value is not None]
    title = f"labels {facts['token']}"
    return Figure(semantics, images=images, rig=rig, title=title, details=details, grid=grid, classes=classes)
