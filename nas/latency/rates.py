"""An estimate for parts that no table names: nanoseconds a unit of what a part computes and moves.

Non-negative rates, fitted on the parts that are known so that relative errors count; still additive, so still exact to
count with. It serves blocks a little off the table (another width, another number of classes), not another family.
"""

from __future__ import annotations

from functools import lru_cache

from search_spaces.cost import layer_cost
from search_spaces.folding import folded
from search_spaces.layers import Chain, Combinator, Conv, Layer, Linear, Pointwise, Shape

FEATURES = (
    "pointwise_macs",
    "spatial_macs",
    "grouped_macs",
    "depthwise_macs",
    "linear_macs",
    "moved",
    "params",
    "layers",
)


@lru_cache(maxsize=65_536)
def features(layer: Layer, shape: Shape) -> tuple[float, ...]:
    """One number for each of `FEATURES`: multiply-adds by kind, elements read and written, weights, layers."""
    found = dict.fromkeys(FEATURES, 0.0)
    _add(folded(layer), shape, found)
    return tuple(found.values())


def _add(layer: Layer, shape: Shape, found: dict[str, float]) -> None:
    if isinstance(layer, Combinator):
        outs = []
        for part in layer.layers:
            _add(part, shape, found)
            outs.append(part.out(shape))
            shape = outs[-1] if isinstance(layer, Chain) else shape
        if not isinstance(layer, Chain):
            found["moved"] += sum(out.elements for out in outs) + layer.join(shape, outs).elements
        return
    out, cost = layer_cost(layer, shape)
    kind = _kind(layer, shape)
    if kind:
        found[kind] += cost.macs
    if kind or not isinstance(layer, Pointwise):  # elementwise layers are fused into what they follow
        found["moved"] += shape.elements + out.elements
        found["layers"] += 1
    found["params"] += cost.params


def _kind(layer: Layer, shape: Shape) -> str | None:
    if isinstance(layer, Linear):
        return "linear_macs"
    if not isinstance(layer, Conv):
        return None
    if layer.groups > 1:
        return "depthwise_macs" if layer.groups == shape.channels else "grouped_macs"
    return "pointwise_macs" if layer.kernel == 1 else "spatial_macs"


def estimate_ns(rates: dict[str, float], layer: Layer, shape: Shape) -> float:
    """Nanoseconds of a part."""
    return sum(rates.get(name, 0.0) * value for name, value in zip(FEATURES, features(layer, shape), strict=True))


def fit(known: list[tuple[Layer, Shape, float]]) -> dict[str, float]:
    """Rates that fit (layer, shape, ms) with the least sum of squared relative errors."""
    import numpy as np
    from scipy.optimize import nnls

    ns = np.array([1e6 * ms for _, _, ms in known])
    rows = np.array([features(layer, shape) for layer, shape, _ in known]) / ns[:, None]
    size = np.maximum(rows.max(axis=0), 1e-30)  # columns of one size, or the solver stops early
    found, _ = nnls(rows / size, np.ones(len(known)))
    return {name: float(rate) for name, rate in zip(FEATURES, found / size, strict=True)}
