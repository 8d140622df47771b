"""Which networks a step trains."""

from __future__ import annotations

from collections import Counter
from random import Random

from nas.supernet.sampling import Sampling
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from tests.nas.supernet.small import MACRO, toy


def test_uniform_and_sandwich_keep_to_the_budget() -> None:
    for strategy in ("uniform", "sandwich"):
        sampling = toy(strategy, "800kFLOPs")
        assert all(sampling.feasible.fits(arch) for step in range(10) for arch in sampling.at(step))
        assert sampling.at(4) == sampling.at(4)
    first, *_, last = toy("sandwich", "800kFLOPs").at(0)
    feasible = toy(budget="800kFLOPs").feasible
    drawn = [feasible.draw(Random(i))[0] for i in range(50)]
    assert feasible.cost(last).flops == min(feasible.cost(arch).flops for arch in [*drawn, last])
    assert feasible.cost(first).flops > 0.9 * max(feasible.cost(arch).flops for arch in drawn)


def test_fair_sampling_takes_every_alternative_equally_often_in_every_step() -> None:
    sampling = Sampling(Feasible(MACRO, Budget(), 3, 10), "fair")
    for step in range(5):
        networks = sampling.at(step)
        assert len(networks) == 3
        for i in range(8):
            assert len({MACRO.params(arch)[f"stage{i + 1}.block"] for arch in networks}) == 3
    ways = Counter(str(arch) for step in range(20) for arch in sampling.at(step))
    assert len(ways) > 50, "each round has its own permutations"
