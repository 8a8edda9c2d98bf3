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

"""The one table of networks: every variant is a typed row, nothing is inherited and nothing is registered.

Cheap to import (no torch, no numpy): the command line, the node's parameter check and the predictor all read it.
Counts and published numbers come from the reference repository; ``docs/variants.md`` adds measured costs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flashocc_ros.errors import ConfigError, did_you_mean
from flashocc_ros.variants.variant import DepthBins, Published, Variant

__all__ = ["VARIANTS", "get_variant"]

_D44 = DepthBins(step_m=1.0)
_D88 = DepthBins()

_BEVDET_OCC = Variant(
    name="bevdet-occ-r50",
    family="bevdet-occ",
    description="3D baseline: one frame, volumetric encoder",
    stands_for="BEVDetOCC (1f)",
    depth=_D88,
    lift_channels=32,
    lift_z_bins=16,
    encoder_channels=(32, 64, 128),
    encoder_blocks=(1, 2, 4),
    head="3d",
    head_channels=32,
    params_m=29.0215,
    gmacs=241.7578,
    gmacs_per_frame=241.7578,
    published=Published(miou=31.60),
)
_M0 = Variant(
    name="flashocc-r50-M0",
    family="flashocc",
    description="the fastest published network: one frame, 44 depth bins",
    stands_for="FlashOcc M0",
    depth=_D44,
    lift_channels=64,
    encoder_channels=(128, 256, 512),
    head="2d",
    head_channels=128,
    params_m=39.9389,
    gmacs=154.0964,
    gmacs_per_frame=154.0964,
    published=Published(miou=31.95),
)
_M2 = Variant(
    name="flashocc-r50-4d-stereo",
    family="flashocc",
    description="two frames, stereo matching, log-spaced depth bins",
    stands_for="FlashOcc M2",
    depth=replace(_D88, sid=True),
    lift_channels=80,
    depth_net=True,
    stereo=True,
    num_frames=2,
    preprocess_bev=True,
    encoder_channels=(160, 320, 640),
    head="2d",
    head_channels=256,
    depth_loss_weight=0.05,
    params_m=58.6684,
    gmacs=272.5537,
    gmacs_per_frame=298.771,
    published=Published(miou=37.84),
)
_M3 = replace(
    _M2,
    name="flashocc-stbase-4d-stereo-512x1408_4x4_2e-4",
    description="Swin-B at 512x1408, two frames, stereo matching",
    stands_for="FlashOcc M3",
    depth=_D88,
    input_size=(512, 1408),
    backbone="swin-b",
    neck_channels=512,
    params_m=144.9891,
    gmacs=1490.7708,
    gmacs_per_frame=2075.1251,
    published=Published(miou=43.52),
)
_TINY = replace(
    _M0,
    name="panoptic-flashocc-r50-depth-tiny",
    family="panoptic-flashocc",
    description="one frame, camera-aware depth, 44 depth bins",
    stands_for="Panoptic-FlashOcc tiny (1f)",
    depth_net=True,
    head="v2",
    depth_loss_weight=1.0,
    params_m=45.3177,
    gmacs=174.9976,
    gmacs_per_frame=174.9976,
    published=Published(miou=28.83, rayiou=34.57),
)
_DEPTH = replace(
    _TINY,
    name="panoptic-flashocc-r50-depth",
    description="one frame, 88 depth bins; this configuration carries the centre head too, like depth-pano",
    stands_for="Panoptic-FlashOcc (1f), the shipped configuration",
    depth=_D88,
    lift_channels=80,
    encoder_channels=(160, 320, 640),
    head_channels=256,
    panoptic=True,
    params_m=58.2149,
    gmacs=286.8256,
    gmacs_per_frame=286.8256,
    published=Published(miou=28.91, rayiou=34.93),
)
_DEPTH_PUBLISHED = replace(
    _DEPTH,
    name="panoptic-flashocc-r50-depth-published",
    description="the 50.12 M build the published numbers of depth belong to",
    stands_for="Panoptic-FlashOcc (1f), the published build",
    lift_channels=64,
    encoder_channels=(128, 256, 512),
    panoptic=False,
    params_m=50.1231,
    gmacs=269.4736,
    gmacs_per_frame=269.4736,
)
_DEPTH4D = replace(
    _DEPTH,
    name="panoptic-flashocc-r50-depth4d",
    description="two frames",
    stands_for="Panoptic-FlashOcc-4D (2f)",
    neck_channels=512,
    num_frames=2,
    preprocess_bev=True,
    panoptic=False,
    params_m=75.2589,
    gmacs=368.0986,
    gmacs_per_frame=361.1642,
    published=Published(miou=29.57, rayiou=35.99),
)
_LONG8 = replace(
    _DEPTH4D,
    name="panoptic-flashocc-r50-depth4d-longterm8f",
    description="key frame and eight previous ones",
    stands_for="Panoptic-FlashOcc-4D-Longterm (8f)",
    num_frames=9,
    params_m=76.8717,
    gmacs=None,
    gmacs_per_frame=377.2922,
    published=Published(miou=31.49, rayiou=38.51),
)
_LONG16 = replace(
    _LONG8,
    name="panoptic-flashocc-r50-depth4d-longterm16f",
    description="key frame and sixteen previous ones",
    stands_for="Panoptic-FlashOcc-4D-Longterm (16f)",
    num_frames=17,
    params_m=78.7149,
    gmacs_per_frame=395.7242,
    published=Published(),
)
_SYNTHETIC = Variant(
    name="synthetic-tiny",
    family="synthetic",
    description="small network for the synthetic world, one frame; trained weights are shipped",
    stands_for="none: ours",
    input_size=(176, 352),
    stride=4,
    depth=DepthBins(1.5, 58.0, 0.5, sid=True),
    backbone="resnet18",
    backbone_width=32,
    neck_channels=64,
    depth_net=True,
    reference_focal_px=178.0,
    lift_channels=16,
    lift_z_bins=8,
    stem_channels=48,
    stem_blocks=1,
    encoder_channels=(32, 64, 128),
    encoder_blocks=(2, 2, 2),
    head="v2",
    head_channels=32,
    occupancy_channels=64,
    panoptic=True,
    center_channels=16,
    depth_loss_weight=1.0,
    params_m=2.2377,
    gmacs=13.7435,
    gmacs_per_frame=13.7435,
    trained_on="synthetic",
)


def _panoptic(
    variant: Variant,
    params_m: float,
    published: Published,
    score_threshold: float = 0.3,
    description: str | None = None,
) -> Variant:
    """The same network with the centre head."""
    return replace(
        variant,
        name=f"{variant.name}-pano",
        description=description or f"{variant.description}, with instances",
        stands_for=f"{variant.stands_for}, with instances",
        panoptic=True,
        params_m=params_m,
        published=published,
        score_threshold=score_threshold,
    )


_ROWS: tuple[Variant, ...] = (
    _BEVDET_OCC,
    replace(
        _BEVDET_OCC,
        name="bevdet-occ-r50-4d-stereo",
        description="3D baseline: two frames, stereo matching",
        stands_for="BEVDetOCC-4D-Stereo (2f)",
        depth_net=True,
        stereo=True,
        num_frames=2,
        preprocess_bev=True,
        depth_loss_weight=0.05,
        params_m=34.9697,
        gmacs=374.1171,
        gmacs_per_frame=354.0035,
        published=Published(miou=36.1),
    ),
    replace(
        _BEVDET_OCC,
        name="bevdet-occ-stbase-4d-stereo-512x1408",
        description="3D baseline: Swin-B at 512x1408, two frames, stereo matching",
        stands_for="BEVDetOCC-4D-Stereo Swin-B (2f)",
        input_size=(512, 1408),
        backbone="swin-b",
        neck_channels=512,
        depth_net=True,
        stereo=True,
        num_frames=2,
        preprocess_bev=True,
        depth_loss_weight=0.05,
        params_m=121.2781,
        gmacs=1592.0916,
        gmacs_per_frame=2129.9936,
        published=Published(miou=42.0),
    ),
    _M0,
    replace(
        _M0,
        name="flashocc-r50",
        description="one frame, 88 depth bins",
        stands_for="FlashOcc M1",
        depth=_D88,
        head_channels=256,
        params_m=44.7443,
        gmacs=248.5724,
        gmacs_per_frame=248.5724,
        published=Published(miou=32.08),
    ),
    _M2,
    _M3,
    replace(
        _M3,
        name="flashocc-stbase-4d-stereo-512x1408_4x4_1e-2",
        description="Swin-B at 512x1408; the same network trained from ImageNet weights",
        stands_for="FlashOcc M3, second training run",
        published=Published(),
    ),
    _TINY,
    _panoptic(_TINY, 45.6250, Published(miou=29.14, rayiou=34.81, raypq=12.9)),
    _DEPTH,
    _panoptic(
        _DEPTH,
        58.2149,
        Published(miou=29.39, rayiou=35.22, raypq=13.2),
        description="one frame, 88 depth bins, with instances",
    ),
    _DEPTH_PUBLISHED,
    replace(
        _panoptic(_DEPTH_PUBLISHED, 50.5042, Published(miou=29.39, rayiou=35.22, raypq=13.2)),
        name="panoptic-flashocc-r50-depth-pano-published",
    ),
    _DEPTH4D,
    _panoptic(_DEPTH4D, 75.6399, Published(miou=30.31, rayiou=36.76, raypq=14.5)),
    _LONG8,
    _panoptic(_LONG8, 77.2527, Published(miou=31.57, rayiou=38.50, raypq=16.0)),
    _LONG16,
    _panoptic(_LONG16, 79.0959, Published(), score_threshold=0.1),
    _SYNTHETIC,
    replace(
        _SYNTHETIC,
        name="synthetic-tiny-4d",
        description="small network for the synthetic world, two frames; trained weights are shipped",
        num_frames=2,
        stereo=True,
        params_m=2.3376,
        gmacs=16.8728,
        gmacs_per_frame=16.8223,
    ),
)

VARIANTS: dict[str, Variant] = {row.name: row for row in _ROWS}
"""Every network by name, in the order of the documentation."""


SUFFIXES = (".yaml", ".yml")
"""Of variant files."""


def get_variant(name: str | Path | Variant) -> Variant:
    """The row called ``name``, or the one that the YAML file ``name`` describes; a row is returned as it is.

    Raises:
        ConfigError: no row has that name, the closest names are listed; or the file describes no network.
    """
    if isinstance(name, Variant):
        return name
    if not isinstance(name, str | Path):
        raise ConfigError(f"variant is {name!r}, needs a name; see `flashocc variants`.")
    if is_file(name):
        # Reading files takes libraries that the table alone should not wait for.
        from flashocc_ros.variants.file import read_variant

        return read_variant(Path(name), VARIANTS)
    name = str(name)
    if name in VARIANTS:
        return VARIANTS[name]
    hint = did_you_mean(name, VARIANTS) or "; see `flashocc variants`."
    raise ConfigError(f"unknown variant {name!r}{hint}")


def is_file(name: str | Path) -> bool:
    """Whether ``name`` is the path of a variant file rather than the name of a row."""
    return str(name).endswith(SUFFIXES)
