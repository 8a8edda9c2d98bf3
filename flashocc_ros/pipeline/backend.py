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

"""The interface every inference engine implements: five stages, stateless, called in order by the stream.

    pixels  = backend.preprocess(images, transforms)          # RGB uint8 -> normalised network input
    encoded = backend.encode(pixels, camera_params, stereo)    # depth distribution + context features per camera
    bev     = backend.pool(encoded, table)                     # lift and splat into the bird's eye view
    output  = backend.head(bev, history, grids)                # warp the past, encode, decode to labels

Tables and grids follow from geometry alone; ``lift_table``, ``stereo_grid`` and ``warp_grids`` make them on the host,
and an engine with a device may make its own there.

What travels between the stages (``Any``) belongs to the engine: torch tensors, device buffers or NumPy arrays. The
stream only stores it and hands it back, never looks inside. Engines keep nothing between calls: the past lives in
the stream.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from flashocc_ros.cameras.camera_set import Picture, decoded
from flashocc_ros.geometry import Geometry, bev_warp_grid, lift_table, stereo_grid
from flashocc_ros.pipeline.preprocess import ImageTransform, network_input

if TYPE_CHECKING:
    from flashocc_ros.variants import Variant

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Result of the image encoder for N cameras; arrays of the engine's own kind.

    Attributes:
        depth: (N, D, fH, fW) probabilities over the depth bins.
        context: (N, C, fH, fW).
        stereo_feature: (N, c, h, w) to be cached for the next key frame, None for variants without stereo.
    """

    depth: Any
    context: Any
    stereo_feature: Any = None


@dataclass(frozen=True, eq=False)
class HeadOutput:
    """Result of the BEV head for one key frame.

    Attributes:
        labels: (X, Y, Z) uint8, axes x, y, z: argmax over classes.
        bev_key: the key frame's map after ``pre_process_net``, (1, C, [Dz,] Dy, Dx), of the engine's own kind: what
            the stream caches and gives back as history, so later calls must not overwrite it. None for variants
            without history.
        heatmap: (detections, Dy, Dx) float32 before the sigmoid, axes y, x; None for variants without instances.
        reg: (2, Dy, Dx) float32; height: (1, Dy, Dx) float32; None likewise.
        logits: (X, Y, Z, classes) float32, only when asked for.
        finite: False when a logit is NaN or infinite, which the labels do not show. Engines that do not see their
            logits leave it True.
    """

    labels: npt.NDArray[np.uint8]
    bev_key: Any = None
    heatmap: Float32 | None = None
    reg: Float32 | None = None
    height: Float32 | None = None
    logits: Float32 | None = None
    finite: bool = True


class Backend(ABC):
    """One loaded network on one engine. Not thread safe: one call at a time.

    Attributes:
        name: short engine name, e.g. ``"torch"``.
        decodes_jpeg: whether ``preprocess`` takes JPEG files faster than decoded pictures.
        gives_logits: whether ``head`` can return its logits.
        precisions: what ``precision`` may be.
        variant: the network that is loaded.
        precision: one of ``precisions``.

    Every engine is opened as ``Engine(variant, checkpoint, precision=..., cache_dir=...)``; its module imports without
    the engine's library, which ``unavailable`` checks for.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    gives_logits: ClassVar[bool] = True
    decodes_jpeg: bool = False
    variant: Variant
    precision: str = "fp32"

    @classmethod
    def unavailable(cls) -> str | None:
        """Why this engine cannot run here, with the remedy; None when it can."""
        return None

    def prepare(self, cameras: int) -> None:
        """Load (or build) all that sets of ``cameras`` pictures need, so that the first frame is not slow.

        The default has nothing to load later.
        """
        return None

    def preprocess(self, images: Sequence[Picture], transforms: Sequence[ImageTransform]) -> Any:
        """Turn N RGB images (H, W, 3) uint8, or JPEG files, into (N, 3, H_net, W_net) float32 of the engine's kind.

        The default computes it on the CPU (``preprocess.network_input``) and returns a NumPy array. The stream may
        keep the result over later calls, so it must not be overwritten.
        """
        return network_input(decoded(images), transforms)

    def lift_table(self, geometry: Geometry) -> Any:
        """What ``pool`` takes: which point of frame 0 falls into which cell. Later calls must not change it."""
        return lift_table(self.variant, geometry)

    def stereo_grid(self, geometry: Geometry) -> Any:
        """What ``encode`` takes: where frame 0 of ``geometry`` lies in frame 1, (N, D, H/4, W/4, 2) float32."""
        return stereo_grid(self.variant, geometry)

    def warp_grids(self, key_from_previous: Sequence[Float64]) -> Any:
        """What ``head`` takes: where to sample past maps, (num_history, Dy, Dx, 2) float32.

        Args:
            key_from_previous: (4, 4) per past map, newest first; see ``geometry.ego_motion.bev_warp_grid``.
        """
        return np.stack([bev_warp_grid(pose, grid=self.variant.grid) for pose in key_from_previous])

    @abstractmethod
    def encode(
        self, pixels: Any, camera_params: Float32 | None = None, stereo: tuple[Any, Any] | None = None
    ) -> Encoded:
        """Run the image encoder.

        Args:
            pixels: what ``preprocess`` returned.
            camera_params: (N, 27) float32 for variants with a depth net, else None.
            stereo: for stereo variants the previous frame's stereo feature (engine's own kind) and what ``stereo_grid``
                returned, or an array of that shape; else None.
        """

    def stereo_feature(self, pixels: Any) -> Any:
        """Only the stride-4 feature of these pixels: a sequence starts with the key frame matched with itself."""
        raise NotImplementedError(f"{self.name}: variant {self.variant.name} has no stereo feature")

    @abstractmethod
    def pool(self, encoded: Encoded, table: Any) -> Any:
        """Sum depth-weighted context over the points of each cell: (1, C, Dy, Dx) or (1, C, Dz, Dy, Dx).

        ``table`` is what ``lift_table`` returned, or a ``LiftTable``.
        """

    @abstractmethod
    def head(
        self, bev: Any, history: Sequence[Any] = (), grids: Any = None, *, with_logits: bool = False
    ) -> HeadOutput:
        """``pre_process_net`` on the key map, warp and concatenate the past, BEV encoder, heads, argmax.

        Args:
            bev: what ``pool`` returned for the key frame.
            history: ``variant.num_history`` cached ``bev_key`` maps, newest first. An entry None means "the past does
                not reach that far": the key frame's own map takes its place (its grid is the identity).
            grids: what ``warp_grids`` returned, or an array of that shape, for
                ``grid_sample(align_corners=True, padding_mode="zeros")``; None without history.
            with_logits: also return the occupancy logits (46 MB; for parity checks).
        """

    def nbytes(self, array: Any) -> int:
        """Memory of one cached array of the engine's own kind, in bytes."""
        return int(array.nbytes)

    def finite(self, array: Any) -> bool:
        """Whether an array of the engine's own kind is free of NaN and infinity; computed where the array lies."""
        return bool(np.isfinite(array).all())

    def synchronize(self) -> None:
        """Wait for work that earlier calls left running; the default leaves none."""
        return None

    def engine_only_ms(self, cameras: int) -> dict[str, float] | None:
        """Median milliseconds of each graph alone by the device's own clock; None where it has none."""
        return None

    @abstractmethod
    def describe(self) -> str:
        """One line for people: engine, version, device, precision."""

    def close(self) -> None:
        """Give back device memory; the backend cannot be used afterwards."""
        return None
