"""Who may change a map in place: activations do, unless something else reads the map, too, or autograd keeps it."""

from __future__ import annotations

from search_spaces import layers as L
from search_spaces.layers import Layer


def shared_inputs(layer: L.Combinator, shared: bool) -> list[bool]:
    """For each part whether its input must stay as it is, where `shared` tells that of the combinator's own."""
    if not isinstance(layer, L.Chain):
        return [shared or len(layer.layers) > 1] * len(layer.layers)
    found = []
    for part in layer.layers:
        found.append(shared)
        shared = (shared and hands_on(part)) or activated(part)
    return found


def activated(layer: Layer) -> bool:
    """Whether an activation made what comes out, which autograd may keep: it does what ReLU and sigmoid made."""
    if not isinstance(layer, L.Combinator):
        return isinstance(layer, L.Act)
    if not isinstance(layer, L.Chain):
        return len(layer.layers) == 1 and activated(layer.layers[0])
    last = next((part for part in reversed(layer.layers) if not hands_on(part)), None)
    return last is not None and activated(last)


def hands_on(layer: Layer) -> bool:
    """Whether what comes out is the input itself (after dropout it is, in eval mode), or a view of it."""
    if isinstance(layer, (L.Chain, L.Add, L.Multiply)):
        return (isinstance(layer, L.Chain) or len(layer.layers) == 1) and all(map(hands_on, layer.layers))
    return isinstance(layer, (L.Identity, L.Dropout, L.Flatten)) or layer == L.Shuffle(1)


def writes_input(layer: Layer) -> bool:
    """Whether a layer begins with an activation, which works in place: a map that is kept needs a copy then."""
    if not isinstance(layer, L.Combinator):
        return isinstance(layer, L.Act)
    if not isinstance(layer, L.Chain):
        return len(layer.layers) == 1 and writes_input(layer.layers[0])
    first = next((part for part in layer.layers if not hands_on(part)), None)
    return first is not None and writes_input(first)
