"""A network as torch.export's archive: a graph of ATen operators with its weights, any batch, no Python class.

TorchScript, which served this purpose before, is deprecated in torch and therefore no format here.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram

from nas.packaging.delivery import deliver
from nas.packaging.package import Package
from nas.packaging.proof import prove_program
from nas.packaging.spec import check_name

ABOUT = "torch.export's archive with a dynamic batch, loaded and compared where this project is not"
SUFFIX = ".pt2"


def export(package: Package, out: Path, name: str = "network") -> Path:
    """Write NAME.pt2, NAME.json and NAME.md into the folder `out`, made if need be, and return it.

    `torch.export.load(path).module()` reads images (batch, C, H, W) at the network's resolution. Raise
    `ExportError` when it does not compute the same in a process of its own.
    """
    check_name(name)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{name}{SUFFIX}"
        torch.export.save(program(package), path)
        found = prove_program(path, package)
        return deliver(package, path, out, name, found.proof(f"torch {torch.__version__}, without this project"))


def program(package: Package, largest_batch: int | None = None) -> ExportedProgram:
    """The network in eval mode as an exported program, without the places in source files that tracing notes."""
    side = package.arch.resolution
    images = torch.zeros(2, package.in_channels, side, side)
    batch = Dim("batch", min=1, max=largest_batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.export.export(package.module(), (images,), dynamic_shapes=({0: batch},))
    for node in found.graph.nodes:
        node.meta.pop("stack_trace", None)
    return found
