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

"""Frames on disk are those that were drawn, or refused."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_disk import largest_file

from flashocc_ros.data.synthetic import FrameCache, NetworkFrame, SyntheticDataset, write_cache
from flashocc_ros.errors import InputError, OutputError

SIZE, SOURCE = (64, 176), (198, 352)


@pytest.fixture
def dataset() -> SyntheticDataset:
    return SyntheticDataset([3, 4], SIZE, frames_per_seed=2, source_size=SOURCE)


def assert_equal(a: NetworkFrame, b: NetworkFrame) -> None:
    for name, value in vars(a).items():
        if name == "depth_m":
            np.testing.assert_allclose(value, b.depth_m, atol=0.006)
        elif name != "instances":
            np.testing.assert_array_equal(value, getattr(b, name), err_msg=name)


def test_cache_gives_back_every_field_and_can_be_continued(dataset: SyntheticDataset, tmp_path: Path) -> None:
    write_cache(tmp_path, dataset, instances=True)
    (tmp_path / "progress.txt").write_text("3")  # as if it had been stopped
    assert len(FrameCache(tmp_path)) == 3
    write_cache(tmp_path, dataset, instances=True)
    cache = FrameCache(tmp_path)
    assert len(cache) == 4
    for index in (0, 3):
        drawn = dataset.frame(index)
        assert_equal(cache.frame(index), drawn)
        np.testing.assert_array_equal(cache.frame(index).instances, drawn.instances)
    assert cache.meta["crop_top_px"] == 35
    assert [cache.previous(i) for i in range(4)] == [None, 0, None, 2]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"seeds": [4, 3]}, "seeds"),
        ({"first_frame": 4}, "first_frame"),
        ({"jpeg": None}, "jpeg"),
        ({"size": (32, 88)}, "size"),
    ],
)
def test_a_cache_of_other_settings_is_not_continued(
    changes: dict[str, Any], key: str, dataset: SyntheticDataset, tmp_path: Path
) -> None:
    write_cache(tmp_path, dataset)
    other: dict[str, Any] = {"seeds": [3, 4], "size": SIZE, "frames_per_seed": 2, "source_size": SOURCE, **changes}
    with pytest.raises(InputError, match=rf"was begun with {key} .*remove the folder"):
        write_cache(tmp_path, SyntheticDataset(**other))
    assert_equal(FrameCache(tmp_path).frame(0), dataset.frame(0))


def test_a_cache_without_instances_is_not_continued_with_them(dataset: SyntheticDataset, tmp_path: Path) -> None:
    write_cache(tmp_path, dataset)
    with pytest.raises(InputError, match="begun with instances false, not true"):
        write_cache(tmp_path, dataset, instances=True)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("meta.json", b"[" * 100_000, "nested too deep"),
        ("meta.json", b"{}", "frames_per_seed"),
        ("meta.json", b"[1]", "no cache of synthetic frames"),
        ("voxels.npy", b"", "no cache of synthetic frames"),
        ("voxels.npy", None, "No such file"),
        ("progress.txt", b"many", "invalid literal"),
        ("progress.txt", b"99", "counts 99 of 2 frames"),
    ],
)
def test_a_damaged_cache_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    write_cache(tmp_path, SyntheticDataset([3], SIZE, frames_per_seed=2, source_size=SOURCE))
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        FrameCache(tmp_path)
    assert "draw one with `flashocc synth --cache`" in str(caught.value)


def test_an_array_of_another_shape_and_a_class_that_is_none_are_refused(tmp_path: Path) -> None:
    write_cache(tmp_path, SyntheticDataset([3], SIZE, frames_per_seed=1, source_size=SOURCE))
    voxels = np.load(tmp_path / "voxels.npy")
    np.save(tmp_path / "voxels.npy", voxels | 31)
    with pytest.raises(InputError, match=r"frame 0 of .* is damaged"):
        FrameCache(tmp_path).frame(0)
    np.save(tmp_path / "voxels.npy", voxels[:, :5])
    with pytest.raises(InputError, match=r"voxels.npy holds uint8 \(1, 5, 200, 16\)"):
        FrameCache(tmp_path)


def test_a_full_disk_is_said_before_anything_is_drawn(dataset: SyntheticDataset, tmp_path: Path) -> None:
    done: list[int] = []
    with largest_file(100_000), pytest.raises(OutputError, match=r"cannot write .*File too large"):
        write_cache(tmp_path / "cache", dataset, progress=lambda number, total: done.append(number))
    assert done == []
    write_cache(tmp_path / "cache", dataset)
    assert len(FrameCache(tmp_path / "cache")) == 4


def _draw(path: Path) -> None:
    write_cache(path, SyntheticDataset([3], SIZE, frames_per_seed=2, source_size=SOURCE))


def test_two_processes_draw_one_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    drawers = [context.Process(target=_draw, args=(tmp_path / "cache",)) for _ in range(2)]
    for drawer in drawers:
        drawer.start()
    for drawer in drawers:
        drawer.join()
    assert [drawer.exitcode for drawer in drawers] == [0, 0]
    assert len(FrameCache(tmp_path / "cache")) == 2
