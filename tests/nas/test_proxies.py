"""Each proxy against a value worked out by hand; all of them against what a proxy keeps to."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import cache
from random import Random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas import data, proxies
from nas.batches import Images
from nas.build import build
from nas.depthwise import quicken
from nas.errors import UserError
from nas.modules import Add
from nas.proxies import UNDEFINED, expressivity, jacob_cov, trainability, zico
from search_spaces import Arch, zoo
from search_spaces.cost import cost
from search_spaces.spaces import find, names

NO_LABELS = torch.zeros(2, dtype=torch.long)
ORTHOGONAL = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])


def conv(*weights: float, bias: tuple[float, ...] | None = None) -> nn.Conv2d:
    """1×1 from one channel to as many as there are weights."""
    layer = nn.Conv2d(1, len(weights), 1, bias=bias is not None)
    layer.weight.data = torch.tensor(weights, dtype=torch.float32).view(-1, 1, 1, 1)
    if bias is not None:
        assert layer.bias is not None
        layer.bias.data = torch.tensor(bias, dtype=torch.float32)
    return layer


def pixels(*values: float) -> Tensor:
    """Images of one grey pixel."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


def in_blocks(stem: nn.Module, *blocks: nn.Module) -> nn.Sequential:
    """A network of the language's shape: stem, one stage, head."""
    return nn.Sequential(OrderedDict(stem=stem, stage1=nn.Sequential(*blocks), head=nn.Flatten()))


# ------------------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize("act", [nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish])
def test_naswot_is_the_log_determinant_of_agreements(act: type[nn.Module]) -> None:
    """Units +x, −x and a constant: two images of other sign agree in 1 of 3 units, so det [[3, 1], [1, 3]] = 8."""
    network = nn.Sequential(conv(1, -1, 0, bias=(0, 0, 1)), act(inplace=True))
    score = proxies.find("naswot")
    assert score(network, pixels(2, -3), NO_LABELS) == pytest.approx(math.log(8))
    assert score(network, pixels(2, 3), NO_LABELS) == UNDEFINED  # nothing tells the images apart
    both = nn.Sequential(*network, nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 1, 1, bias=False), act(inplace=True))
    both[3].weight.data = torch.tensor([1.0, -1.0, 0.0]).view(1, 3, 1, 1)  # its sign is the image's
    assert score(both, pixels(9, -9), NO_LABELS) == pytest.approx(math.log(4**2 - 1))


def test_swap_counts_distinct_patterns_of_units() -> None:
    network = nn.Sequential(conv(1, 5, -1, 0, bias=(0, 0, 0, 1)), nn.ReLU(inplace=True))
    score = proxies.find("swap")
    assert score(network, pixels(2, -3), NO_LABELS) == 3  # 10 twice, 01, 11
    assert score(network, pixels(2, 3), NO_LABELS) == 2  # 11 three times, 00
    assert score(network, pixels(*([2, -3] * 16), *([7] * 9)), NO_LABELS) == 3  # 32 images are looked at


def test_jacob_cov_of_known_correlations() -> None:
    """Uncorrelated rows have eigenvalues 1, equal rows 0 and N."""
    e = jacob_cov.EPSILON
    apart, alike = 3 * (math.log(1 + e) + 1 / (1 + e)), math.log(e) + 1 / e + math.log(2 + e) + 1 / (2 + e)
    assert jacob_cov.spread(ORTHOGONAL) == pytest.approx(-apart)
    assert jacob_cov.spread(ORTHOGONAL[[0, 0]] + 5) == pytest.approx(-alike, rel=1e-6)
    masks = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4, 2, bias=False))
    masks[2].weight.data.fill_(0.5)  # the Jacobian of an image is the mask of its positive pixels
    assert proxies.find("jacob_cov")(masks, ORTHOGONAL.view(3, 1, 2, 2), NO_LABELS) == pytest.approx(-apart)


def linear_case() -> tuple[nn.Sequential, Tensor, Tensor, list[np.ndarray]]:
    """A linear classifier, four images, and each image's gradient by numpy: (softmax − one hot) ⊗ image."""
    rng = np.random.default_rng(0)
    weight, images, labels = rng.normal(size=(3, 2)), rng.normal(size=(4, 2)), np.array([0, 2, 1, 1])
    odds = np.exp(images @ weight.T)
    errors = odds / odds.sum(1, keepdims=True) - np.eye(3)[labels]
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False))
    network[1].weight.data = torch.tensor(weight, dtype=torch.float32)
    batch = torch.tensor(images, dtype=torch.float32).view(4, 2, 1, 1)
    return network, batch, torch.tensor(labels), [np.outer(e, x) for e, x in zip(errors, images, strict=True)]


def test_snip_gradnorm_and_zico_of_a_linear_classifier() -> None:
    network, images, labels, slopes = linear_case()
    weight = network[1].weight.detach().numpy()
    whole = np.mean(slopes, 0)
    assert proxies.find("snip")(network, images, labels) == pytest.approx(np.abs(weight * whole).sum(), rel=1e-5)
    assert proxies.find("gradnorm")(network, images, labels) == pytest.approx(np.linalg.norm(whole), rel=1e-5)
    halves = np.stack([np.mean(slopes[:2], 0), np.mean(slopes[2:], 0)])
    expected = np.log((np.abs(halves).mean(0) / halves.std(0)).sum())
    assert proxies.find("zico")(network, images, labels) == pytest.approx(expected, rel=1e-4)


def test_zico_leaves_out_what_does_not_vary() -> None:
    assert zico.steadiness(torch.tensor([[1.0, 2.0], [3.0, 2.0]])) == pytest.approx(math.log(2 / 1))
    assert zico.steadiness(torch.ones(2, 5)) == 0


def test_synflow_of_a_chain_is_the_product_of_its_weights_once_a_layer() -> None:
    """R = 2 · 3 · 4 = 24, far above ReLU6's cap, and each of the three layers carries all of it."""
    chain = nn.Sequential(
        conv(-2), nn.BatchNorm2d(1), nn.ReLU6(inplace=True), conv(3), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(1, 1, bias=False),
    )  # fmt: skip
    chain[7].weight.data.fill_(-4)
    chain[1].running_var.fill_(100.0)
    score = proxies.find("synflow")
    images = torch.randn(2, 1, 4, 4)
    assert score(chain, images, NO_LABELS) == pytest.approx(math.log(3 * 24))
    chain[0].weight.data.mul_(1e30)
    chain[3].weight.data.mul_(1e30)
    assert score(chain, images, NO_LABELS) == pytest.approx(math.log(3 * 24) + 60 * math.log(10))


def test_synflow_adds_up_branches() -> None:
    """Input 1 through 2 and past it: R = (2 + 1) · 5, of which the branch carries 10 and the last layer all 15."""
    network = nn.Sequential(Add(OrderedDict(identity=nn.Identity(), path=conv(-2))), conv(5))
    assert proxies.find("synflow")(network, pixels(0, 0), NO_LABELS) == pytest.approx(math.log(10 + 15))


def test_zen_gives_back_what_batch_norms_hide() -> None:
    """A convolution's features are as sensitive with a batch norm behind it as without."""
    images = torch.zeros(16, 3, 8, 8)
    plain = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False))
    score = proxies.find("zen")
    bare = score(plain, images, NO_LABELS)
    assert score(nn.Sequential(plain[0], nn.BatchNorm2d(6)), images, NO_LABELS) == pytest.approx(bare, abs=0.05)
    pooled = nn.Sequential(plain[0], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(1))
    assert score(pooled, images, NO_LABELS) == pytest.approx(bare)  # what lies behind the pool is not looked at
    short = nn.Sequential(Add(OrderedDict(identity=nn.Identity(), path=plain[0])))
    assert score(short, images, NO_LABELS) == pytest.approx(bare)


def test_zen_is_the_mean_of_the_noise_that_comes_through() -> None:
    """16 pixels of one channel through a weight w: Σ |w · 0.01 · noise|, whose logarithm is known."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.empty(1, 1, 1, 1).normal_(generator=generator)
    _, noise = torch.randn(2, 1, 4, 4, generator=generator), torch.randn(2, 1, 4, 4, generator=generator)
    expected = math.log(0.01 * float(weight.abs() * noise.abs().sum() / 2))
    assert proxies.find("zen")(nn.Sequential(conv(1)), torch.zeros(2, 1, 4, 4), NO_LABELS) == pytest.approx(
        expected, rel=1e-4
    )


def test_expressivity_is_the_log_of_as_many_channels_as_are_used() -> None:
    maps = ORTHOGONAL.T.reshape(4, 3, 1, 1)  # three channels, uncorrelated over four images
    assert expressivity.entropy(maps) == pytest.approx(math.log(3))
    assert expressivity.entropy(maps + torch.tensor([7.0, 0, 0]).view(3, 1, 1)) == pytest.approx(math.log(3), abs=1e-5)
    assert expressivity.entropy(maps[:, [0, 0, 0]] + 7) == pytest.approx(0, abs=1e-6)
    assert expressivity.entropy(maps[:, [0, 1, 0]]) == pytest.approx(math.log(3) - 2 / 3 * math.log(2))


def test_expressivity_and_progressivity_follow_the_blocks() -> None:
    """Three channels in the stem, three in the first block, one in the last; a skipped block counts for nothing."""
    keep, last = nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 1, 1, bias=False)
    keep.weight.data = torch.eye(3).view(3, 3, 1, 1)
    network = in_blocks(keep, nn.Sequential(nn.Identity()), keep, last)
    maps = ORTHOGONAL.T.reshape(4, 3, 1, 1)
    assert proxies.find("expressivity")(network, maps, NO_LABELS) == pytest.approx(2 * math.log(3), abs=1e-5)
    assert proxies.find("progressivity")(network, maps, NO_LABELS) == pytest.approx(-math.log(3), abs=1e-5)
    kept, overwritten = (in_blocks(keep, nn.ReLU(inplace=inplace)) for inplace in (False, True))
    score = proxies.find("progressivity")
    assert score(overwritten, maps, NO_LABELS) == score(kept, maps, NO_LABELS) != UNDEFINED


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 0.0), (2.0, 2 - 2 - 1 / 2), (0.25, 2 - 0.25 - 4)])
@pytest.mark.parametrize("side", [4, 5])
@pytest.mark.parametrize("step", [1, 2])
def test_trainability_of_a_block_that_scales(factor: float, expected: float, side: int, step: int) -> None:
    """σ is the factor, also where a stride reads one pixel of four and where the patches do not divide the map."""
    before = torch.randn(8, 1, side, side, requires_grad=True)
    after = factor * before[:, :, ::step, ::step]
    score = trainability.balance(before, after, torch.Generator().manual_seed(0))
    assert score == pytest.approx(expected, abs=1e-4)


# ---------------------------------------------------------------------------- what all of them keep to


@cache
def embedded() -> Images:
    return Images(data.load("fashion-subset", seed=0, size=32), 3, torch.device("cpu"))


def drawn(space: str) -> Arch:
    """The cheapest of a few uniform draws."""
    found, rng = find(space), Random(5)
    return min((found.sample(rng) for _ in range(9)), key=lambda arch: cost(arch).flops)


@pytest.mark.parametrize("space", names())
def test_every_proxy_reads_every_space(space: str) -> None:
    torch.manual_seed(0)
    network = build(drawn(space).at(32), 3, 10)
    quicken(network)
    images, labels = proxies.batch(embedded(), 32, size=4)
    for name in proxies.names():
        assert math.isfinite(proxies.find(name)(network, images, labels)), name


def test_synflow_does_not_overflow_in_a_very_deep_network() -> None:
    network = build(zoo.find("resnet152").arch.at(8), 3, 10)
    assert 400 < proxies.find("synflow")(network, torch.zeros(2, 3, 8, 8), NO_LABELS) < 500


@pytest.mark.parametrize("name", proxies.names())
def test_a_proxy_leaves_everything_as_it_was_and_says_the_same_again(name: str) -> None:
    network = build(drawn("nin").at(32), 3, 10).eval()  # with dropout in its head
    images, labels = proxies.batch(embedded(), 32, size=8)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state, kept = torch.get_rng_state(), images.clone()
    first = proxies.find(name)(network, images, labels)
    torch.randn(3)
    assert proxies.find(name)(network, images, labels) == first
    torch.set_rng_state(state)
    assert proxies.find(name)(network, images, labels) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, kept)
    assert not network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(not part._forward_hooks and not part._forward_pre_hooks for part in network.modules())


@pytest.mark.parametrize("name", proxies.names())
def test_a_broken_network_has_no_score(name: str) -> None:
    network = build(drawn("nin").at(32), 3, 10)
    next(network.parameters()).data.fill_(math.nan)
    images, labels = proxies.batch(embedded(), 32, size=4)
    if name in ("naswot", "swap"):  # a code is a code: of NaN no unit is on
        assert not math.isnan(proxies.find(name)(network, images, labels))
    elif name not in ("zen", "trainability"):  # these draw weights of their own
        assert proxies.find(name)(network, images, labels) == UNDEFINED


def test_memory_that_runs_out_is_no_score_and_a_bug_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: object) -> float:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate")

    def bug(*_: object) -> float:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr("nas.proxies.snip.read", out_of_memory)
    assert proxies.find("snip")(nn.Sequential(conv(1)), pixels(1, 2), NO_LABELS) == UNDEFINED
    monkeypatch.setattr("nas.proxies.snip.read", bug)
    with pytest.raises(RuntimeError, match="shapes"):
        proxies.find("snip")(nn.Sequential(conv(1)), pixels(1, 2), NO_LABELS)


def test_an_architecture_is_scored_as_it_would_be_trained() -> None:
    arch = drawn("squeeze")
    wanted = ["naswot", "synflow"]
    state = torch.get_rng_state()
    scores = proxies.score(arch, wanted, embedded(), 32, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(scores) == wanted
    assert scores == proxies.score(arch, wanted, embedded(), 32, seed=1)
    assert scores["synflow"] != proxies.score(arch, wanted, embedded(), 32, seed=2)["synflow"]
    torch.manual_seed(1)
    network = build(arch.at(32), 3, 10)
    assert scores["naswot"] == proxies.find("naswot")(network, *proxies.batch(embedded(), 32, seed=1))
    assert proxies.score(zoo.find("nin").arch, wanted, embedded(), 8) == dict.fromkeys(wanted, UNDEFINED)


def test_an_unknown_proxy_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"one of expressivity, .*zico \(did you mean naswot\?\), but got 'nasswot'"):
        proxies.find("nasswot")
    assert not any(name.startswith("_") for name in proxies.names())
    assert all(proxies.find(name)._read.__module__ == f"nas.proxies.{name}" for name in proxies.names())
