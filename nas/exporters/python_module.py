"""A network as one readable Python file that imports torch only, with weights, spec and model card beside it."""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from nas.codegen.source import module_source, quoted
from nas.files import save, write_text
from nas.packaging.card import card
from nas.packaging.delivery import put
from nas.packaging.package import Package
from nas.packaging.spec import check_name, spec

ABOUT = "a standalone Python module that needs torch only, safetensors weights, a JSON spec and a model card"
SUFFIX = ".py"
SUFFIXES = (SUFFIX, ".safetensors", ".json", ".md")
_MARGIN = 13


def export(package: Package, out: Path, name: str = "network") -> Path:
    """Write NAME.py, .safetensors, .json and .md, unproved, into the folder `out`, made if need be, and return it."""
    check_name(name)
    source = module_source(package, name, docstring(package, name))
    ast.parse(source)
    weights = {key: value.detach().cpu().contiguous() for key, value in package.weights.items()}
    told = json.dumps(spec(package, name), indent=2, ensure_ascii=False) + "\n"
    described = carded(package, name)
    return put(
        out,
        {
            f"{name}.safetensors": lambda path: save(weights, path),
            f"{name}.json": lambda path: path.write_text(told, encoding="utf-8"),
            f"{name}.md": lambda path: path.write_text(described, encoding="utf-8"),
            f"{name}.py": lambda path: path.write_text(source, encoding="utf-8"),
        },
    )


def carded(package: Package, name: str, proof: Mapping[str, object] | None = None) -> str:
    """The model card, with what was proved once it was."""
    return card(package, name, {**spec(package, name), "proof": proof})


def write_card(package: Package, out: Path, name: str, proof: Mapping[str, object] | None = None) -> None:
    """NAME.md, in one step."""
    write_text(carded(package, name, proof), out / f"{name}.md")


def docstring(package: Package, name: str) -> str:
    """What the network is, where it was found, what it costs and how accurate it is, and how to use it."""
    _, channels, classes = package.as_deployed
    cost, side = package.cost, package.arch.resolution
    facts = [(key, value) for key, value in package.provenance.items() if value not in (None, "", {}, [])]
    searched = "study" in package.provenance
    label = "found in" if searched else "from"
    found = [(label, ", ".join(f"{key} {value}" for key, value in facts))] if facts else []
    deployed = f"{channels}×{side}×{side} images, {classes:,} classes: what these costs are counted for"
    table = [
        *found,
        ("deployed", deployed),
        ("flops", f"{cost.flops:,} (fvcore: a multiply-add is 1, batch norm 2 and adaptive pooling 1 an element)"),
        ("macs", f"{cost.macs:,} (convolutions and linear layers alone, as papers print them)"),
        ("params", f"{cost.params:,} ({cost.size_bytes / 1e6:.1f} MB in fp32)"),
        ("weights", f"for {package.in_channels} channels and {package.num_classes:,} classes, in {name}.safetensors"),
        *_images(package),
        ("accuracy", package.accuracy_text),
    ]
    origin = ", found by architecture search" if searched else ""
    return "\n".join(
        (
            f'"""An image classifier: {_family(package)}{origin}.',
            "",
            *_arch_lines(package),
            "",
            *(line for label, text in table for line in _row(label, text)),
            "",
            f"    from {name} import load",
            "    network = load().eval()  # or load(num_classes=5), load(features_only=True)",
            '"""',
        )
    )


def _images(package: Package) -> list[tuple[str, str]]:
    """How the images were normalised that the weights were trained on, where that is known."""
    mean, std = package.record.get("mean"), package.record.get("std")
    if not mean or not std:
        return []
    numbers = (f"({', '.join(f'{value:.4f}' for value in values)})" for values in (mean, std))
    return [("images", "pixels as 0 to 1, less mean {}, over std {}".format(*numbers))]


def _family(package: Package) -> str:
    labels = dict.fromkeys(stage.block.label.replace("_", " ") for stage in package.arch.stages)
    return quoted(f"{package.arch.depth} blocks of {', '.join(labels) or 'no kind'}")


def _arch_lines(package: Package) -> Iterable[str]:
    """The text form, a stage a line."""
    first, *rest = str(package.arch).split(" | ")
    yield f"    {first}"
    yield from (f"    | {part}" for part in rest)


def _row(label: str, text: str) -> list[str]:
    plain = "".join(c if c.isprintable() else " " for c in text)
    # quoted after wrapping, so that no line ends between a backslash and what it escapes
    wrapped = [quoted(line) for line in textwrap.wrap(plain, 110 - _MARGIN, break_on_hyphens=False)] or [""]
    return [f"{label:<{_MARGIN}}{wrapped[0]}", *(" " * _MARGIN + line for line in wrapped[1:])]
