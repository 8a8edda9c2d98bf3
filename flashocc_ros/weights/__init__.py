"""Networks that come with the package, trained on the synthetic world: weights, and the same exported to ONNX."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def path(name: str) -> Path | None:
    """File with the shipped weights of variant ``name`` (safetensors), None when none are shipped for it."""
    file = _FOLDER / f"{name}.safetensors"
    return file if file.is_file() else None


def export_dir(name: str) -> Path | None:
    """Folder with the shipped fp32 export of variant ``name``, None when none is shipped for it."""
    folder = _FOLDER / name
    return folder if (folder / "meta.json").is_file() else None
