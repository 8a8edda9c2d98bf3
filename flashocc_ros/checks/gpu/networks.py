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

"""The PyTorch networks on the device: against stored outputs of the reference, else against the CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from flashocc_ros.checks.gpu import scenes
from flashocc_ros.checks.gpu.compare import array, close, labels
from flashocc_ros.checks.gpu.report import Result, outcome
from flashocc_ros.checks.gpu.setting import Setting, missing
from flashocc_ros.geometry import Geometry
from flashocc_ros.pipeline.preprocess import image_transform, network_input
from flashocc_ros.pipeline.set_geometry import geometry_of
from flashocc_ros.variants import VARIANTS, Variant, get_variant

if TYPE_CHECKING:
    from flashocc_ros.model.network import FlashOcc

SAME = {"flashocc-stbase-4d-stereo-512x1408_4x4_1e-2": "the network of ..._2e-4, trained otherwise"}
FEW_CAMERAS = 2
"""The networks treat cameras alike, and the CPU has to compute them too."""
STD_LIMIT, MATCHED_STD_LIMIT = 1e-3, 1e-2
"""The softmax of matching costs magnifies rounding."""
LEAST_EQUAL = 0.9999


@contextmanager
def exact() -> Iterator[None]:
    """Float32 as it is: torch otherwise lets convolutions on a GPU round their factors to TF32's ten bits."""
    import torch

    matmul, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, convolutions.allow_tf32
    matmul.allow_tf32 = convolutions.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, convolutions.allow_tf32 = before


def goldens(setting: Setting) -> Iterator[Result]:
    """Every stored output of the reference, with the weights it was made with."""
    from flashocc_ros.checks.golden_parity import compare_golden, read_golden

    if setting.shared is None:
        yield Result("goldens", "skipped", "no specification here: give --shared the folder that holds spec/golden")
        return
    files = sorted((setting.shared / "spec/golden").glob("*.npz"), key=lambda file: file.stat().st_size)
    if not setting.gpu:
        files = [file for file in files if file.stem == "flashocc-r50-M0"]
    for file in files:
        variant = get_variant(file.stem.removesuffix(".noaavt"))
        golden = read_golden(file, variant)
        model = named_model(setting, variant).to(setting.device)
        with exact():
            result = compare_golden(model, golden, _pictures(setting, variant))
        worst = max(result.stages, key=lambda stage: stage.max_std)
        text = f"worst in {worst.name}; {result.differing_voxels} voxels differ by rounding"
        if result.instances is not None:
            text += f"; {result.instances.centers} centres of {result.instances.expected}"
        numbers: dict[str, float | int | str] = {"max error / std": worst.max_std, "wrong voxels": result.wrong_voxels}
        yield Result(file.stem, outcome(result.passed), text, numbers)


def against_cpu(setting: Setting) -> Iterator[Result]:
    """Every variant, all of its frames at once."""
    names = list(VARIANTS) if setting.gpu else ["synthetic-tiny-4d"]
    # Those that take the CPU longest come last.
    for name in sorted(
        names, key=lambda name: (VARIANTS[name].gmacs_per_frame or 0.0) * VARIANTS[name].num_input_frames
    ):
        if name in SAME:
            yield Result(name, "info", SAME[name])
            continue
        yield from _against_cpu(setting, VARIANTS[name])


def _against_cpu(setting: Setting, variant: Variant) -> Iterator[Result]:
    import torch

    model = named_model(setting, variant)
    images, geometry = _all_frames(setting, variant)
    with torch.inference_mode(), exact():
        expected = model(images, geometry)
        model = model.to(setting.device)
        got = model(images.to(setting.device), geometry)
    limit = MATCHED_STD_LIMIT if variant.stereo else STD_LIMIT
    errors = {}
    for name in ("depth", "bev_pool", "bev_out", "occ_logits", "heatmap", "reg", "height"):
        if getattr(expected, name) is not None:
            result = close(name, getattr(got, name), getattr(expected, name), limit)
            errors[name] = float(result.numbers.get("max error / std", np.inf))
    worst = max(errors, key=lambda name: errors[name])
    ours, theirs = (array(out.occ_logits.argmax(-1)).astype(np.uint8) for out in (got, expected))
    shares = labels("", ours, theirs, LEAST_EQUAL)
    passed = shares.status == "ok" and errors[worst] <= limit
    numbers: dict[str, float | int | str] = {"max error / std": errors[worst], **shares.numbers}
    yield Result(variant.name, outcome(passed), f"worst in {worst}, limit {limit:g}; {shares.text}", numbers)


def _all_frames(setting: Setting, variant: Variant) -> tuple[Any, Geometry]:
    """(F, N, 3, H, W) and where they were taken, newest first."""
    import torch

    sets = scenes.drive(setting, variant.num_input_frames)[::-1]
    pixels, geometry = [], None
    for frame in sets:
        frame = scenes.first_cameras(frame, FEW_CAMERAS)
        transforms = [image_transform(size, variant) for size in frame.image_sizes]
        pixels.append(network_input(frame.pictures, transforms))
        taken = geometry_of(frame, variant)
        geometry = taken if geometry is None else geometry.with_past(taken)
    assert geometry is not None
    return torch.from_numpy(np.stack(pixels)), replace(geometry, key2global=geometry.ego2global[0, 0])


def _pictures(setting: Setting, variant: Variant) -> Any:
    frame = scenes.still(setting)
    return network_input(frame.pictures, [image_transform(size, variant) for size in frame.image_sizes])


def named_model(setting: Setting, variant: Variant) -> FlashOcc:
    """With the shipped weights, else those of the specification, which spread activations as trained ones do; without
    either, untrained."""
    from flashocc_ros import weights
    from flashocc_ros.model.build import build_model

    model = build_model(variant)
    shipped = weights.path(variant.name)
    if shipped is not None and not missing(("safetensors",)):
        from flashocc_ros.model.checkpoint import load_checkpoint

        model.load_state_dict(load_checkpoint(shipped, variant))
    elif setting.shared is not None and variant.trained_on == "nuscenes":
        model.load_state_dict(_named_weights(setting.shared).fill_state_dict(model.state_dict()))
    return model


def _named_weights(shared: Path) -> ModuleType:
    """The helper of the specification that derives weights from their names, as the tests load it."""
    spec = importlib.util.spec_from_file_location("spec_named_weights", shared / "spec/named_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
