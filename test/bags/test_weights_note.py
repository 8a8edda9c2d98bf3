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

"""Which warning belongs to recorded results."""

from __future__ import annotations

from pathlib import Path

import pytest
from drive_bag import T0_NS, write_drive

from flashocc_ros import weights
from flashocc_ros.bags import BagWriter
from flashocc_ros.bags.results import DRAWN_TRUTH_TOPIC, TRUTH_TYPE, weights_note
from flashocc_ros.data.synthetic.bag import TRUTH_TOPIC


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    with BagWriter(tmp_path / "drawn") as writer:
        writer.add_topic(TRUTH_TOPIC, TRUTH_TYPE)
        writer.add_topic("/tf", "tf2_msgs/msg/TFMessage")
        writer.write("/tf", T0_NS, writer.message("tf2_msgs/msg/TFMessage", transforms=[]))
    return tmp_path / "drawn"


def test_shipped_weights_warn_of_real_pictures_alone(tmp_path: Path, drawn: Path) -> None:
    real = write_drive(tmp_path / "real")
    facts = {"trained": "true", "trained_on": "synthetic"}
    assert weights_note(real, facts) == weights.SYNTHETIC_NOTE
    assert weights_note(drawn, facts) == ""
    assert TRUTH_TOPIC == DRAWN_TRUTH_TOPIC


def test_untrained_weights_warn_of_all_and_others_of_none(tmp_path: Path, drawn: Path) -> None:
    real = write_drive(tmp_path / "real")
    for path in (real, drawn):
        assert weights_note(path, {"trained": "false", "trained_on": ""}) == weights.UNTRAINED_NOTE
        assert weights_note(path, {"trained": "true", "trained_on": ""}) == ""
        assert weights_note(path, {"trained": "true"}) == ""  # of an earlier release
