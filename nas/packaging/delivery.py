"""Proved files put into their folder, with the spec and the model card beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nas.files import write_together
from nas.packaging.card import card
from nas.packaging.package import ExportError, Package
from nas.packaging.spec import spec


def deliver(package: Package, made: Path, out: Path, name: str, proof: Mapping[str, Any]) -> Path:
    """Move `made` into the folder `out`, made if need be, with NAME.json and NAME.md; return the folder.

    proof: `runtime`, `difference` (of a logit to PyTorch's) and `largest` (logit), and what else the format found.
    """
    told = {**spec(package, name), "proof": dict(proof)}
    as_json, described = json.dumps(told, indent=2, ensure_ascii=False) + "\n", card(package, name, told)
    return put(
        out,
        {
            f"{name}.json": lambda path: path.write_text(as_json, encoding="utf-8"),
            f"{name}.md": lambda path: path.write_text(described, encoding="utf-8"),
            made.name: lambda path: path.write_bytes(made.read_bytes()),
        },
    )


def put(out: Path, files: Mapping[str, Callable[[Path], object]]) -> Path:
    """Write files, all or none, into the folder `out`, made if need be, and return it; see `write_together`.

    Raise `ExportError` where that cannot be written.
    """
    try:
        write_together({out / name: write for name, write in files.items()})
    except OSError as error:
        said = error.strerror or error
        raise ExportError(f"an export needs a folder that can be written, but {out} says: {said}") from None
    return out
