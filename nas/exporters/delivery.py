"""A proved file put into its folder, with the spec and the model card beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.exporters.card import card
from nas.exporters.package import ExportError, Package
from nas.exporters.python_module import spec
from nas.files import write_text


def deliver(package: Package, made: Path, out: Path, name: str, proof: Mapping[str, Any]) -> Path:
    """Move `made` into the folder `out`, made if need be, with NAME.json and NAME.md; return the folder.

    proof: `runtime`, `difference` (of a logit to PyTorch's) and `largest` (logit), and what else the format found.
    """
    told = {**spec(package, name), "proof": dict(proof)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        aside = out / f".{made.name}.part"
        aside.write_bytes(made.read_bytes())
        os.replace(aside, out / made.name)
        write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", out / f"{name}.json")
        write_text(card(package, name, told), out / f"{name}.md")
    except OSError as error:
        raise ExportError(f"an export needs a folder that can be written, but {out} says: {error}") from None
    return out
