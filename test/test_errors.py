"""A message is one sentence that somebody reads, whatever was quoted in it."""

from __future__ import annotations

import pickle

from flashocc_ros.errors import MAX_SENTENCE, ConfigError, FlashOccError


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
