"""YAML that would mean two things is refused."""

from __future__ import annotations

import pytest

from flashocc_ros.bags import bounded_yaml


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
