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

"""Arrays of strangers: what cannot be drawn is one sentence, what is unknown is not drawn as something else."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from flashocc_ros.errors import InputError
from flashocc_ros.viz.arrays import draw_arrays

SHAPE = (20, 20, 4)


def drawn(folder: Path, **arrays: Any) -> np.ndarray:
    np.savez(folder / "a.npz", **arrays)
    return np.asarray(cv2.imread(str(draw_arrays(folder / "a.npz", folder / "out", 640))))


def test_classes_beyond_the_table_are_not_wrapped_into_it(tmp_path: Path) -> None:
    nothing = drawn(tmp_path, semantics=np.full(SHAPE, 17, np.uint8))
    for value in (260, -252, 18):
        np.testing.assert_array_equal(drawn(tmp_path, semantics=np.full(SHAPE, value, np.int32)), nothing)
    assert not np.array_equal(drawn(tmp_path, semantics=np.full(SHAPE, 4, np.int32)), nothing)


@pytest.mark.parametrize(
    ("semantics", "words"),
    [
        (np.full(SHAPE, np.nan), "semantics holds float64, needs whole numbers"),
        (np.full(SHAPE, "a"), "needs whole numbers"),
        (np.zeros((3, 3, 0), np.uint8), "none of them 0"),
    ],
)
def test_arrays_that_are_no_classes_are_refused(tmp_path: Path, semantics: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        drawn(tmp_path, semantics=semantics)


def test_an_array_that_would_fill_the_memory_is_refused_unread(tmp_path: Path) -> None:
    header = io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": (1000, 1000, 600)}
    np.lib.format.write_array_header_1_0(header, description)
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as stored,
        stored.open("semantics.npy", "w") as file,
    ):
        file.write(header.getvalue())
        for _ in range(600):
            file.write(bytes(1_000_000))
    with pytest.raises(InputError, match=r"semantics has 0\.6 GB, the limit is 0\.5 GB"):
        draw_arrays(tmp_path / "bomb.npz", tmp_path / "out", 640)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npz")
    with pytest.raises(InputError, match="it is a pipe or a device"):
        draw_arrays(tmp_path / "a.npz", tmp_path / "out", 640)
