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

"""A picture of what a network has learned so far: prediction beside truth, from above."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from flashocc_ros.data.partial_labels import shown_classes
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.training.batch import normalised
from flashocc_ros.training.sample import Sample


def top_view(semantics: npt.NDArray[np.uint8], classes: ClassTable = OCC3D) -> npt.NDArray[np.uint8]:
    """(X, Y, 3) uint8: colour of the highest occupied voxel per column; x up, y left."""
    occupied = classes.occupied(semantics)
    highest = semantics.shape[2] - 1 - occupied[:, :, ::-1].argmax(axis=2)
    labels = np.take_along_axis(semantics, highest[..., None], axis=2)[..., 0]
    labels = np.where(occupied.any(axis=2), labels, classes.free)
    return np.ascontiguousarray(np.array(classes.colors_rgb, np.uint8)[labels][::-1, ::-1])


@torch.no_grad()
def progress_picture(model: FlashOcc, sample: Sample) -> npt.NDArray[np.uint8]:
    """(X, 3 Y, 3) uint8: prediction, prediction where a camera sees, truth; the model's mode is left as it was."""
    modes, classes = (
        [(module, module.training) for module in model.modules()],
        model.variant.classes,
    )  # frozen ones differ
    model.eval()
    device = next(model.parameters()).device
    try:
        images = normalised(sample.images, device)[None]
        out = model.forward_batch(images, [sample.geometry], align="lift")
        predicted = out.head.occ_logits[0].argmax(-1).cpu().numpy().astype(np.uint8)
    finally:
        for module, training in modes:
            module.training = training
    seen = np.where(sample.mask_camera, predicted, np.uint8(classes.free))
    truth = shown_classes(sample.semantics, classes)
    return np.concatenate([top_view(volume, classes) for volume in (predicted, seen, truth)], axis=1)
