"""A search without training: what the tests of the loop and the samplers share."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import torch

from nas import samplers
from nas.budgeted import BudgetedSampler
from nas.evaluate import Evaluation
from nas.loop import Search
from nas.recipe import Recipe
from nas.store import create_study
from nas.training import Point, Trained
from search_spaces import Arch, IntRange, OneOf, Stage
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.space import Space

BLOCK = OneOf(Bottleneck(ratio=OneOf(0.25, 0.5)), Fire(squeeze=OneOf(0.125, 0.25), bypass=OneOf("none", "simple")))
SPACE = Space(
    "toy",
    Arch(
        resolution=32,
        stem=ConvStem(width=OneOf(8, 16)),
        stages=(
            Stage(BLOCK, width=OneOf(16, 32), depth=IntRange(1, 3)),
            Stage(BLOCK, width=OneOf(32, 64), depth=IntRange(1, 3), stride=2),
        ),
        head=PoolHead(),
    ),
)
BUDGET = Budget.parse("1.2MFLOPs")


def accuracy(arch: Arch) -> float:
    """A number that depends on the architecture alone: more blocks are better, with a little noise."""
    noise = sha256(str(arch).encode()).digest()[0] / 2550
    return min(0.99, 0.4 + 0.05 * arch.depth + noise)


class Oracle:
    """An evaluator that knows the answer; `before` may raise in its stead."""

    num_classes = 10

    def __init__(self, before: Callable[[Arch], None] = lambda arch: None) -> None:
        self.recipe, self.before, self.seen = Recipe(), before, list[Arch]()

    def evaluate(
        self, arch: Arch, seed: int | None = None, on_point: Callable[[Point], None] = lambda point: None
    ) -> Evaluation:
        self.seen.append(arch)
        self.before(arch)
        trained = Trained([Point(10, 1.0, accuracy(arch), 0.1)], 0.1, 0.01)
        weights = {"head.classifier.bias": torch.zeros(10)}
        return Evaluation(accuracy(arch), trained, 32, {"training": 0.1, "validation": 0.01}, weights)


def feasible(budget: Budget = BUDGET, space: Space = SPACE) -> Feasible:
    return Feasible(space, budget, 3, 10)


def search(
    folder: Path,
    sampler: str,
    seed: int = 0,
    oracle: Oracle | None = None,
    budget: Budget = BUDGET,
    storage: str | None = None,
    name: str = "toy",
) -> Search:
    """A search on a study in `folder`, as a new process would open it."""
    fits = feasible(budget)
    gate = BudgetedSampler(samplers.find(sampler), fits, seed)
    meta = {"in_channels": 3, "num_classes": 10, "recipe": {}, "folder": str(folder / name), "space": "toy"}
    stored = create_study(storage or f"sqlite:///{folder / 'nas.db'}", name, meta, gate)
    return Search(stored, fits, gate, oracle or Oracle())  # type: ignore[arg-type]
