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

"""What a network is described by: depth bins, published accuracy and the row type of the variant table."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Literal

from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.voxel_grid import OCC3D_GRID, VoxelGrid

Backbone = Literal["resnet50", "resnet18", "swin-b"]
Family = Literal["bevdet-occ", "flashocc", "panoptic-flashocc", "synthetic"]
Head = Literal["2d", "3d", "v2"]

PATCH_CHANNELS = 16
"""Numbers that describe a patch of 7x7 pixels; of 49, the first sixteen cosines keep nine tenths of its contrast."""


@dataclass(frozen=True)
class DepthBins:
    """Discrete depths in metres; the value of a bin is its lower edge.

    Attributes:
        start_m: depth of the first bin.
        stop_m: exclusive end.
        step_m: bin width; with ``sid`` it only fixes how many bins there are.
        sid: bins are spaced evenly in log depth between ``start_m`` and ``stop_m - 1`` instead.
    """

    start_m: float = 1.0
    stop_m: float = 45.0
    step_m: float = 0.5
    sid: bool = False

    @property
    def count(self) -> int:
        """Number of bins D."""
        return round((self.stop_m - self.start_m) / self.step_m)

    def values(self) -> tuple[float, ...]:
        """The D depths in metres, increasing."""
        if not self.sid:
            return tuple(self.start_m + index * self.step_m for index in range(self.count))
        span = math.log((self.stop_m - 1) / self.start_m)
        return tuple(math.exp(math.log(self.start_m) + i / (self.count - 1) * span) for i in range(self.count))


@dataclass(frozen=True)
class Published:
    """Accuracy the authors report on the nuScenes / Occ3D validation set, in percent; None where there is none."""

    miou: float | None = None
    rayiou: float | None = None
    raypq: float | None = None


@dataclass(frozen=True)
class Variant:
    """One network: everything ``build_model`` and the geometry need to know.

    Attributes:
        name: configuration name of the reference, the argument of ``build_model``.
        family: which group of the reference it belongs to.
        description: one line for people.
        stands_for: the row of the authors' result table it reproduces.
        input_size: (H, W) of the network input in pixels, multiples of 32; of 16 where stride 16 is the coarsest.
        stride: input pixels per cell of the feature map that is lifted.
        depth: the depth bins of the lift.
        backbone: image backbone; ``resnet18`` is a slim basic-block ResNet of ``backbone_width`` channels.
        backbone_width: channels after the stem of a ResNet.
        neck_channels: channels C_n of the image feature map.
        lift_channels: channels C of the context that is lifted.
        lift_z_bins: height slices of the pooled volume: 1, 16 for the 3D head, others collapse into channels z * C + c.
        depth_net: camera-aware depth network instead of one 1x1 convolution.
        stereo: depth network also sees a cost volume against the previous frame.
        num_frames: key plus previous frames fed to the BEV encoder; the extra matching frame of stereo is not counted.
        encoder_channels: channels of the three BEV encoder stages.
        encoder_blocks: residual blocks per BEV encoder stage.
        stem_channels: > 0: a 1x1 convolution thins each frame's map to this many channels before it is cached; the
            heads see the thin maps beside the encoder output, so that detail of one cell survives.
        stem_blocks: residual blocks behind that convolution, at one cell's resolution.
        reference_focal_px: > 0: depth is predicted for this focal length in network pixels, then moved to each
            camera's.
        preprocess_bev: each frame's map passes one residual block before it is cached and concatenated.
        head: occupancy head; "2d" and "v2" have the same layers and differ in their training losses.
        head_channels: channels of the BEV encoder output.
        occupancy_channels: channels of the occupancy head, 0 for ``head_channels``.
        panoptic: has the centre head, hence instances.
        center_channels: channels inside the centre head.
        score_threshold: least score of a centre.
        depth_loss_weight: weight of the depth supervision in training, 0 for none.
        params_m: learned parameters in millions; None where nobody counted them, and so for the multiply-adds.
        gmacs: 1e9 multiply-adds by the reference's counter, which always feeds six pictures (a model of F frames takes
            them as 6 / F cameras); None where six pictures cannot be split.
        gmacs_per_frame: the same counter on one streaming step with ``num_cameras``: one frame through the image branch
            and pre-processing, all frames' maps through the BEV encoder.
        published: accuracy reported by the authors.
        trained_on: data set whose weights exist, "synthetic" for the ones shipped here, empty for none.
        grid: voxels that are predicted.
        classes: what the labels mean.
        num_cameras: of the vehicle it is meant for; any number can be given.
    """

    name: str
    family: Family
    description: str
    stands_for: str
    depth: DepthBins
    lift_channels: int
    encoder_channels: tuple[int, int, int]
    head_channels: int
    head: Head
    params_m: float | None
    gmacs: float | None
    gmacs_per_frame: float | None
    input_size: tuple[int, int] = (256, 704)
    stride: int = 16
    backbone: Backbone = "resnet50"
    backbone_width: int = 64
    neck_channels: int = 256
    lift_z_bins: int = 1
    depth_net: bool = False
    stereo: bool = False
    num_frames: int = 1
    encoder_blocks: tuple[int, int, int] = (2, 2, 2)
    occupancy_channels: int = 0
    reference_focal_px: float = 0.0
    stem_channels: int = 0
    stem_blocks: int = 0
    preprocess_bev: bool = False
    panoptic: bool = False
    center_channels: int = 64
    score_threshold: float = 0.3
    depth_loss_weight: float = 0.0
    published: Published = Published()
    trained_on: str = "nuscenes"
    grid: VoxelGrid = OCC3D_GRID
    classes: ClassTable = OCC3D
    num_cameras: int = 6

    @property
    def feature_size(self) -> tuple[int, int]:
        """(fH, fW) of the map that is lifted."""
        return self.input_size[0] // self.stride, self.input_size[1] // self.stride

    @property
    def num_history(self) -> int:
        """Previous BEV maps fed to the encoder beside the key frame's."""
        return self.num_frames - 1

    @property
    def num_input_frames(self) -> int:
        """Frames the stateless network takes at once: stereo needs one more to match the oldest one."""
        return self.num_frames + (1 if self.stereo else 0)

    @property
    def temporal(self) -> bool:
        """True when previous frames, and so the ego motion between them, matter."""
        return self.num_frames > 1 or self.stereo

    @property
    def volumetric(self) -> bool:
        """True when the pooled volume keeps its height axis through the encoder (3D head)."""
        return self.head == "3d"

    @property
    def map_channels(self) -> int:
        """Channels of one frame's pooled map, height slices of a collapsed volume included."""
        return self.lift_channels * (1 if self.volumetric else self.lift_z_bins)

    @property
    def cached_channels(self) -> int:
        """Channels of one frame's map as it is cached, warped and concatenated."""
        return self.stem_channels or self.map_channels

    @property
    def encoder_in_channels(self) -> int:
        """Channels of the concatenated maps."""
        return self.num_frames * self.cached_channels

    @property
    def head_in_channels(self) -> int:
        """Channels of the map both heads read."""
        return self.head_channels + self.num_frames * self.stem_channels

    @property
    def stereo_shape(self) -> tuple[int, int, int]:
        """(c, h, w) of what stereo matches: a description of every pixel's patch, or the backbone at stride 4."""
        height, width = self.input_size
        if self.reference_focal_px:
            return PATCH_CHANNELS, height, width
        channels = 128 if self.backbone == "swin-b" else self.backbone_width * (4 if self.backbone == "resnet50" else 1)
        return channels, height // 4, width // 4

    @property
    def oldest_first(self) -> bool:
        """Order in which maps are concatenated: published stereo models take the oldest first, others the key frame."""
        return self.stereo and self.family != "synthetic"

    @property
    def map_size(self) -> tuple[int, int]:
        """(Dy, Dx): rows and columns of a bird's-eye map."""
        return self.grid.map_size

    @property
    def predicts(self) -> str:
        """Grid and classes in one line, which weights of another network differ in."""
        digest = zlib.crc32(repr((self.classes.names, self.classes.free, self.classes.detections)).encode())
        return f"{self.grid}, {len(self.classes)} classes {digest:08x}"

    @property
    def input_multiple(self) -> int:
        """What height and width of the network input are multiples of: the stride of the coarsest feature map."""
        return 32 if self.stride == 16 else 16

    @property
    def cell_multiple(self) -> tuple[int, int, int]:
        """What the numbers of voxels along x, y, z are multiples of: the encoder halves its maps and doubles them."""
        return (4, 4, 4) if self.volumetric else (8, 8, 1)

    @property
    def memory_mb(self) -> float:
        """Megabytes (1e6 bytes) of fp32 maps a streaming predictor keeps for this variant."""
        cells = math.prod(self.map_size) * (self.lift_z_bins if self.volumetric else 1)
        numbers = self.num_history * cells * self.cached_channels
        if self.stereo:
            numbers += self.num_cameras * math.prod(self.stereo_shape)
        return 4e-6 * numbers
