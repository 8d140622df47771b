"""The text of an exported module, read off the layer expression of an architecture."""

from __future__ import annotations

import ast
import inspect

from nas import modules
from nas.build import ACTIVATIONS, initialise
from nas.codegen import phrases, timm_names
from nas.codegen.body import freedom, read
from nas.codegen.expressions import COMBINATORS, PHRASES, WIDTH, Symbol, activation_source
from nas.codegen.functions import Function
from nas.codegen.network_class import load_source, network_source
from nas.packaging.package import Package
from search_spaces.part import REGISTRY

_IMPORTS = {
    "warnings": "import warnings",
    "OrderedDict": "from collections import OrderedDict",
    "Callable": "from collections.abc import Callable",
    "Sequence": "from collections.abc import Sequence",
    "suppress": "from contextlib import suppress",
    "partial": "from functools import partial",
    "Path": "from pathlib import Path",
    "Any": "from typing import Any",
}
_CLASSES = ("Concat", "Add", "Multiply", "Shuffle")
_OWN = {"Activation", "CFG", "Network", "load", "register", "initialise"} | {
    "torch",
    "nn",
    "Tensor",
    "act",
    "self",
    "range",
}
TAKEN = frozenset({*_OWN, *_IMPORTS, *_CLASSES, *COMBINATORS.values(), *PHRASES, *ACTIVATIONS})
"""Names in an exported file that no block's function or parameter may have."""


def module_source(package: Package, name: str, docstring: str) -> str:
    """The whole file: docstring, imports, what the network is made of, the network, `load`, `register`."""
    arch, in_channels, num_classes = package.as_trained
    free = freedom(arch, in_channels, num_classes)
    body = read(
        arch,
        in_channels if free.in_channels is None else Symbol("in_channels", in_channels),
        num_classes if free.num_classes is None else Symbol("num_classes", num_classes),
        TAKEN,
    )
    code = [function.source(body.defaults, _about(function)) for function in body.functions]
    code += [network_source(body, arch, in_channels, num_classes, free), load_source(in_channels, num_classes, free)]
    code += [timm_names.REGISTER.strip().format(name=name, channels=in_channels)]
    activations, definitions = _definitions("\n".join(code), body.act)
    found = timm_names.classifier(body, free)
    cfg = timm_names.configuration_source(timm_names.configuration(package), found, free)
    imports = _imports("\n".join((*activations, *definitions, *code)))
    head = "\n".join((docstring, "", *imports, "", *activations, cfg))
    return "\n\n\n".join((head, *definitions, *code)) + "\n"


def quoted(text: str) -> str:
    """One line that can stand in a docstring, whatever a study was called."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split()).replace("\\", "\\\\").replace('"', '\\"')


def _about(function: Function) -> str:
    """What sets a function apart in its family; else the first line of the block's file: what it is, and whose."""
    if function.note:
        return quoted(function.note)
    module = inspect.getmodule(REGISTRY[function.family])
    said = (module.__doc__ if module else None) or ""
    first = said.strip().split("\n")[0]
    return quoted(first) if len(first) <= WIDTH else ""


def _names(code: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def _definitions(code: str, act: str) -> tuple[list[str], list[str]]:
    """Activations, and classes and functions, that the code needs, directly or through each other."""
    sources = {"Activation": "Activation = Callable[[], nn.Module]"}
    sources |= {kind: f"{kind} = {activation_source(kind)}" for kind in ACTIVATIONS}
    sources |= {name: inspect.getsource(getattr(modules, name)).rstrip() for name in _CLASSES}
    for name in (*COMBINATORS.values(), *PHRASES):
        sources[name] = inspect.getsource(getattr(phrases, name)).rstrip().replace(" = relu", f" = {act}")
    sources["initialise"] = inspect.getsource(initialise).rstrip()
    needed: set[str] = set()
    while more := _names("\n".join((code, *(sources[n] for n in needed)))) & sources.keys() - needed:
        needed |= more
    used = [name for name in sources if name in needed]
    short = {"Activation", *ACTIVATIONS}
    return [sources[n] for n in used if n in short], [sources[n] for n in used if n not in short]


def _imports(code: str) -> list[str]:
    """Import lines for the names that the code uses, in isort's order."""
    names = _names(code)
    plain = [text for name, text in _IMPORTS.items() if name in names and text.startswith("import")]
    by_module: dict[str, list[str]] = {}
    for name, text in _IMPORTS.items():
        if name in names and text.startswith("from"):
            by_module.setdefault(text.split()[1], []).append(name)
    standard = plain + [f"from {module} import {', '.join(found)}" for module, found in by_module.items()]
    torch_itself = ["import torch"] if "torch" in names else []
    return [*standard, "", *torch_itself, "from torch import Tensor, nn"]
