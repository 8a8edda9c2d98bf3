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

"""YAML that would mean two things is refused."""

from __future__ import annotations

import pytest

from flashocc_ros import bounded_yaml


@pytest.mark.parametrize("text", ["a: 1\na: 2", "x: {b: 1, c: [1, 2], b: 2}", "- {k: {}, l: [k], k: 3}"])
def test_a_key_that_comes_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"the key '[abk]' twice in one place"):
        bounded_yaml.load(text)


def test_a_value_may_be_named_as_a_key_and_a_key_come_in_two_places() -> None:
    text = "a: [b, b]\nb: b\nc: {a: c, b: {a: 1}}\nd: [{a: 1}, {a: 2}]"
    assert bounded_yaml.load(text) == {
        "a": ["b", "b"],
        "b": "b",
        "c": {"a": "c", "b": {"a": 1}},
        "d": [{"a": 1}, {"a": 2}],
    }
