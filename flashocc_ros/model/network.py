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

"""The FlashOcc network: stateless stages, and the all-frames-at-once forward that is composed of them.

A streaming predictor calls the stages one by one and keeps the maps between calls; nothing is remembered here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashocc_ros.errors import InputError
from flashocc_ros.geometry import Geometry, LiftTable, bev_warp_grid, camera_params, lift_table, stereo_grid
from flashocc_ros.model.bev_encoder import BevNeck, BevResNet
from flashocc_ros.model.canonical_depth import CanonicalDepthNet
from flashocc_ros.model.heads import CenterHead, OccupancyHead2D, OccupancyHead3D
from flashocc_ros.model.image_neck import ConcatNeck, TopDownNeck
from flashocc_ros.model.layers import BasicBlock, ConvUnit
from flashocc_ros.model.outputs import BatchOutput, EncodedImages, HeadTensors, ModelOutput, StereoContext
from flashocc_ros.model.pooling import pool
from flashocc_ros.model.resnet import resnet18, resnet50
from flashocc_ros.model.swin import swin_base
from flashocc_ros.model.view_transform import ViewTransform
from flashocc_ros.model.volume_encoder import VolumeNeck, VolumeResNet
from flashocc_ros.variants import Variant

Align = Literal["warp", "lift"]


class FlashOcc(nn.Module):
    """One network of the table; child names follow the published checkpoints."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        if variant.backbone == "swin-b":
            self.img_backbone: nn.Module = swin_base()
            self.img_neck: nn.Module = ConcatNeck((512, 1024), variant.neck_channels)
        else:
            width = variant.backbone_width
            resnet = resnet50(width) if variant.backbone == "resnet50" else resnet18(width, variant.stride)
            self.img_backbone = resnet
            self.img_neck = TopDownNeck(resnet.out_channels, variant.neck_channels)
        self.img_view_transformer = ViewTransform(variant)

        channels, merged = variant.encoder_channels, variant.encoder_channels[0] + variant.encoder_channels[2]
        if variant.volumetric:
            self.img_bev_encoder_backbone: nn.Module = VolumeResNet(
                variant.encoder_in_channels, channels, variant.encoder_blocks, (1, 2, 2)
            )
            self.img_bev_encoder_neck: nn.Module = VolumeNeck(sum(channels), variant.head_channels)
        else:
            self.img_bev_encoder_backbone = BevResNet(
                variant.encoder_in_channels, channels, variant.encoder_blocks, (2, 2, 2)
            )
            self.img_bev_encoder_neck = BevNeck(merged, variant.head_channels)
        self.pre_process_net: nn.Module | None = None
        if variant.preprocess_bev:
            encoder = VolumeResNet if variant.volumetric else BevResNet
            self.pre_process_net = encoder(variant.map_channels, [variant.map_channels], [1], [1])
        elif variant.stem_channels:
            thin = variant.stem_channels
            blocks = [BasicBlock(thin, thin) for _ in range(variant.stem_blocks)]
            self.pre_process_net = nn.Sequential(ConvUnit(variant.map_channels, thin, 1), *blocks)
        head_channels, head_in = variant.occupancy_channels or variant.head_channels, variant.head_in_channels
        heights, classes, detections = variant.grid.size[2], len(variant.classes), len(variant.classes.detections)
        self.occ_head: nn.Module = (
            OccupancyHead3D(head_channels, classes)
            if variant.volumetric
            else OccupancyHead2D(head_in, head_channels, heights, classes)
        )
        self.aux_centerness_head = (
            CenterHead(head_in, variant.center_channels, detections) if variant.panoptic else None
        )

    # --- stages -----------------------------------------------------------------------------------------------

    def stereo_feature(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to what is matched (N, c, h, w): the output of the backbone's stem, or patches of pixels."""
        patches = self._patches(images)
        return cast(Tensor, self.img_backbone.stem(images)) if patches is None else patches  # type: ignore[operator]

    def _patches(self, images: Tensor) -> Tensor | None:
        """(N, 16, H, W) descriptions of pixels where the variant matches those."""
        depth_net = self.img_view_transformer.depth_net
        if isinstance(depth_net, CanonicalDepthNet) and depth_net.stereo is not None:
            return depth_net.stereo.describe(images)
        return None

    def encode_images(
        self, images: Tensor, camera_params: Tensor | None = None, previous: StereoContext | None = None
    ) -> EncodedImages:
        """The image branch for N pictures of one time (or of a batch, flattened).

        Args:
            images: (N, 3, H, W) float32, normalised.
            camera_params: (N, 27), needed by variants with a depth network.
            previous: the previous frame's matching feature and sampling grid; only stereo variants.
        """
        fine, middle, coarse = self.img_backbone(images)
        feature = self.img_neck(middle, coarse)
        patches = self._patches(images)
        matched = fine if patches is None else patches
        depth, context = self.img_view_transformer(feature, camera_params, fine, matched, previous)
        return EncodedImages(depth, context, matched if self.variant.stereo else None)

    def pool(self, depth: Tensor, context: Tensor, table: LiftTable) -> Tensor:
        """Lift and sum one sample: (1, C, Dy, Dx), or (1, C, Dz, Dy, Dx) for volumetric variants.

        Several height slices of a flat variant collapse into channels z * C + c.
        """
        volume = pool(depth, context, table)
        return volume if self.variant.volumetric else volume.transpose(1, 2).flatten(1, 2)

    def preprocess_bev(self, bev: Tensor) -> Tensor:
        """The map as it is cached, warped and concatenated; the input itself where the variant has no such net.

        A stem reads x / sqrt(1 + |x|) of the sums x: near the vehicle hundreds of points fall into a cell, far away a
        few, and a thin network learns both only at one scale.
        """
        if self.pre_process_net is None:
            return bev
        if self.variant.stem_channels:
            return cast(Tensor, self.pre_process_net(bev * torch.rsqrt(1.0 + bev.abs())))
        return cast(Tensor, self.pre_process_net(bev)[-1])

    def warp(self, maps: Tensor, grids: Tensor) -> Tensor:
        """Sample maps (B, C, Dy, Dx) or (B, C, Dz, Dy, Dx) at grids (B, Dy, Dx, 2), zero outside."""
        flat = maps.flatten(1, -3)
        warped = F.grid_sample(flat, grids, mode="bilinear", padding_mode="zeros", align_corners=True)
        return warped.reshape(maps.shape)

    def concatenate(self, key: Tensor, history: Sequence[Tensor]) -> Tensor:
        """Maps along channels in the order the weights expect; ``history`` is newest first."""
        ordered = [*reversed(history), key] if self.variant.oldest_first else [key, *history]
        return torch.cat(ordered, dim=1)

    def encode_bev(self, maps: Tensor) -> Tensor:
        """BEV encoder on concatenated maps; with a stem, the maps themselves are appended."""
        bev_out = self.img_bev_encoder_neck(self.img_bev_encoder_backbone(maps))
        return torch.cat([bev_out, maps], dim=1) if self.variant.stem_channels else bev_out

    def bev_head(self, maps: Tensor) -> HeadTensors:
        """BEV encoder and heads on concatenated maps (B, F * C, Dy, Dx) or (B, F * C, Dz, Dy, Dx)."""
        bev_out = self.encode_bev(maps)
        centers = {} if self.aux_centerness_head is None else self.aux_centerness_head(bev_out)
        return HeadTensors(occ_logits=self.occ_head(bev_out), bev_out=bev_out, **centers)

    # --- all frames at once -----------------------------------------------------------------------------------

    def forward(self, images: Tensor, geometry: Geometry, align: Align = "warp") -> ModelOutput:
        """One sample.

        Args:
            images: (F, N, 3, H, W) float32, normalised; frame 0 is the key frame, then previous ones, newest first.
            geometry: calibration and poses of the same F frames.
            align: "warp" lifts every frame with the key frame's poses and warps its map by the motion of camera 0;
                "lift" lifts previous frames straight into the key ego frame.

        Raises:
            InputError: shapes do not fit the variant or each other, or ``align`` is unknown.
        """
        if images.ndim != 5:
            raise InputError(f"images have shape {tuple(images.shape)}, needs (F, N, 3, H, W)")
        out = self.forward_batch(images[None], [geometry], align)
        head = out.head
        first = {name: getattr(head, name) for name in CenterHead.INFERENCE}
        return ModelOutput(
            occ_logits=head.occ_logits[0],
            depth=out.depth[0],
            bev_pool=out.bev_pool[0],
            bev_out=head.bev_out[0],
            **{name: None if value is None else value[0] for name, value in first.items()},
        )

    def forward_batch(self, images: Tensor, geometries: Sequence[Geometry], align: Align = "warp") -> BatchOutput:
        """B samples (B, F, N, 3, H, W) with one geometry each; previous frames carry no gradient."""
        self._check(images, geometries, align)
        variant = self.variant
        batch, num_frames, cameras = images.shape[:3]
        lifted = geometries if align == "lift" else [geometry.at_key_poses() for geometry in geometries]
        maps: list[Tensor] = []
        matching_feature: Tensor | None = None
        # Oldest first: each frame is matched against the one before it.
        for frame in reversed(range(num_frames)):
            pixels = images[:, frame].flatten(0, 1)
            with torch.set_grad_enabled(torch.is_grad_enabled() and frame == 0):
                if frame >= variant.num_frames:
                    matching_feature = self.stereo_feature(pixels)
                    continue
                previous = None
                if matching_feature is not None:
                    grids = np.concatenate([stereo_grid(variant, geometry, frame) for geometry in geometries])
                    previous = StereoContext(matching_feature, torch.from_numpy(grids).to(pixels))
                params = np.concatenate([camera_params(geometry, frame) for geometry in geometries])
                encoded = self.encode_images(pixels, torch.from_numpy(params).to(pixels), previous)
                matching_feature = encoded.stereo_feature
                depth, context = encoded.depth.unflatten(0, (batch, cameras)), encoded.context
                context = context.unflatten(0, (batch, cameras))
                pooled = torch.cat(
                    [
                        self.pool(depth[sample], context[sample], lift_table(variant, geometry, frame))
                        for sample, geometry in enumerate(lifted)
                    ]
                )
                bev = self.preprocess_bev(pooled)
                if frame > 0 and align == "warp":
                    grids = np.stack(
                        [bev_warp_grid(g.key_from_previous(frame), g.bda, variant.grid) for g in geometries]
                    )
                    bev = self.warp(bev, torch.from_numpy(grids).to(bev))
                maps.insert(0, bev)
        return BatchOutput(depth, pooled, self.bev_head(self.concatenate(maps[0], maps[1:])))

    def _check(self, images: Tensor, geometries: Sequence[Geometry], align: str) -> None:
        frames, size = self.variant.num_input_frames, self.variant.input_size
        if images.ndim != 6 or images.shape[1] != frames or images.shape[3:] != (3, *size):
            raise InputError(
                f"{self.variant.name} takes images (F, N, 3, H, W) with F = {frames}, (H, W) = {size}, "
                f"got {tuple(images.shape[1:])}"
            )
        if not images.is_floating_point():
            raise InputError(f"images are {images.dtype}, needs normalised float32")
        for geometry in geometries:
            if (geometry.num_frames, geometry.num_cameras) != tuple(images.shape[1:3]):
                raise InputError(
                    f"geometry has {geometry.num_frames} frames of {geometry.num_cameras} cameras, "
                    f"the images {images.shape[1]} of {images.shape[2]}"
                )
        if align not in ("warp", "lift"):
            raise InputError(f"align is {align!r}, must be 'warp' or 'lift'")
