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

"""The exception tree of this package: every message names the value, the limit and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_SENTENCE = 2000
"""Characters of a message: names and encodings from outside may have millions."""


def shortened(sentence: str) -> str:
    """The sentence, without its middle when it is longer than anybody reads; its end says what to do."""
    if len(sentence) <= MAX_SENTENCE:
        return sentence
    end = MAX_SENTENCE // 4
    return f"{sentence[: MAX_SENTENCE - end]} [...] {sentence[-end:]}"


def did_you_mean(names: str | Iterable[str], known: Iterable[str]) -> str:
    """ "; did you mean X or Y?" for names that are like known ones, to end a sentence with; else empty."""
    known = list(known)
    near: list[str] = []
    for name in [names] if isinstance(names, str) else names:
        near += [n for n in difflib.get_close_matches(name, known, n=2, cutoff=0.55) if n not in near]
    return f"; did you mean {' or '.join(near[:3])}?" if near else ""


class FlashOccError(Exception):
    """Base of all errors raised on purpose by this package."""

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened(message))


class ConfigError(FlashOccError, ValueError):
    """A parameter, option or configuration file holds a value that cannot be used."""


class InputError(FlashOccError, ValueError):
    """An image, a calibration, a pose or a stamp that cannot be processed."""


class ImageError(InputError):
    """An image file that cannot be decoded."""


class CheckpointError(FlashOccError):
    """A weights file that is missing, damaged, unsafe or belongs to another variant."""


class EngineError(FlashOccError, RuntimeError):
    """An inference engine that is missing, cannot be built or cannot run."""


class BagError(FlashOccError):
    """A recording that is missing, empty, damaged or lacks the needed topics."""


class RemoteError(FlashOccError):
    """A server that fails or refuses; another try later may go well."""


class OutputError(FlashOccError):
    """A result that cannot be written to disk."""


class TrainingError(FlashOccError, RuntimeError):
    """A training run that cannot go on."""
