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

"""Weights files: what is accepted, what is refused, and what the message says."""

from __future__ import annotations

import os
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from flashocc_ros.errors import CheckpointError, ConfigError
from flashocc_ros.model import build_model, load_checkpoint
from flashocc_ros.model.checkpoint import PREDICTS, fitting_variants
from flashocc_ros.model.weights_file import MAX_PICKLE_BYTES, read_weights
from flashocc_ros.variants import get_variant
from flashocc_ros.voxel_grid import VoxelGrid

TINY = "synthetic-tiny"
EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "variant.yaml"
PANOPTIC = "panoptic-flashocc-r50-depth-tiny-pano"


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return build_model(TINY, seed=5).state_dict()


def _same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return list(actual) == list(expected) and all(torch.equal(actual[key], expected[key]) for key in expected)


def _save(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def test_a_published_file_with_meta_and_prefix_is_read(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    content = {
        "meta": {"epoch": 24, "time": "today", "lr": np.float64(1e-4), "CLASSES": ("car", "truck")},
        "state_dict": OrderedDict((f"module.{key}", value) for key, value in tensors.items()),
        "optimizer": {"state": {}, "best": np.float32(0.3), "history": np.zeros(3)},
    }
    file = _save(tmp_path / "a.pth", content)
    assert _same(load_checkpoint(file, TINY), tensors)
    assert read_weights(file).meta["epoch"] == "24"


def test_averaged_weights_are_preferred(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    raw = {key: torch.zeros_like(value) for key, value in tensors.items()}
    file = _save(tmp_path / "a.pth", {"state_dict": raw, "ema_state_dict": tensors})
    assert _same(load_checkpoint(file, TINY), tensors)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
def test_a_bare_state_dict_is_read(options: dict[str, bool], tensors: dict[str, Tensor], tmp_path: Path) -> None:
    assert _same(load_checkpoint(_save(tmp_path / "a.pth", tensors, **options), TINY), tensors)


def test_half_precision_safetensors_are_widened(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    half = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
    save_file(half, tmp_path / "a.safetensors", metadata={"trained_on": "synthetic"})
    loaded = load_checkpoint(tmp_path / "a.safetensors", TINY)
    assert {value.dtype for value in loaded.values()} == {torch.float32, torch.int64}
    build_model(TINY).load_state_dict(loaded)
    weights = read_weights(tmp_path / "a.safetensors")
    assert weights.stored_dtypes == ("float16", "int64")
    assert weights.meta["trained_on"] == "synthetic"


def test_a_safetensors_header_of_any_length_is_understood(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    file, first_bytes = tmp_path / "a.safetensors", set()
    for length in range(0, 256, 8):
        save_file({"x" * 8: torch.zeros(1)}, file, metadata={"note": "." * length})
        first_bytes.add(file.read_bytes()[0])
        assert read_weights(file).format == "safetensors"
    assert 0x80 in first_bytes


def test_training_only_keys_are_ignored_and_unused_ones_may_be_absent(tmp_path: Path) -> None:
    model = build_model(PANOPTIC)
    expected = model.state_dict()
    kept = {k: v for k, v in expected.items() if not any(p in k for p in (".dim.", ".rot.", "num_batches_tracked"))}
    extra = {"img_backbone.fc.weight": torch.zeros(1000, 2048), "occ_head.loss_occ.class_weights": torch.zeros(18)}
    loaded = load_checkpoint(_save(tmp_path / "a.pth", {"state_dict": {**kept, **extra}}), PANOPTIC)
    assert set(loaded) == set(expected)
    model.load_state_dict(loaded)


def test_weights_of_another_variant_are_recognised(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    file = _save(tmp_path / "a.pth", {"state_dict": tensors})
    with pytest.raises(CheckpointError, match=r"holds weights of synthetic-tiny, not of flashocc-r50-M0"):
        load_checkpoint(file, "flashocc-r50-M0")


def test_weights_that_fit_two_rows_name_both() -> None:
    names = fitting_variants(build_model("panoptic-flashocc-r50-depth").state_dict())
    assert names == ("panoptic-flashocc-r50-depth", "panoptic-flashocc-r50-depth-pano")


def test_differing_keys_are_listed_and_shortened(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    changed = dict(tensors)
    del changed["occ_head.predicter.2.bias"]
    changed["occ_head.predicter.0.bias"] = torch.zeros(7)
    changed.update({f"stranger.{index}": torch.zeros(1) for index in range(9)})
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(_save(tmp_path / "a.pth", changed), TINY)
    message = str(caught.value)
    assert "1 missing: occ_head.predicter.2.bias" in message
    assert "9 extra: stranger.0, stranger.1, stranger.2, stranger.3 and 5 more" in message
    assert "1 misshaped: occ_head.predicter.0.bias (7,) instead of (128,)" in message
    assert "\n" not in message


def test_values_that_are_not_finite_are_refused(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    broken = {**tensors, "occ_head.predicter.0.bias": torch.full((128,), float("nan"))}
    with pytest.raises(CheckpointError, match=r"not finite in occ_head.predicter.0.bias"):
        load_checkpoint(_save(tmp_path / "a.pth", broken), TINY)


class _Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
def test_a_file_that_wants_to_run_code_is_refused_without_running_it(options: dict[str, bool], tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    file = _save(tmp_path / "a.pth", {"state_dict": _Hostile(marker)}, **options)
    with pytest.raises(CheckpointError, match=r"system.*trusted machine"):
        load_checkpoint(file, TINY)
    assert not marker.exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_a_truncated_file_is_a_clear_error(kind: str, share: float, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    whole, cut = tmp_path / f"whole.{kind}", tmp_path / f"cut.{kind}"
    if kind == "pth":
        torch.save({"state_dict": tensors}, whole)
    else:
        save_file(tensors, whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"fetch it again"):
        load_checkpoint(cut, TINY)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" + b"\0" * 100, b"\x80\x02" + b"\xff" * 100, b"\xff" * 100, b"<html>not found</html>"]
)
def test_bytes_that_are_no_weights_are_a_clear_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"fetch it again"):
        load_checkpoint(tmp_path / "a.pth", TINY)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"a": 1}}, torch.zeros(3)], ids=["list", "ints", "tensor"])
def test_a_file_without_named_tensors_is_refused(content: Any, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tensors"):
        load_checkpoint(_save(tmp_path / "a.pth", content), TINY)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.pth", tmp_path):
        with pytest.raises(CheckpointError, match=str(path)):
            load_checkpoint(path, TINY)


def test_an_unknown_variant_suggests_the_closest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"did you mean flashocc-r50-M0"):
        load_checkpoint(tmp_path / "a.pth", "flashocc-r50-m0")


@pytest.mark.parametrize("prefix", ["_orig_mod.", "model.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_removed(prefix: str, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    content = {"state_dict": {prefix + key: value for key, value in tensors.items()}}
    assert _same(load_checkpoint(_save(tmp_path / "a.pth", content), TINY), tensors)


def test_a_prefix_on_some_keys_is_removed_too(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    mixed = {("module." if number % 2 else "") + key: value for number, (key, value) in enumerate(tensors.items())}
    assert _same(load_checkpoint(_save(tmp_path / "a.pth", mixed), TINY), tensors)


def test_two_networks_in_one_dictionary_are_refused(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    both = {**tensors, **{f"module.{key}": value + 1 for key, value in tensors.items()}}
    with pytest.raises(CheckpointError, match="twice, with and without a prefix"):
        load_checkpoint(_save(tmp_path / "a.pth", both), TINY)


KEY = "occ_head.predicter.0.bias"
ODD_TENSORS = {
    "sparse": lambda t: t.to_sparse(),
    "quantised": lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
    "meta": lambda t: t.to("meta"),
    "complex": lambda t: t.to(torch.complex64),
    "repeated": lambda t: torch.ones(1).expand(t.shape),
    "fewer numbers": lambda t: torch.ones(len(t) // 2 + 1).as_strided((len(t),), (0,)),
    "int32": lambda t: t.to(torch.int32),
    "bool": lambda t: t > 0,
}


@pytest.mark.parametrize("kind", ODD_TENSORS)
def test_tensors_that_are_no_floating_point_arrays_are_refused(
    kind: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    file = _save(tmp_path / "a.pth", {**tensors, KEY: ODD_TENSORS[kind](tensors[KEY])})
    with pytest.raises(CheckpointError, match=rf"{kind}.*; save") as caught:
        load_checkpoint(file, TINY)
    assert KEY in str(caught.value)


@pytest.mark.parametrize("variance", [0.0, -1.0])
def test_running_variances_must_be_above_zero(variance: float, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    key = next(key for key in tensors if key.endswith("running_var"))
    broken = {**tensors, key: torch.full_like(tensors[key], variance)}
    with pytest.raises(CheckpointError, match=rf"not above zero in {key}"):
        load_checkpoint(_save(tmp_path / "a.pth", broken), TINY)


def test_a_flipped_bit_is_found(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    file = _save(tmp_path / "a.pth", tensors)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checksum of .* is wrong; fetch it again"):
        load_checkpoint(file, TINY)


def _zip(path: Path, members: dict[str, bytes], compression: int) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    return path


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    file = _zip(tmp_path / "a.pth", {"version": b"3", "data.pkl": b"(" * (1 << 20)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match=r"compressed, which torch\.save never does"):
        load_checkpoint(file, TINY)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_structure_larger_than_any_network_is_refused_unread(legacy: bool, tmp_path: Path) -> None:
    marks = b"\x80\x02" + b"(" * (MAX_PICKLE_BYTES + 1)
    file = tmp_path / "a.pth"
    if legacy:
        file.write_bytes(marks)
    else:
        _zip(file, {"version": b"3", "data.pkl": marks}, zipfile.ZIP_STORED)
    with pytest.raises(CheckpointError, match=rf"more than {MAX_PICKLE_BYTES}"):
        load_checkpoint(file, TINY)


def test_weights_of_other_classes_or_another_grid_are_refused(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    own = get_variant(EXAMPLE)
    shipped = tmp_path / "shipped.safetensors"
    save_file(tensors, shipped)
    with pytest.raises(CheckpointError, match=r"holds weights of synthetic-tiny.*not of yard; .* init"):
        load_checkpoint(shipped, own)
    moved = replace(get_variant(TINY), name="moved", grid=VoxelGrid(0.4, (-10.0, -40.0, -1.0), (200, 200, 16)))
    with pytest.raises(CheckpointError, match=r"was trained for 200 x 200 x 16 .*x -40 to 40 m.*x -10 to 70 m.*init"):
        load_checkpoint(shipped, moved)  # the same shapes, but other places
    save_file(tensors, shipped, {PREDICTS: moved.predicts})
    assert _same(load_checkpoint(shipped, moved), tensors)
    with pytest.raises(CheckpointError, match="was trained for"):
        load_checkpoint(shipped, TINY)


def test_colours_and_costs_do_not_make_other_weights() -> None:
    own = get_variant(EXAMPLE)
    first, *others = own.classes.classes
    recoloured = replace(own.classes, classes=(replace(first, color_rgb=(1, 2, 3), cost=7), *others), name="other")
    assert replace(own, classes=recoloured).predicts == own.predicts
    renamed = replace(own.classes, classes=(replace(first, name="street"), *others))
    assert replace(own, classes=renamed).predicts != own.predicts
