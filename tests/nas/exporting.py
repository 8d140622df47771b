"""Networks to export, and exported modules to look at: what the tests of exports share."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import torch

from nas.build import build
from nas.exporters.python_module import export
from nas.packaging.package import Package
from nas.packaging.proof import awake
from search_spaces.arch import Arch
from search_spaces.cost import cost
from search_spaces.spaces import find

MOBILENET_V2 = (
    "r224 | conv_stem(width=32, act=relu6) | inverted_residual(expand=1) c16 | inverted_residual c24 n2 s2 "
    "| inverted_residual c32 n3 s2 | inverted_residual c64 n4 s2 | inverted_residual c96 n3 "
    "| inverted_residual c160 n3 s2 | inverted_residual c320 | pool_head(width=1280, act=relu6, dropout=0.2)"
)
SMALL = "r32 | conv_stem(width=8) | inverted_residual c8 n2 | inverted_residual c16 s2 | pool_head"
numbers = itertools.count()


def packed(arch: Arch | str, in_channels: int = 3, num_classes: int = 10, **known: Any) -> Package:
    """A package whose every layer is awake, so that a wrong one shows in the logits."""
    arch = Arch.parse(arch) if isinstance(arch, str) else arch
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = awake(build(arch, in_channels, num_classes), torch.randn(4, in_channels, 32, 32))
    return Package(arch, in_channels, num_classes, network.state_dict(), **known)


def drawn(space: str, seed: int) -> Arch:
    """A random valid network, small; not uniform, as that would read the space's lattice, which takes seconds."""
    rng = Random(seed)
    found = find(space).at(128)
    drafts = (found.build(lambda path, hole: rng.choice(hole.labels)) for _ in range(9999))
    return next(arch for arch in drafts if found.valid(arch) and cost(arch).params < 4e6)


def imported(folder: Path, name: str = "network") -> Any:
    """The exported file as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"exported_{next(numbers)}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def brought_home(package: Package, folder: Path) -> tuple[Any, str]:
    """The exported module and its text."""
    return imported(export(package, folder)), (folder / "network.py").read_text(encoding="utf-8")
