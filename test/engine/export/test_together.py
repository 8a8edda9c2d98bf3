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

"""An export appears as a whole, and an older one stays until then."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashocc_ros.engine.export.together import written_together


@pytest.fixture
def old(tmp_path: Path) -> Path:
    for name in ("bev_head.onnx", "meta.json", "notes.txt"):
        (tmp_path / name).write_text("old")
    return tmp_path


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_new_files_replace_those_of_their_names_only(old: Path) -> None:
    with written_together(old) as folder:
        for name in ("bev_head.onnx", "meta.json"):
            (folder / name).write_text("new")
    assert content(old) == {"bev_head.onnx": "new", "meta.json": "new", "notes.txt": "old"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_export_keeps_the_older_one(old: Path, error: type[BaseException]) -> None:
    def stop() -> None:
        with written_together(old) as folder:
            (folder / "bev_head.onnx").write_text("new")
            raise error

    with pytest.raises(error):
        stop()
    assert content(old) == dict.fromkeys(("bev_head.onnx", "meta.json", "notes.txt"), "old")


def test_new_graphs_never_stand_beside_an_old_meta(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def watched(path: Path, target: Path) -> Path:
        moved = replace(path, target)
        seen.append((target.name, (old / "meta.json").exists()))
        return moved

    seen: list[tuple[str, bool]] = []
    monkeypatch.setattr(Path, "replace", watched)
    with written_together(old) as folder:
        for name in ("meta.json", "bev_head.onnx", "stereo_feature.onnx"):
            (folder / name).write_text("new")
    assert sorted(seen[:2]) == [("bev_head.onnx", False), ("stereo_feature.onnx", False)]
    assert seen[2:] == [("meta.json", True)]


def test_what_a_killed_export_left_is_no_part_of_the_next(old: Path) -> None:
    (old / ".writing").mkdir()
    (old / ".writing" / "fused.onnx").write_text("half")
    with written_together(old) as folder:
        (folder / "meta.json").write_text("new")
    assert "fused.onnx" not in content(old)
    assert not (old / ".writing").exists()
