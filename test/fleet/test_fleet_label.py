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

"""Labels over recordings: those of ``flashocc label``, and an attempt that was cut short is continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from copy_work import results

from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import BOXES_TOPIC, write_bag
from flashocc_ros.data.synthetic.lidar import make_lidar
from flashocc_ros.errors import EngineError
from flashocc_ros.fleet.attempt import attempt
from flashocc_ros.fleet.label import LabelWork
from flashocc_ros.fleet.ledger import Ledger
from flashocc_ros.fleet.recordings import Recording, find_recordings
from flashocc_ros.fleet.work import Made, Tell
from flashocc_ros.labelling.recording import Recording as LidarRecording
from flashocc_ros.labelling.run import label_drive
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.sources import Sources

SOURCES = Sources(boxes=BOXES_TOPIC, class_field="label")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("lidar") / "drive"
    write_bag(path, Drive(3, 1.0, image_size=(99, 176), threads=1), 2.0, lidar=make_lidar("16"))
    return find_recordings([str(path)])[0]


@pytest.fixture(scope="module")
def labelled(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By the function of the command for one drive."""
    out = tmp_path_factory.mktemp("labelled")
    drive = LidarRecording(Path(recording.location), SOURCES, Settings())
    label_drive(drive, out, "drive", drive.described(), Settings())
    return out


class CutShort(LabelWork):
    """Ends after its first key frame."""

    def make(self, name: str, location: str, folder: Path, tell: Tell) -> Made:
        def once(done: int, expected: int | None) -> None:
            raise EngineError("cut short")

        return super().make(name, location, folder, once)


def test_labels_are_those_of_the_command_for_one_drive(recording: Recording, labelled: Path, tmp_path: Path) -> None:
    state = attempt(recording, LabelWork(SOURCES), Ledger(tmp_path), tmp_path, "me").state
    assert state is not None
    assert (state.status, state.sets) == ("done", 2), state.reason
    assert len(state.rig) == 16
    assert state.metrics["coverage"] is not None
    assert results(tmp_path) == results(labelled)


def test_an_attempt_that_was_cut_short_is_continued(recording: Recording, labelled: Path, tmp_path: Path) -> None:
    state = attempt(recording, CutShort(SOURCES), Ledger(tmp_path), tmp_path, "me").state
    assert state is not None
    assert (state.status, state.reason.split(";")[0]) == ("failed", "cut short")
    (first,) = tmp_path.glob(".fleet/work/*/drive/*/labels.npz")
    before = first.stat().st_ino
    state = attempt(recording, LabelWork(SOURCES), Ledger(tmp_path), tmp_path, "me").state
    assert state is not None
    assert (state.status, state.attempts) == ("done", 2), state.reason
    assert (tmp_path / "drive" / first.parent.name / first.name).stat().st_ino == before
    assert results(tmp_path) == results(labelled)


def test_all_that_decides_labels_is_in_the_settings() -> None:
    def settings(work: LabelWork) -> dict[str, Any]:
        return work.settings

    assert settings(LabelWork(SOURCES)) != settings(LabelWork())
    assert settings(LabelWork(SOURCES)) != settings(LabelWork(SOURCES, Settings(key_rate_hz=1.0)))
    assert all(isinstance(value, int | float | str) for value in settings(LabelWork(SOURCES)).values())
