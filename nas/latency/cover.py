"""Few networks in which every part of a space occurs: what is timed to fill a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from nas.latency.setting import block_key, head_key, stem_key
from search_spaces.arch import Arch, Stage
from search_spaces.cost import block_cost
from search_spaces.lattice import Edge, Lattice, assemble
from search_spaces.layers import Shape


@dataclass(frozen=True)
class Step:
    """An edge of the lattice, the keys of the parts on it, and its blocks (a dearer way to the same keys is worse)."""

    edge: Edge
    keys: frozenset[str]
    depth: int


def cover(lattice: Lattice, num_classes: int, known: set[str], rng: Random) -> Iterator[tuple[Arch, set[str]]]:
    """Networks, and the parts that each is the first to show, until all of the lattice's are known.

    Greedy: each network is the one that brings most new parts, the shallowest of those, and by chance among equals.
    """
    slots = [
        {
            shape: [_step(i, e, shape, num_classes, i + 1 == len(lattice.slots)) for e in edges]
            for shape, edges in s.items()
        }
        for i, s in enumerate(lattice.slots)
    ]
    missing = {key for slot in slots for steps in slot.values() for step in steps for key in step.keys} - known
    while True:
        steps = _path(slots, missing, rng)
        new = {key for step in steps for key in step.keys} & missing
        if not new:  # what is still missing lies on no path: the lattice holds shapes that pruning cut off
            return
        missing -= new
        yield assemble([step.edge.filling for step in steps], lattice.eps), new


def _path(slots: list[dict[Shape, list[Step]]], missing: set[str], rng: Random) -> list[Step]:
    """The path with most missing keys, slot by slot from the last: each shape's best step and what lies behind it."""
    behind: dict[Shape, tuple[int, int]] = {}
    best: list[dict[Shape, Step]] = []

    def worth(step: Step) -> tuple[int, int]:
        new, depth = behind.get(step.edge.target, (0, 0))
        return new + len(step.keys & missing), depth - step.depth

    for slot in reversed(slots):
        best.insert(0, {shape: max(steps, key=lambda s: (*worth(s), rng.random())) for shape, steps in slot.items()})
        behind = {shape: worth(step) for shape, step in best[0].items()}
    (shape,), path = slots[0], list[Step]()
    for choices in best:
        path.append(choices[shape])
        shape = path[-1].edge.target
    return path


def _step(slot: int, edge: Edge, shape: Shape, num_classes: int, last: bool) -> Step:
    """The keys of an edge's parts: none of a resolution, one of a stem or head, one or two of a stage."""
    filling = edge.filling
    if isinstance(filling, Stage):
        keys = {block_key(str(filling.block), filling.width, filling.stride, shape)}
        if filling.depth > 1:
            reached = block_cost(filling.block, filling.width, filling.stride, shape)[0]
            keys.add(block_key(str(filling.block), filling.width, 1, reached))
        return Step(edge, frozenset(keys), filling.depth)
    if slot == 0:
        return Step(edge, frozenset(), 0)
    return Step(
        edge, frozenset({head_key(str(filling), num_classes, shape) if last else stem_key(str(filling), shape)}), 0
    )
