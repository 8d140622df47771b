"""Files that are whole or not there: written aside, then renamed."""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor


def write_text(text: str, path: Path) -> Path:
    """Write a text file in one step."""
    aside = _aside(path)
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)
    return path


def write_weights(weights: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> Path:
    """Write a state dict as safetensors, with texts beside the tensors, in one step."""
    from safetensors.torch import save_file

    aside = _aside(path)
    save_file(weights, aside, metadata)
    os.replace(aside, path)
    return path


def _aside(path: Path) -> Path:
    """A name beside the file that no other process uses; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}")
