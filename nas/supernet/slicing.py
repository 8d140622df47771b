"""Where a slice lies: the shared leaf that has room for it, and the pieces of tensors that it is."""

from __future__ import annotations

from itertools import accumulate, product

from torch import nn

from nas.supernet.reading import Layout, Slice
from search_spaces import layers as L

Place = tuple[slice, ...]
Pieces = list[tuple[Place, Place]]
"""(where in the network's tensor, where in the shared one) of each piece of a slice; nearly always there is one."""


def largest_leaf(cut: Slice) -> nn.Module:
    """A leaf with room for every slice of it; it is never called."""
    rows = sum(cut.rows)
    if cut.kind is L.Conv:
        return nn.Conv2d(sum(cut.columns), rows, cut.kernel, bias=cut.bias)
    if cut.kind is L.Linear:
        return nn.Linear(sum(cut.columns), rows, bias=cut.bias)
    return nn.BatchNorm2d(rows, track_running_stats=False)


def pieces_of(cut: Slice, largest: Slice, ndim: int) -> Pieces:
    """Where a network's tensor of `ndim` dimensions lies in the shared one: leading channels, central taps."""
    if ndim == 1:
        return [((here,), (there,)) for here, there in _segments(cut.rows, largest.rows)]
    margin = (largest.kernel - cut.kernel) // 2
    centre = (slice(margin, margin + cut.kernel),) * (ndim - 2)
    whole = (slice(None),) * (ndim - 2)
    return [
        ((row, column, *whole), (shared_row, shared_column, *centre))
        for (row, shared_row), (column, shared_column) in product(
            _segments(cut.rows, largest.rows), _segments(cut.columns, largest.columns)
        )
    ]


def _segments(widths: Layout, largest: Layout) -> list[tuple[slice, slice]]:
    """The leading part of each segment, here and there; those that lie side by side in both are one."""
    starts, shared = [0, *accumulate(widths)], [0, *accumulate(largest)]
    found: list[tuple[slice, slice]] = []
    for i, width in enumerate(widths):
        here, there = slice(starts[i], starts[i] + width), slice(shared[i], shared[i] + width)
        if found and found[-1][1].stop == there.start:
            here, there = slice(found[-1][0].start, here.stop), slice(found[-1][1].start, there.stop)
            found[-1] = (here, there)
        else:
            found.append((here, there))
    return found
