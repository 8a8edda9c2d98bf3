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

"""YAML of strangers, read within bounds: neither size, depth nor merged keys can make a reader slow."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flashocc_ros.regular_file import regular_size

MAX_BYTES = 4 << 20
MAX_DEPTH = 32

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class _Collection:
    """A mapping or sequence whose end has not come yet: how many nodes it had so far, and which keys."""

    is_mapping: bool
    nodes: int = 0
    keys: set[str] = field(default_factory=set)


def read(path: Path, max_bytes: int = MAX_BYTES) -> Any:
    """The document in a file, of plain types.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it is longer than ``max_bytes``, or see `load`.
    """
    size = regular_size(path)
    if size > max_bytes:
        raise ValueError(f"it is {size / 1e6:.1f} MB long, the limit is {max_bytes / 1e6:.1g} MB")
    return load(path.read_bytes())


def load(text: str | bytes) -> Any:
    """The document in ``text``, of plain types.

    Raises:
        ValueError: it is longer than ``MAX_BYTES``, nested deeper than ``MAX_DEPTH``, merges or repeats keys, or is no
            YAML.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"it is {len(text) / 1e6:.1f} MB long, the limit is {MAX_BYTES / 1e6:.1f} MB")
    try:
        _check_events(text)  # building objects recurses, reading events does not
        return yaml.load(text, _LOADER)
    except (yaml.YAMLError, AttributeError) as error:  # AttributeError: a tagged scalar its constructor cannot read
        raise ValueError(f"it is no YAML: {' '.join(str(error).split())}") from error


def _check_events(text: str | bytes) -> None:
    around: list[_Collection] = []
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.CollectionEndEvent):
            around.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        if around:
            inside = around[-1]
            if inside.is_mapping and inside.nodes % 2 == 0 and isinstance(event, yaml.ScalarEvent):
                if event.value in inside.keys:
                    raise ValueError(f"it has the key {event.value!r:.40} twice in one place")
                inside.keys.add(event.value)
            inside.nodes += 1
        if isinstance(event, yaml.CollectionStartEvent):
            around.append(_Collection(isinstance(event, yaml.MappingStartEvent)))
            if len(around) > MAX_DEPTH:
                raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<":
            raise ValueError("it merges keys")
