"""Latency read off a table: a constant and one number a part, added up in microseconds of work.

A part that the table does not name is estimated from what it computes and moves (`nas.latency.rates`), and a
`Prediction` says how much of it was. Parts that it names are drawn towards that estimate as far as `Table.trust` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from nas.latency.rates import estimate_ns
from nas.latency.setting import block_key, head_key, stem_key
from nas.latency.table import Table
from search_spaces.arch import Arch, Stage, block_layer
from search_spaces.cost import block_cost, walk
from search_spaces.latency import latency_ns
from search_spaces.layers import Layer, Shape
from search_spaces.part import Block, Head, Stem

NS = 1e6  # nanoseconds of a millisecond


@dataclass(frozen=True)
class Prediction:
    """Milliseconds of a network, and the share of them that no entry of the table vouches for."""

    ms: float
    estimated: float


class Predictor:
    """A `search_spaces.latency.Latency` of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        # of this table, and as long as it: entries are met again and again
        self.stem = lru_cache(maxsize=4_096)(self._stem)
        self.stage = lru_cache(maxsize=262_144)(self._stage)
        self.head = lru_cache(maxsize=16_384)(self._head)
        self._block = lru_cache(maxsize=262_144)(self._block_ns)

    def __call__(self, arch: Arch, in_channels: int = 3, num_classes: int = 1000) -> Prediction:
        """What the table says of a whole network."""
        from nas.latency.setting import keys

        steps = zip(keys(arch, in_channels, num_classes), walk(arch, in_channels, num_classes), strict=True)
        unknown = sum(
            self._part(key, layer, shape) for key, (_, _, layer, shape) in steps if key not in self.table.parts
        )
        total = latency_ns(self, arch, in_channels, num_classes)
        return Prediction(total / NS, unknown / total if total else 1.0)  # a table may hold nothing

    def _stem(self, stem: Stem, shape: Shape) -> int:
        return self._part(stem_key(str(stem), shape), stem.layer(shape.channels), shape)

    def _stage(self, stage: Stage, shape: Shape) -> int:
        total = self._block(stage.block, stage.width, stage.stride, shape)
        reached = block_cost(stage.block, stage.width, stage.stride, shape)[0]
        if stage.depth == 1:
            return total
        # from the second on all blocks read what they write
        return total + (stage.depth - 1) * self._block(stage.block, stage.width, 1, reached)

    def _block_ns(self, block: Block, width: int, stride: int, shape: Shape) -> int:
        layer = block_layer(block, shape.channels, width, stride)
        return self._part(block_key(str(block), width, stride, shape), layer, shape)

    def _head(self, head: Head, shape: Shape, num_classes: int) -> int:
        part = self._part(head_key(str(head), num_classes, shape), head.layer(shape.channels, num_classes), shape)
        return part + round(self.table.constant_ms * NS)

    def _part(self, key: str, layer: Layer, shape: Shape) -> int:
        ms, trust = self.table.parts.get(key), self.table.trust
        if ms is not None and trust == 1:
            return round(self.table.scale * ms * NS)
        estimate = estimate_ns(self.table.rates, layer, shape)
        ns = (ms * NS) ** trust * estimate ** (1 - trust) if ms is not None else estimate
        return round(self.table.scale * ns)
