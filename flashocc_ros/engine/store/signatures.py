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

"""Inputs and outputs of the exported graphs, which follow from the variant alone."""

from __future__ import annotations

from dataclasses import dataclass

from flashocc_ros.geometry.stereo import STEREO_STRIDE
from flashocc_ros.variants import Variant

CENTER_OUTPUTS = ("heatmap", "reg", "height")


@dataclass(frozen=True)
class Signature:
    """Inputs (name, shape) and output names of a graph; shapes with N cameras."""

    inputs: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]


def encoder_signature(variant: Variant, cameras: int) -> Signature:
    """``image_encoder``: pictures, camera numbers and the previous frame to depth and context."""
    inputs: dict[str, tuple[int, ...]] = {"images": (cameras, 3, *variant.input_size)}
    if variant.depth_net:
        inputs["camera_params"] = (cameras, 27)
    outputs: tuple[str, ...] = ("depth", "context")
    if variant.stereo:
        inputs["previous_feature"] = (cameras, *variant.stereo_shape)
        cells = (length // STEREO_STRIDE for length in variant.input_size)
        inputs["stereo_grid"] = (cameras, variant.depth.count, *cells, 2)
        outputs += ("stereo_feature",)
    return Signature(inputs, outputs)


def head_signature(variant: Variant) -> Signature:
    """``bev_head``: the pooled map and the past to labels and centre maps."""
    inputs = {"bev": map_shape(variant)}
    outputs: tuple[str, ...] = ("labels",)
    if variant.num_history:
        inputs["grids"] = (variant.num_history, *variant.map_size, 2)
        inputs |= {f"history_{age}": cached_shape(variant) for age in range(1, variant.num_history + 1)}
        outputs += ("bev_key",)
    if variant.panoptic:
        outputs += CENTER_OUTPUTS
    return Signature(inputs, outputs)


def stereo_signature(variant: Variant, cameras: int) -> Signature:
    """``stereo_feature``: what a sequence starts with."""
    return Signature({"images": (cameras, 3, *variant.input_size)}, ("stereo_feature",))


def map_shape(variant: Variant) -> tuple[int, ...]:
    """Pooled maps."""
    height = (variant.lift_z_bins,) if variant.volumetric else ()
    return (1, variant.map_channels, *height, *variant.map_size)


def cached_shape(variant: Variant) -> tuple[int, ...]:
    """Maps as they are kept for later frames."""
    shape = map_shape(variant)
    return (1, variant.cached_channels, *shape[2:])


def signatures(variant: Variant, cameras: int) -> dict[str, Signature]:
    """Of every graph an export of ``variant`` must hold, by name."""
    graphs = {"image_encoder": encoder_signature(variant, cameras), "bev_head": head_signature(variant)}
    return graphs | ({"stereo_feature": stereo_signature(variant, cameras)} if variant.stereo else {})
