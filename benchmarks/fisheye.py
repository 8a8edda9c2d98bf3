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

"""Four fisheyes of 190 degrees lifted along their own rays, and the same pictures straightened to pinholes.

    python -m benchmarks.fisheye lift --seeds 1000:1004                          # true depth, against the formula
    python -m benchmarks.fisheye draw --work out/fisheye --drives 240            # pictures of both kinds to train on
    python -m benchmarks.fisheye train --work out/fisheye --kind rays            # and --kind rectify, equally long
    python -m benchmarks.fisheye judge --work out/fisheye --seeds 1000:1012

Both trainings start from the weights of synthetic-tiny, see the same drives in the same order and are told the same
voxels, those that the fisheyes see. ``judge`` counts in two masks: what the fisheyes see, and what is left of it in
the straightened pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.rectify import Lens, Rectifier
from flashocc_ros.data.synthetic.cache import write_cache
from flashocc_ros.data.synthetic.dataset import NetworkFrame, SyntheticDataset
from flashocc_ros.data.synthetic.drive import Drive, KeyFrame
from flashocc_ros.data.synthetic.rig import SyntheticRig, surround_rig
from flashocc_ros.data.synthetic.truth import camera_mask
from flashocc_ros.evaluation.mean_iou import MeanIoU
from flashocc_ros.geometry import lift_table
from flashocc_ros.geometry.camera_models import rays_of_pixels
from flashocc_ros.labels import FREE, GROUND_LAYERS
from flashocc_ros.pipeline.set_geometry import rig_geometry
from flashocc_ros.structures import OCC3D_GRID, CameraRig
from flashocc_ros.variants import DepthBins, get_variant

VARIANT = "synthetic-tiny"
SOURCE_SIZE = (352, 704)
KINDS = ("rays", "rectify")


# ---------------------------------------------------------------- the two kinds of pictures
def rectifiers(rig: CameraRig, size: tuple[int, int]) -> list[Rectifier]:
    """As the node makes them from CameraInfo."""
    found = []
    for name, intrinsic, model in zip(rig.names, rig.intrinsics, rig.models, strict=True):
        rectifier = Rectifier(name)
        rectifier.update(Lens(intrinsic.tolist(), model.coefficients, "equidistant", size[1], size[0]))
        found.append(rectifier)
    return found


def straight_rig(rig: CameraRig, size: tuple[int, int]) -> CameraRig:
    return replace(rig, intrinsics=np.stack([r.prepare(size)[0] for r in rectifiers(rig, size)]), models=())


def straightened(key: KeyFrame) -> KeyFrame:
    """Pictures, depths and labels of pinholes; the voxels and their mask stay those of the fisheyes."""
    size = key.images[0].shape[:2]
    rig = straight_rig(key.rig, size)
    images, depths, labels = [], [], []
    for index, rectifier in enumerate(rectifiers(key.rig, size)):
        matrix, maps = rectifier.prepare(size)
        assert maps is not None
        images.append(rectifier(key.images[index])[0])
        pixels = np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), -1).astype(np.float64)
        ray = rays_of_pixels(rig.models[index], matrix, pixels)
        cosine = 1 / np.linalg.norm(ray, axis=-1)
        nearest = [cv2.remap(plane, *maps, cv2.INTER_NEAREST) for plane in (key.depth[index], key.labels_2d[index])]
        depths.append((nearest[0] * cosine).astype(np.float32))
        labels.append(nearest[1])
    return replace(key, images=images, depth=np.stack(depths), labels_2d=np.stack(labels), rig=rig)


class Straightened(SyntheticDataset):
    """The data set of the fisheyes, each frame straightened."""

    @property
    def full_rig(self) -> SyntheticRig:
        rig = super().full_rig
        return replace(rig, cameras=straight_rig(rig.cameras, rig.image_size))

    def _reduce(self, key: KeyFrame) -> NetworkFrame:
        return super()._reduce(straightened(key))


def draw(work: Path, drives: int, kind: str) -> None:
    dataset = SyntheticDataset if kind == "rays" else Straightened
    data = dataset(range(drives), frames_per_seed=1, rig=surround_rig(), source_size=SOURCE_SIZE)
    write_cache(work / kind, data, progress=lambda done, total: done % 20 or print(f"{kind}: {done} of {total}"))


# ---------------------------------------------------------------- training
def train(work: Path, kind: str, iterations: int, rate: float) -> None:
    from flashocc_ros import weights
    from flashocc_ros.training.config import TrainConfig
    from flashocc_ros.training.loop import train as run
    from flashocc_ros.training.processes import worker_group
    from flashocc_ros.training.sources import open_source

    config = TrainConfig.model_validate(
        {
            "variant": VARIANT,
            "data": {"kind": "synthetic", "cache": str(work / kind)},
            "init": str(weights.path(VARIANT)),
            "batch_size": 2,
            "workers": 0,
            "optimizer": {"lr": rate, "muon_lr": 10 * rate},
            "schedule": {"iterations": iterations, "warmup_iterations": 20, "decay_start": iterations // 2},
            "ema": {"decay": 0.9, "start": 0},
            "loss": {"columns": 4096},
            "checkpoint_every": 50,
            "log_every": 20,
        }
    )
    out = work / f"run_{kind}"
    with worker_group("cpu") as worker:
        run(config, open_source(config), out, worker, resume=(out / "last.pt").exists(), quiet=True)


# ---------------------------------------------------------------- judging
class Score:
    """mIoU and above-ground IoU inside one mask."""

    def __init__(self) -> None:
        self.voxels, self.above = MeanIoU("camera"), np.zeros(2, np.int64)

    def add(self, found: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> None:
        self.voxels.update(found, truth, mask)
        a, b = (((v != FREE) & mask)[..., GROUND_LAYERS:] for v in (found, truth))
        self.above += (int((a & b).sum()), int((a | b).sum()))

    def result(self) -> dict[str, float]:
        hits, union = self.above
        return {
            "mIoU": round(float(self.voxels.compute()["mIoU"]), 4),
            "above_ground_IoU": round(hits / max(union, 1), 4),
        }


def held_out(seeds: range, frames: int) -> Iterator[KeyFrame]:
    for seed in seeds:
        yield from Drive(seed, 0.5 * frames, surround_rig(), SOURCE_SIZE, threads=1)


def judge(work: Path, seeds: range, frames: int) -> dict[str, Any]:
    from flashocc_ros.predictor import Predictor

    predictors = {
        (kind, weights): Predictor(VARIANT, path)
        for kind in KINDS
        for weights, path in (("shipped", None), ("trained", work / f"run_{kind}" / "weights.safetensors"))
        if path is None or path.exists()
    }
    scores = {(*key, mask): Score() for key in predictors for mask in ("fisheyes", "straightened")}
    shares = []
    for key in held_out(seeds, frames):
        straight = straightened(key)
        full = key.mask_camera > 0
        part = full & (camera_mask(key.semantics, straight.rig, SOURCE_SIZE) > 0)
        shares.append(part.sum() / full.sum())
        for (kind, weights), predictor in predictors.items():
            given = key if kind == "rays" else straight
            result = predictor(given.images, given.rig, given.odom_from_base, given.stamp_ns)
            for name, mask in (("fisheyes", full), ("straightened", part)):
                scores[kind, weights, name].add(result.semantics, key.semantics, mask)
    table = {" ".join(key): score.result() for key, score in scores.items()}
    return {"frames": len(shares), "left_of_the_mask": round(float(np.mean(shares)), 4), **table}


# ---------------------------------------------------------------- lift with true depth
def lift(seeds: range) -> dict[str, float]:
    """IoU of voxels lifted with true depth with the same rays by formula, and how many of them are truly occupied."""
    step_m = 0.02
    variant = replace(get_variant(VARIANT), depth=DepthBins(0.5, 60.0, step_m))
    hits = union = occupied = lifted_count = beyond = 0
    for key in held_out(seeds, 1):
        rig, (height, width) = key.rig, SOURCE_SIZE
        still = rig_geometry(rig, [SOURCE_SIZE] * rig.num_cameras, variant, key.odom_from_base)
        table = lift_table(variant, still)
        _, depths, rows, columns = table.frustum_shape
        net_height, net_width = variant.input_size
        u = np.linspace(0, net_width - 1, columns) * width / net_width
        v = np.linspace(0, net_height - 1, rows) * height / net_height
        depth = key.depth[:, np.rint(v).astype(int)][:, :, np.rint(u).astype(int)]
        # the table's own points: the bin of the true depth of each cell of the feature map
        bins = np.rint((depth - variant.depth.start_m) / step_m).astype(np.int64)
        known = (depth > 0) & (bins >= 0) & (bins < depths)
        camera, row, column = np.nonzero(known)
        points = ((camera * depths + bins[known]) * rows + row) * columns + column
        cell_of_point = np.full(table.num_points_total, -1, np.int64)
        cell_of_point[table.point_index] = np.repeat(table.cell_index, np.diff(table.cell_start))
        lifted = np.zeros(table.num_cells, bool)
        cells = cell_of_point[points]
        lifted[cells[cells >= 0]] = True
        # by formula: an ideal equidistant lens, angle = radius / focal length
        x, y = np.meshgrid(u - rig.intrinsics[0, 0, 2], v - rig.intrinsics[0, 1, 2])
        angle, around = np.hypot(x, y) / rig.intrinsics[0, 0, 0], np.arctan2(y, x)
        beyond += int((known & (angle > np.pi / 2)).sum())
        ray = np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], -1)
        at = np.einsum("cij,chwj->chwi", rig.base_from_camera[:, :3, :3], ray[None] * depth[..., None])
        at = (at + rig.base_from_camera[:, None, None, :3, 3])[known]
        size = np.array(table.grid_shape[::-1])
        index = np.floor((at - OCC3D_GRID.origin_m) / ((80.0, 80.0, 6.4) / size)).astype(int)
        index = index[((index >= 0) & (index < size)).all(1)]
        formula = np.zeros(table.grid_shape, bool)
        formula[index[:, 2], index[:, 1], index[:, 0]] = True
        hits += int((lifted & formula.ravel()).sum())
        union += int((lifted | formula.ravel()).sum())
        # the lift's slices are coarser than voxels: true where any voxel of the slice is occupied
        true = (key.semantics != FREE).reshape(200, 200, table.grid_shape[0], -1).any(-1).transpose(2, 1, 0)
        occupied += int((lifted & true.ravel()).sum())
        lifted_count += int(lifted.sum())
    return {
        "IoU_with_formula": round(hits / union, 4),
        "lifted_cells": lifted_count,
        "points_beyond_90_degrees": beyond,
        "truly_occupied": round(occupied / lifted_count, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("lift", "draw", "train", "judge"))
    parser.add_argument("--work", type=Path, default=Path("out/fisheye"))
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--drives", type=int, default=240)
    parser.add_argument("--seeds", default="1000:1012")
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--rate", type=float, default=5e-4)
    given = parser.parse_args()
    seeds = range(*map(int, given.seeds.split(":")))
    if given.what == "lift":
        print(json.dumps(lift(seeds)))
    elif given.what == "judge":
        print(json.dumps(judge(given.work, seeds, given.frames), indent=1))
    else:
        for kind in (given.kind,) if given.kind else KINDS:
            if given.what == "draw":
                draw(given.work, given.drives, kind)
            else:
                train(given.work, kind, given.iterations, given.rate)


if __name__ == "__main__":
    main()
