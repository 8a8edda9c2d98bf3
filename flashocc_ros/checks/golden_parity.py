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

"""Comparing a network, stage by stage, with outputs stored from the reference implementation (golden files)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from flashocc_ros.errors import InputError
from flashocc_ros.geometry import Geometry, lift_table
from flashocc_ros.model.network import Align, FlashOcc
from flashocc_ros.model.outputs import ModelOutput
from flashocc_ros.npz_damage import NPZ_DAMAGE
from flashocc_ros.pipeline.decode import Centers, decode_centers
from flashocc_ros.pipeline.reference_instances import reference_instances
from flashocc_ros.variants import Variant

TOLERANCE_STD = 1e-3
"""Largest accepted difference in units of a tensor's standard deviation."""
MAX_OUTLIER_SHARE = {"bev_pool": 1e-3, "pre_process": 1e-3, "bev_enc_in": 1e-3, "cost_volume": 1e-2}
"""Share of numbers that may exceed it: points on cell borders move with the last bit, and the softmax of matching costs
magnifies rounding. Of Swin-B's costs 0.7 % exceed it in the two cameras looked at, and as many when everything here is
computed in float64: what is left may be the reference's positions, which it computes in float32; that was not shown."""
MAX_POINT_DIFFERENCE = 10
MAX_CENTER_M = 1e-3
MAX_INSTANCE_SHARE = 1e-3
"""Share of voxels that may belong to another instance: a centre on a voxel border moves the border between two."""

# Which numbers of each tensor a golden file keeps, by number of axes behind the batch.
_SLICES: dict[str, dict[int, tuple[slice, ...]]] = {
    "img_feat": {4: np.s_[:, ::16, ::2, ::4]},
    "stereo_feat": {4: np.s_[:, ::32, ::8, ::8]},
    "cost_volume": {4: np.s_[:, ::8, ::8, ::8]},
    "mlp_input": {2: np.s_[:, :]},
    "depth": {4: np.s_[:, ::4, ::2, ::4]},
    "bev_pool": {3: np.s_[::8, ::5, ::5], 4: np.s_[::8, ::3, ::8, ::8]},
    "pre_process": {3: np.s_[::8, ::5, ::5], 4: np.s_[::8, ::3, ::8, ::8]},
    "bev_enc_in": {3: np.s_[::16, ::8, ::8], 4: np.s_[::8, ::3, ::8, ::8]},
    "bev_out": {3: np.s_[::16, ::5, ::5], 4: np.s_[::4, ::3, ::8, ::8]},
    "occ_logits": {4: np.s_[::10, ::10, ::3, :]},
    "head_heatmap": {3: np.s_[:, ::4, ::4]},
    "head_reg": {3: np.s_[:, ::4, ::4]},
    "head_height": {3: np.s_[:, ::4, ::4]},
}


@dataclass(frozen=True)
class Stage:
    """One compared tensor.

    Attributes:
        name: name in the golden file.
        max_std: largest difference in standard deviations of the golden tensor.
        outliers: numbers beyond ``TOLERANCE_STD``.
        size: numbers compared.
        passed: within the tolerance, up to ``MAX_OUTLIER_SHARE``.
    """

    name: str
    max_std: float
    outliers: int
    size: int
    passed: bool


@dataclass(frozen=True)
class InstanceParity:
    """Object centres and the instance grid of the published decoding, mistakes included.

    Attributes:
        centers: how many were found.
        expected: how many the reference found.
        max_m: largest distance to the reference's nearest centre of the same class, and the other way round.
        differing_voxels: voxels of another instance, whatever the ids are called.
        passed: as many centres, at the same places, with the same voxels up to ``MAX_INSTANCE_SHARE``.
    """

    centers: int
    expected: int
    max_m: float
    differing_voxels: int
    passed: bool


@dataclass(frozen=True)
class Parity:
    """Result of one golden file.

    Attributes:
        golden: file name.
        align: how previous frames were aligned.
        stages: compared tensors in network order.
        point_difference: largest difference in kept frustum points over all frames.
        differing_voxels: voxels whose class differs.
        wrong_voxels: those of them that rounding does not explain.
        instances: only of variants with the centre head.
    """

    golden: str
    align: Align
    stages: tuple[Stage, ...]
    point_difference: int
    differing_voxels: int
    wrong_voxels: int
    instances: InstanceParity | None = None

    @property
    def passed(self) -> bool:
        """True when every stage is within tolerance, no voxel is wrong and the instances agree."""
        return (
            all(stage.passed for stage in self.stages)
            and self.point_difference <= MAX_POINT_DIFFERENCE
            and self.wrong_voxels == 0
            and (self.instances is None or self.instances.passed)
        )


@dataclass(frozen=True, eq=False)
class Golden:
    """A stored result of the reference: arrays by name, its notes and the geometry it was made with."""

    name: str
    arrays: Mapping[str, npt.NDArray[Any]]
    meta: Mapping[str, Any]
    geometry: Geometry

    @property
    def align(self) -> Align:
        """The alignment the reference used; models without history know none, 3D ones only "lift"."""
        return "warp" if self.meta["align_after_view_transformation"] else "lift"


def read_golden(path: str | os.PathLike[str], variant: Variant) -> Golden:
    """Load a golden file of ``variant``.

    Raises:
        InputError: not such a file, or of another variant.
    """
    file = Path(path)
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        meta = json.loads(arrays["meta_json"].tobytes())
        frames = variant.num_input_frames
        sensor2ego, ego2global, intrinsics, post_rot, post_tran = (
            arrays[name].reshape(frames, -1, *arrays[name].shape[1:])
            for name in ("sensor2ego", "ego2global", "intrin", "post_rot", "post_tran")
        )
        geometry = Geometry(sensor2ego, ego2global, intrinsics, post_rot, post_tran, arrays["bda"])
    except NPZ_DAMAGE as error:
        raise InputError(f"{file} is no golden file of {variant.name} ({error})") from None
    if meta["config"] != variant.name:
        raise InputError(f"{file} belongs to {meta['config']}, not to {variant.name}")
    return Golden(file.name, arrays, meta, geometry)


def compare_golden(
    model: FlashOcc, golden: Golden, pictures: npt.NDArray[np.float32], align: Align | None = None
) -> Parity:
    """Run the network, where it lies, on the golden's geometry and compare everything the file holds.

    Args:
        pictures: (N, 3, H, W) float32, normalised; the same pictures serve all frames, as in the golden files.
        align: None takes the golden's own.
    """
    variant = model.variant
    align = align or golden.align
    device = next(model.parameters()).device
    frames = torch.from_numpy(pictures).to(device)[None].expand(variant.num_input_frames, -1, -1, -1, -1)
    with torch.inference_mode(), _recorded(model) as tensors:
        out = model(frames, golden.geometry, align)
    tensors.update(bev_out=out.bev_out, occ_logits=out.occ_logits, bev_pool_f0=out.bev_pool)
    tensors.update({f"head_{n}": t for n in ("heatmap", "reg", "height") if (t := getattr(out, n)) is not None})

    stages = [_compare(name, tensor, golden.arrays[name]) for name, tensor in tensors.items() if name in golden.arrays]
    labels = out.occ_logits.argmax(-1).cpu().numpy().astype(np.uint8)
    differing = labels != golden.arrays["occ"]
    ambiguous = np.unpackbits(golden.arrays["occ_ambiguous_bits"], count=labels.size).astype(bool)
    return Parity(
        golden=golden.name,
        align=align,
        stages=tuple(stages),
        point_difference=_point_difference(variant, golden, align),
        differing_voxels=int(differing.sum()),
        wrong_voxels=int((differing & ~ambiguous.reshape(labels.shape)).sum()),
        instances=_compare_instances(variant, out, labels, golden) if "pano_inst" in golden.arrays else None,
    )


def _compare(name: str, tensor: Tensor, expected: npt.NDArray[np.float32]) -> Stage:
    kind = name.rsplit("_f", 1)[0] if name.rsplit("_f", 1)[-1].isdigit() else name
    actual = tensor.cpu().numpy()[_SLICES[kind][tensor.ndim]]
    difference = np.abs(actual - expected) / max(float(expected.std()), 1e-12)
    outliers = int((difference > TOLERANCE_STD).sum())
    allowed = MAX_OUTLIER_SHARE.get(kind, 0) * difference.size
    return Stage(name, float(difference.max()), outliers, difference.size, outliers <= allowed)


def _compare_instances(
    variant: Variant, out: ModelOutput, labels: npt.NDArray[np.uint8], golden: Golden
) -> InstanceParity:
    assert out.heatmap is not None
    assert out.reg is not None
    assert out.height is not None
    heatmap, reg, height = (tensor.cpu().numpy() for tensor in (out.heatmap, out.reg, out.height))
    found = decode_centers(heatmap, reg, height, variant.score_threshold)
    names = ("center_xyz", "center_score", "center_label")
    xyz, score, detection = (golden.arrays[name] for name in names)
    expected = Centers(xyz, score, detection.astype(np.int64))
    max_m = max(_farthest_m(found, expected), _farthest_m(expected, found))
    grid, _ = reference_instances(labels, found)
    theirs = golden.arrays["pano_inst"].astype(np.int32)
    differing = max(_split_voxels(grid, theirs), _split_voxels(theirs, grid))
    passed = len(found) == len(expected) and max_m <= MAX_CENTER_M and differing <= MAX_INSTANCE_SHARE * grid.size
    return InstanceParity(len(found), len(expected), max_m, differing, passed)


def _farthest_m(centers: Centers, others: Centers) -> float:
    """Largest distance in metres from any of ``centers`` to the nearest of ``others`` of its class."""
    if not len(centers):
        return 0.0
    distance = np.linalg.norm(centers.xyz_m[:, None] - others.xyz_m[None], axis=2)
    same = centers.detection[:, None] == others.detection[None]
    return float(np.where(same, distance, np.inf).min(axis=1, initial=np.inf).max())


def _split_voxels(grid: npt.NDArray[np.int32], other: npt.NDArray[np.int32]) -> int:
    """Voxels outside the best overlap of each id of ``grid`` with an id of ``other``, whatever the ids are called."""
    pairs, counts = np.unique(np.stack([grid.ravel(), other.ravel()]), axis=1, return_counts=True)
    best = np.zeros(int(grid.max()) + 1, np.int64)
    np.maximum.at(best, pairs[0], counts)
    return int(grid.size - best.sum())


def _point_difference(variant: Variant, golden: Golden, align: Align) -> int:
    kept = golden.arrays["voxel_points_kept_and_occupied_cells_per_call"][:, 0]
    geometry = golden.geometry if align == "lift" else golden.geometry.at_key_poses()
    worst = 0
    for frame, expected in zip(golden.arrays["call_frame_ids"], kept, strict=True):
        worst = max(worst, abs(lift_table(variant, geometry, int(frame)).point_index.size - int(expected)))
    return worst


@contextmanager
def _recorded(model: FlashOcc) -> Iterator[dict[str, Tensor]]:
    """Collect intermediate tensors by golden name while the network runs; frames pass oldest first."""
    tensors: dict[str, Tensor] = {}
    handles = []
    last = model.variant.num_frames - 1

    def keep(module: nn.Module | None, collect: Any) -> None:
        if module is None:
            return
        calls = iter(range(last, -1, -1))

        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            frame = next(calls)
            tensors.update({f"{name}_f{frame}": t for name, t in collect(inputs, output).items() if t is not None})

        handles.append(module.register_forward_hook(hook))

    keep(model.img_neck, lambda _, output: {"img_feat": output})
    keep(
        model.img_view_transformer,
        lambda inputs, output: {
            "mlp_input": inputs[1] if model.variant.depth_net else None,
            "stereo_feat": inputs[2],
            "depth": output[0],
        },
    )
    keep(getattr(model.img_view_transformer.depth_net, "cost_volume", None), lambda _, out: {"cost_volume": out})
    keep(model.pre_process_net, lambda inputs, out: {"bev_pool": inputs[0][0], "pre_process": out[-1][0]})
    handles.append(
        model.img_bev_encoder_backbone.register_forward_hook(
            lambda _, inputs, __: tensors.update(bev_enc_in=inputs[0][0])
        )
    )
    try:
        yield tensors
    finally:
        for handle in handles:
            handle.remove()
