"""The schedule behind `peak_activations`, carried out: real maps, freed after their last reader, and who is alive.

It is written against torch and knows no formula: what lives is what torch's storages say lives.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from search_spaces import layers as L
from search_spaces.layers import Layer


class Allocator(TorchDispatchMode):
    """Bytes of the floating-point storages that operations made and that something still holds; and their peak.

    Indices of max pooling, which only training reads, are left out.
    """

    def __init__(self, weights: nn.Module) -> None:
        super().__init__()
        owned = (*weights.parameters(), *weights.buffers())
        self._foreign = {t.untyped_storage()._cdata for t in owned}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                storage = tensor.untyped_storage()
                if storage._cdata not in self._foreign:
                    self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self._alive = {key: held for key, held in self._alive.items() if not held[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return out


class Affine(nn.Module):
    """What an eval-mode batch norm does, as (1, C, 1, 1) factors that were computed beforehand."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)  # type: ignore[operator]
        self.scale = nn.Parameter(scale.view(1, -1, 1, 1).clone())
        self.shift = nn.Parameter((norm.bias - norm.running_mean * scale).view(1, -1, 1, 1).clone())  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(self.scale).add_(self.shift)


def with_affine(network: nn.Module) -> nn.Module:
    """The network with its batch norms made ready to work in place."""
    for name, child in network.named_children():
        setattr(network, name, Affine(child) if isinstance(child, nn.BatchNorm2d) else with_affine(child))
    return network


def execute(module: nn.Module, layer: Layer, box: list[Tensor], kept: bool = False) -> Tensor:
    """The output for the map in `box`, which is taken out as soon as nothing reads it; `kept`: someone else will."""
    if isinstance(layer, L.Chain):
        return _chain(module, layer, box, kept)
    if isinstance(layer, L.Combinator):
        return _branches(module, layer, box, kept)
    if isinstance(layer, (L.Identity, L.Dropout)) and not (kept and isinstance(layer, L.Dropout)):
        return box.pop()
    if isinstance(layer, L.Flatten):
        return box.pop().flatten(1)
    if isinstance(layer, (L.BatchNorm, L.Act, L.Dropout)):
        x = box.pop()
        x = x.clone() if kept else x
        with _disable_current_modes():  # torch has not all of them in place, and not every module is made so
            return x.copy_(module(x))
    out: Tensor = module(box[0])
    box.clear()
    return out


def _chain(module: nn.Module, layer: L.Chain, box: list[Tensor], kept: bool) -> Tensor:
    given = box[0].data_ptr()
    for child, part in zip(module.children(), layer.layers, strict=True):
        box.append(execute(child, part, box, kept and box[0].data_ptr() == given))
    return box.pop()


def _branches(module: nn.Module, layer: L.Combinator, box: list[Tensor], kept: bool) -> Tensor:
    aliased = any(isinstance(part, L.Identity) for part in layer.layers)
    x, outs, fresh = box.pop(), list[Tensor](), list[bool]()
    children = list(module.children())
    while children:
        child, part = children.pop(0), layer.layers[len(outs)]
        again = kept or aliased or bool(children)
        inner = [x]
        if not again:
            del x
        outs.append(execute(child, part, inner, again))
        fresh.append(not isinstance(part, L.Identity))
        if isinstance(layer, L.Add) and sum(fresh) == 2:  # summed as they come, into the first
            first = fresh.index(True)
            outs[first].add_(outs[-1])
            outs[-1] = outs[first]
            outs[first], fresh[first] = torch.empty(0), False
    if isinstance(layer, L.Concat):
        return torch.cat(outs, 1)
    if isinstance(layer, L.Add):
        total = outs.pop(fresh.index(True))
        for other in outs:
            if other.numel():
                total.add_(other)
        return total
    into = outs.pop(max(range(len(outs)), key=lambda i: outs[i].numel()))
    into = into.clone() if kept and aliased else into
    for other in outs:
        into.mul_(other)
    return into
