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

"""A message is one sentence that somebody reads, whatever was quoted in it."""

from __future__ import annotations

import pickle

from flashocc_ros.errors import MAX_SENTENCE, ConfigError, FlashOccError, did_you_mean


def test_a_message_loses_its_middle_when_nobody_would_read_it() -> None:
    error = ConfigError(f"encoding '{'e' * 100_000}' cannot be read; publish rgb8")
    assert str(error).startswith("encoding 'eeee")
    assert str(error).endswith("e' cannot be read; publish rgb8")
    assert len(str(error)) <= MAX_SENTENCE + 10


def test_other_messages_stay_as_they_are_also_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ConfigError("x is 3; use 2")))
    assert str(error) == "x is 3; use 2"
    assert isinstance(error, FlashOccError)
    assert isinstance(error, ValueError)


def test_names_that_are_nearly_right_are_guessed() -> None:
    assert did_you_mean("CAM_FORNT", ["CAM_FRONT", "CAM_BACK", "lidar"]) == "; did you mean CAM_FRONT?"
    assert did_you_mean(["/ocupancy", "/tf"], ["/occupancy", "/tf_static"]) == "; did you mean /occupancy?"
    assert did_you_mean("nothing", ["CAM_FRONT"]) == ""
