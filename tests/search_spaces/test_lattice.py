"""Counts, extremes and draws from the lattice, against small spaces written out whole."""

from collections import Counter
from random import Random

import pytest
from scipy.stats import chisquare

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.cost import cost
from search_spaces.errors import SpaceError
from search_spaces.holes import IntRange, OneOf
from search_spaces.lattice import METRICS, CountTable, assemble, path_of
from search_spaces.space import Space
from tests.search_spaces.small import CLASSES, SMALL, written_out


def costs(name: str, metric: str) -> list[int]:
    return sorted(getattr(c, metric) for c in written_out(name).values())


@pytest.mark.parametrize("name", SMALL)
def test_the_size_is_the_number_of_networks(name: str) -> None:
    assert SMALL[name].size() == len(written_out(name)) > 10


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", SMALL)
def test_the_cheapest_and_the_dearest(name: str, metric: str) -> None:
    known = costs(name, metric)
    lattice = SMALL[name].lattice(3, CLASSES)
    for sign, expected in ((1, known[0]), (-1, known[-1])):
        arch, its_cost = lattice.extreme(metric, sign)
        assert getattr(its_cost, metric) == expected
        assert written_out(name)[arch] == its_cost == cost(arch, 3, CLASSES)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", SMALL)
def test_the_share_lies_within_its_bounds(name: str, metric: str) -> None:
    known = costs(name, metric)
    lattice = SMALL[name].lattice(3, CLASSES)
    for limit in {c + off for c in known[:: max(1, len(known) // 10)] for off in (-1, 0, 1)} | {known[-1] * 3, 4097}:
        least, most = lattice.share(metric, limit)
        assert least <= sum(c <= limit for c in known) / len(known) <= most


@pytest.mark.parametrize("name", ["flat", "nested"])
def test_the_bounds_of_a_share_are_close(name: str) -> None:
    for metric in METRICS:
        known = costs(name, metric)
        least, most = SMALL[name].lattice(3, CLASSES).share(metric, known[len(known) // 2])
        assert most - least < 0.05


@pytest.mark.parametrize("bins", [1, 7, 256])
@pytest.mark.parametrize("name", SMALL)
def test_draws_within_a_limit_are_uniform(name: str, bins: int) -> None:
    """Of what a table draws, the part that fits is uniform; the rest is refused by its exact cost."""
    known, metric = written_out(name), "flops"
    limit = costs(name, metric)[len(known) // 3]
    fitting = [arch for arch, c in known.items() if c.flops <= limit]
    table = CountTable(SMALL[name].lattice(3, CLASSES), metric, limit, bins)
    assert len(fitting) <= table.total <= len(known)
    rng, drawn = Random(f"{name} {bins}"), Counter[Arch]()
    while drawn.total() < 8 * len(fitting):
        path, its_cost = table.draw(rng)
        arch = assemble(path)
        assert its_cost == known[arch]
        if its_cost.flops <= limit:
            drawn[arch] += 1
    assert set(drawn) <= set(fitting)
    assert chisquare([drawn[arch] for arch in fitting]).pvalue > 0.001


def test_counts_by_bin_are_the_networks_in_it() -> None:
    known = costs("flat", "params")
    table = CountTable(SMALL["flat"].lattice(3, CLASSES), "params", known[-1], bins=100_000)
    assert table.unit == 1  # nothing is rounded, so that every bin is one cost
    counted = Counter({cost_: ways for cost_, ways in enumerate(table.counts()) if ways})
    assert counted == Counter(known)


def test_assemble_undoes_path_of() -> None:
    for arch in list(written_out("nested"))[:20]:
        assert assemble(path_of(arch)) == arch


# ------------------------------------------------------------------------------------------ errors


def around(*stages: Stage) -> Arch:
    return Arch(8, ConvStem(8), stages, PoolHead())


def test_a_space_without_a_valid_network_says_where_it_ends() -> None:
    unmet = Space("unmet", around(Stage(Fire(), 16), Stage(Dense(layers=1, growth=8, transition=False), OneOf(16, 32))))
    with pytest.raises(SpaceError, match=r"nothing fits stage2: dense.*grown 24 channels"):
        unmet.size()


def test_a_rule_that_forbids_everything_is_named_as_such() -> None:
    forbidden = Space("forbidden", around(Stage(Fire(), OneOf(8, 16))), rules=(lambda stage, shape: False,))
    with pytest.raises(SpaceError, match="nothing fits stage1: the rules forbid every filling"):
        forbidden.size()


def test_a_rule_that_fails_on_a_stage_is_said() -> None:
    """In counting, and where one network is asked for."""
    space = Space(
        "partial", around(Stage(OneOf(Fire(), Dense()), OneOf(8, 16))), rules=(lambda s, _: s.block.kernel == 3,)
    )
    said = r"a rule must tell of every stage .*, but on fire c8 one raised AttributeError: 'Fire' .* 'kernel'"
    with pytest.raises(SpaceError, match=said):
        space.size()
    with pytest.raises(SpaceError, match=said):
        space.valid(around(Stage(Fire(), 8)))


def test_a_stage_has_a_limit_of_fillings() -> None:
    stage = Stage(Dense(layers=IntRange(1, 100), growth=IntRange(1, 100)), width=IntRange(1, 64))
    with pytest.raises(SpaceError, match=r"stage1 may have at most 50000 fillings, but got 640000"):
        Space("large", around(stage)).size()
