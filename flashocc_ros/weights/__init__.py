"""Weights that come with the package: networks trained on the synthetic world."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def path(name: str) -> Path | None:
    """File with the shipped weights of variant ``name`` (safetensors), None when none are shipped for it."""
    file = _FOLDER / f"{name}.safetensors"
    return file if file.is_file() else None
