"""One line of a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What was looked at and what was found.

    Attributes:
        level: "ok", "info" (neither good nor bad), "warn" (works, but) or "error" (will not work).
        topic: a word or two.
        text: the value, and for warnings and errors the remedy.
    """

    level: Literal["ok", "info", "warn", "error"]
    topic: str
    text: str
