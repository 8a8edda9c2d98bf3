"""YAML of strangers, read within bounds: neither size, depth nor merged keys can make a reader slow."""

from __future__ import annotations

from typing import Any

import yaml

MAX_BYTES = 4 << 20
MAX_DEPTH = 32

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(text: str | bytes) -> Any:
    """The document in ``text``, of plain types.

    Raises:
        ValueError: it is longer than ``MAX_BYTES``, nested deeper than ``MAX_DEPTH``, merges keys or is no YAML.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"it is {len(text) / 1e6:.1f} MB long, the limit is {MAX_BYTES / 1e6:.1f} MB")
    try:
        depth = 0
        for event in yaml.parse(text, _LOADER):  # building objects recurses, reading events does not
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
            if isinstance(event, yaml.ScalarEvent) and event.value == "<<":
                raise ValueError("it merges keys")
        return yaml.load(text, _LOADER)
    except (yaml.YAMLError, AttributeError) as error:  # AttributeError: a tagged scalar its constructor cannot read
        raise ValueError(f"it is no YAML: {' '.join(str(error).split())}") from error
