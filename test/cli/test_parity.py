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

"""``flashocc parity`` against a stored reference output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner

from flashocc_ros.cli.parity import app
from flashocc_ros.errors import CheckpointError, ConfigError, InputError
from flashocc_ros.model import build_model

NAME = "flashocc-r50-M0"


@pytest.fixture(scope="module")
def named_checkpoint(spec_module: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights derived from key names, as the stored outputs were made with."""
    file = tmp_path_factory.mktemp("weights") / "named.safetensors"
    save_file(spec_module("named_weights").fill_state_dict(build_model(NAME).state_dict()), file)
    return file


@pytest.fixture
def arguments(shared_dir: Path, named_checkpoint: Path) -> list[str]:
    golden = shared_dir / "spec/golden" / f"{NAME}.npz"
    frame = shared_dir / "data/nuscenes_frame_scene0003"
    return [NAME, "--golden", str(golden), "--images", str(frame), "--checkpoint", str(named_checkpoint)]


def test_the_reference_weights_pass(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "ok: 0 wrong voxels" in result.output
    assert "bev_out" in result.output


def test_other_weights_fail_with_exit_code_1(arguments: list[str], tmp_path: Path) -> None:
    save_file(build_model(NAME).state_dict(), tmp_path / "untrained.safetensors")
    result = CliRunner().invoke(app, [*arguments[:-1], str(tmp_path / "untrained.safetensors")])
    assert result.exit_code == 1
    assert "FAILED" in result.output


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ConfigError, match="--golden FILE, --images FOLDER and --checkpoint WEIGHTS"):
        CliRunner().invoke(app, [NAME], catch_exceptions=False)


def test_a_folder_without_pictures_is_named(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"CAM_FRONT_LEFT.jpg"):
        CliRunner().invoke(app, [*arguments, "--images", str(tmp_path)], catch_exceptions=False)


def test_weights_of_another_variant_are_refused(arguments: list[str], tmp_path: Path) -> None:
    save_file(build_model("synthetic-tiny").state_dict(), tmp_path / "tiny.safetensors")
    with pytest.raises(CheckpointError, match="synthetic-tiny"):
        CliRunner().invoke(app, [*arguments[:-1], str(tmp_path / "tiny.safetensors")], catch_exceptions=False)


def test_an_export_needs_its_variant(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--variant"):
        CliRunner().invoke(app, [str(tmp_path)], catch_exceptions=False)
