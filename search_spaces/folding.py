"""Batch norm folded into the convolution before it: how a network is deployed, as its own reading.

In inference a batch norm is one multiply-add a channel, which a convolution before it can do for nothing:
w' = w · γ/√(σ² + ε), b' = (b − μ) · γ/√(σ² + ε) + β (Jacob et al. 2018, "Quantization and training of neural
networks for efficient integer-arithmetic-only inference", section 3.2). What is folded is again an expression of
plain layers with the same names, so its exact cost is `layer_cost` of it, as of any other.
"""

from __future__ import annotations

from dataclasses import replace

from search_spaces.arch import Arch
from search_spaces.cost import Cost, layer_cost
from search_spaces.layers import BatchNorm, Chain, Combinator, Conv, Dropout, Identity, Layer, Shape


def folded(layer: Layer) -> Layer:
    """The same layer with its batch norms in the convolutions before them; others stay.

    A convolution that took one up has a bias, and an `Identity` stands where the batch norm was, so that names stay.
    """
    found = pairs(layer)
    convs, norms = {conv for conv, _ in found}, {norm for _, norm in found}
    return _rewritten(layer, "", convs, norms)


def folded_cost(arch: Arch, in_channels: int = 3, num_classes: int = 1000) -> Cost:
    """The exact cost after folding."""
    shape = Shape(in_channels, arch.resolution, arch.resolution)
    return layer_cost(folded(arch.layer(in_channels, num_classes)), shape)[1]


def pairs(layer: Layer) -> list[tuple[str, str]]:
    """(convolution, batch norm) that can be folded, by their dotted names in the built module."""
    found: list[tuple[str, str]] = []
    _pair(layer, "", None, found)
    return found


def _pair(layer: Layer, name: str, before: str | None, found: list[tuple[str, str]]) -> str | None:
    """Collect pairs; return the convolution whose output is what comes out, if nothing else reads it."""
    if isinstance(layer, Combinator):
        for child, part in zip(layer.names, layer.layers, strict=True):
            reached = _pair(part, _joined(name, child), before if isinstance(layer, Chain) else None, found)
            before = reached if isinstance(layer, Chain) else None
        return before
    if isinstance(layer, BatchNorm) and before is not None:
        found.append((before, name))
        return None
    if isinstance(layer, (Identity, Dropout)):
        return before
    return name if isinstance(layer, Conv) else None


def _rewritten(layer: Layer, name: str, convs: set[str], norms: set[str]) -> Layer:
    if isinstance(layer, Combinator):
        parts = zip(layer.names, layer.layers, strict=True)
        return type(layer)(tuple(_rewritten(p, _joined(name, n), convs, norms) for n, p in parts), layer.names)
    if name in norms:
        return Identity()
    return replace(layer, bias=True) if isinstance(layer, Conv) and name in convs else layer


def _joined(name: str, child: str) -> str:
    return f"{name}.{child}" if name else child
