"""Peak activation memory: against what torch keeps alive when the schedule is carried out, and as a budget."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import torch
from scipy.stats import chisquare

from nas.build import build, module
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.budget import Budget
from search_spaces.cost import Cost, cost, layer_cost, walk
from search_spaces.errors import BudgetError
from search_spaces.feasible import Feasible
from search_spaces.lattice import Edge, Lattice
from search_spaces.layers import Identity, Layer, Shape, add
from search_spaces.spaces import find, names
from tests.search_spaces.small import CLASSES, SMALL, written_out
from tests.search_spaces.tracing import Allocator, execute, with_affine

FP32 = 4


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", names())
def test_the_schedule_keeps_alive_what_the_cost_says_and_computes_the_same(name: str, seed: int) -> None:
    arch = find(name).sample(Random(seed)).at(48)
    network = build(arch, num_classes=10).eval()
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    images = torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        wanted = network(images)
        affine = with_affine(network)
        with Allocator(affine) as allocator:
            got = execute(affine, arch.layer(3, 10), [images.clone()])
    assert torch.allclose(got, wanted, atol=1e-4 * float(wanted.abs().max()) + 1e-6)
    assert allocator.peak == FP32 * cost(arch, 3, 10).peak_activations


@pytest.mark.parametrize("name", names())
def test_every_block_peaks_where_its_cost_says(name: str) -> None:
    """A network peaks in one block only, so each is looked at by itself, also where its input is read again."""
    seen: dict[tuple[Layer, Shape], None] = {}
    for seed in range(4):
        for _, _, layer, shape in walk(find(name).sample(Random(seed)).at(48), 3, 10):
            seen[layer, shape] = None
    for layer, shape in seen:
        for whole in (layer, add(Identity(), layer)) if layer.out(shape) == shape else (layer,):
            affine = with_affine(module(whole, shape).eval())
            with torch.no_grad(), Allocator(affine) as allocator:
                execute(affine, whole, [torch.zeros(1, *shape)])
            assert allocator.peak == FP32 * layer_cost(whole, shape)[1].peak_activations, whole


# ----------------------------------------------------------------------------------------- as a budget


def within(name: str, part: float, *others: tuple[str, float]) -> Feasible:
    limits = []
    for metric, share in (("peak_activations", part), *others):
        known = sorted(getattr(c, metric) for c in written_out(name).values())
        limits.append((metric, known[int(share * (len(known) - 1))]))
    return Feasible(SMALL[name], Budget(tuple(limits)), 3, CLASSES)


@pytest.mark.parametrize("others", [(), (("flops", 0.6),), (("params", 0.7), ("macs", 0.7))], ids=str)
@pytest.mark.parametrize("part", [0.2, 0.6])
@pytest.mark.parametrize("name", ["flat", "twins"])
def test_draws_are_uniform_among_the_networks_within_a_peak(
    name: str, part: float, others: tuple[tuple[str, float], ...]
) -> None:
    feasible = within(name, part, *others)
    allowed = [arch for arch, c in written_out(name).items() if feasible.budget.fits(c)]
    if not allowed:
        pytest.fail("the test needs a network that fits")
    rng = Random(f"{name} {part} {others}")
    drawn = Counter(feasible.draw(rng)[0] for _ in range(8 * len(allowed)))
    assert set(drawn) <= set(allowed)
    assert len(allowed) == 1 or chisquare([drawn[arch] for arch in allowed]).pvalue > 0.001
    least, most = feasible.share()
    assert least - 1e-12 <= len(allowed) / len(written_out(name)) <= most + 1e-12
    assert others or least == most  # a peak alone is counted exactly


@pytest.mark.parametrize("name", SMALL)
def test_the_least_and_the_largest_peak(name: str) -> None:
    known = [c.peak_activations for c in written_out(name).values()]
    lattice = SMALL[name].lattice(3, CLASSES)
    for sign, wanted in ((1, min(known)), (-1, max(known))):
        arch, its_cost = lattice.extreme("peak_activations", sign)
        assert its_cost.peak_activations == wanted == written_out(name)[arch].peak_activations


def test_the_least_peak_is_not_the_least_sum_of_peaks() -> None:
    """One way has parts of 6 and 1, the other of 5 and 5: the second sums to more and peaks lower."""
    start, image, one, other = (Shape(n, 1, 1) for n in range(1, 5))
    low, high = ConvStem(8), ConvStem(16)
    stems = [Edge(high, one, Cost(peak_activations=6)), Edge(low, other, Cost(peak_activations=5))]
    heads = {s: [Edge(PoolHead(), start, Cost(peak_activations=p))] for s, p in ((one, 1), (other, 5))}
    lattice = Lattice([{start: [Edge(8, image, Cost())]}, {image: stems}, heads])
    arch, its_cost = lattice.extreme("peak_activations")
    assert (arch.stem, its_cost.peak_activations) == (low, 5)
    assert lattice.extreme("peak_activations", -1)[0].stem == high
    assert lattice.within_peak(5).size() == 1


def test_a_peak_that_no_network_keeps_names_the_least_one_in_the_budgets_own_unit() -> None:
    feasible_bytes = find("mobile").at(128).lattice().extreme("peak_activations")[1].peak_activations
    Feasible(find("mobile").at(128), Budget.parse(f"{2 * feasible_bytes}B@fp16"))
    with pytest.raises(
        BudgetError, match=r"the cheapest network of mobile has \d+\.\d+kB@int8, but the budget is 1kB@int8"
    ):
        Feasible(find("mobile").at(128), Budget.parse("1KB@int8"))


@pytest.mark.parametrize(
    ("text", "elements", "again"),
    [
        ("512KB@int8", 512_000, "512kB@int8"),
        ("512 KiB@INT8", 512 * 1024, "524.288kB@int8"),
        ("2MB@fp32", 500_000, "2MB@fp32"),
        ("2MB @ bf16", 1_000_000, "2MB@bf16"),
        ("3B@fp16", 1, "2B@fp16"),  # rounded down to whole activations
    ],
)
def test_bytes_at_a_precision_limit_the_peak_of_activations(text: str, elements: int, again: str) -> None:
    budget = Budget.parse(text)
    assert budget.limits == (("peak_activations", elements),)
    assert str(budget) == again
    assert Budget.parse(again) == budget


@pytest.mark.parametrize(
    "text", ["512KB@int4", "512KB@", "5M@int8", "@int8", "300MFLOPs@cpu", "8ms", "8ms@", "8ms@a, 9ms@b"]
)
def test_what_is_no_limit_at_something_is_said(text: str) -> None:
    with pytest.raises(BudgetError, match="but got"):
        Budget.parse(text)


def test_of_two_peaks_the_stricter_counts_in_its_own_precision() -> None:
    assert str(Budget.parse("1MB@int8, 1MB@fp32")) == "1MB@fp32"
    assert str(Budget.parse("1MB@fp32, 1MB@int8")) == "1MB@fp32"
    assert str(Budget.parse("300MFLOPs, 8.5ms@Phone_1, 16MB")) == "300MFLOPs, 8.5ms@Phone_1, 4Mparams"
