"""The zoo against implementations nobody here wrote, to the last parameter, multiply-add and logit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from nas import zoo
from nas.auxiliary import WithAuxiliaries
from nas.build import build
from nas.errors import UserError
from nas.packaging.package import state_sizes
from search_spaces import zoo as package
from search_spaces.arch import Arch
from search_spaces.cost import cost
from search_spaces.errors import ArchError, SpaceError
from search_spaces.zoo import families, find, names
from search_spaces.zoo.network import Network, agrees

NETWORKS = [find(name) for name in names()]
JUDGED = [network for network in NETWORKS if network.judge]


def distinct(networks: list[Network]) -> list[Network]:
    """One network of each set of weights: resolutions of the same one would only be the same test again."""
    return list({(n.judge.model, n.judge.options): n for n in reversed(networks) if n.judge}.values())[::-1]


def theirs(network: Network) -> nn.Module:
    """The judge's network with random weights, running statistics and dropout off."""
    judge = network.judge
    assert judge is not None
    torch.manual_seed(0)
    if judge.library == "timm":
        made: nn.Module = timm.create_model(judge.model, **dict(judge.options))
    else:
        made = torchvision.models.get_model(judge.model, weights=None, **dict(judge.options))
    for part in made.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if isinstance(part, torchvision.ops.StochasticDepth):
            part.p = 0.0
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.1, 0.1)
            nn.init.uniform_(part.running_var, 0.8, 1.2)
            nn.init.uniform_(part.weight, 0.8, 1.2)
            nn.init.uniform_(part.bias, -0.1, 0.1)
    return made


def without_dropout(network: nn.Module) -> nn.Module:
    for part in network.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return network


def close(ours: Tensor, judge: Tensor) -> bool:
    """Within 1e-4 of the logits' own size, which random weights make far from 1."""
    return bool((ours - judge).abs().max() <= 1e-4 * max(1.0, float(judge.abs().max())))


# ---------------------------------------------------------------------------------------- counts


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
def test_costs_are_the_published_ones(network: Network) -> None:
    """To the last digit that was printed; where a figure is doubted, the doubt must have a reason."""
    printed, (macs, params) = network.published, network.as_printed
    assert not printed.params or agrees(printed.params, params)
    assert not printed.macs or agrees(printed.macs, macs) != bool(printed.doubt)


def has_weights(network: Network) -> bool:
    """Whether torchvision publishes weights of it, and with them its own counts."""
    judge = network.judge
    return bool(judge and judge.library == "torchvision" and dict(judge.options).get("width_mult", 1.0) == 1.0)


@pytest.mark.parametrize("network", [n for n in distinct(JUDGED) if has_weights(n)], ids=lambda n: n.name)
def test_counts_are_torchvisions(network: Network) -> None:
    """Its weights' `num_params` and `_ops`."""
    assert network.judge is not None
    (weights,) = (w for w in torchvision.models.get_model_weights(network.judge.model) if w.name == "IMAGENET1K_V1")
    at = network.published.at or network.arch.resolution
    assert network.cost.params == weights.meta["num_params"]
    assert agrees(f"{weights.meta['_ops']:.3f}G", cost(network.arch.at(at)).macs)


@pytest.mark.parametrize("network", JUDGED, ids=lambda n: n.name)
def test_every_parameter_has_one_name_in_the_judge(network: Network) -> None:
    sizes = state_sizes(network.arch, 3, 1000)
    with torch.device("meta"):
        judged = theirs(network).state_dict()
    named = {network.theirs(name): size for name, size in sizes.items()}
    assert len(named) == len(sizes)
    rest = {key for key in judged.keys() - named.keys() if not key.startswith("aux")}
    assert not rest
    assert named == {key: judged[key].shape for key in named}


# ---------------------------------------------------------------------------------------- logits


@lru_cache(maxsize=1)
def pair(name: str) -> tuple[nn.Module, nn.Module]:
    network = find(name)
    judge = theirs(network)
    return without_dropout(zoo.load(name, judge.state_dict())), judge


def sizes(arch: Arch) -> tuple[int, int]:
    """Two small resolutions that it can read, one of them odd."""
    for pair in ((64, 49), (96, 65), (224, 193)):
        try:
            for side in pair:
                arch.at(side).check()
        except ArchError:
            continue
        return pair
    raise AssertionError(f"{arch} reads neither 224 nor 193 px")


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("network", distinct(JUDGED), ids=lambda n: n.name)
def test_logits_are_the_judges(network: Network, mode: str) -> None:
    """With its weights, at two resolutions; while training by the statistics of the batch."""
    ours, judge = pair(network.name)
    for module in (ours, judge):
        module.train(mode == "train")
    for side in sizes(network.arch):
        images = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(side))
        with torch.no_grad():
            judged = judge(images)
            assert close(ours(images), judged[0] if isinstance(judged, tuple) else judged)


def test_the_auxiliary_classifiers_are_torchvisions_and_gone_in_deployment() -> None:
    network = find("googlenet_bn")
    judge = theirs(network)
    ours = WithAuxiliaries(zoo.load("googlenet_bn", judge.state_dict()), network.arch, 3, 1000)
    named = {name: network.theirs(f"aux.{name}") for name in ours.aux.state_dict()}
    ours.aux.load_state_dict({name: judge.state_dict()[other] for name, other in named.items()})
    without_dropout(ours).train()
    judge.train()
    images = torch.randn(4, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, others = ours(images)
        judged = judge(images)
    assert [weight for weight, _ in others] == [0.3, 0.3]
    for mine, its in zip((logits, *(o for _, o in others)), (judged[0], judged[2], judged[1]), strict=True):
        assert close(mine, its)
    assert isinstance(ours.eval()(images), Tensor)
    assert not any("aux" in name for name in build(network.arch).state_dict())


# ------------------------------------------------------------------------------- text and loading


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
def test_the_text_form_carries_it(network: Network) -> None:
    assert Arch.parse(str(network.arch)) == network.arch


def test_published_weights_may_have_other_classes_and_channels() -> None:
    judge = timm.create_model("mobilenetv1_100", num_classes=7, in_chans=1).eval()
    ours = zoo.load("mobilenet_v1", judge.state_dict())
    images = torch.randn(2, 1, 40, 40)
    with torch.no_grad():
        assert close(ours(images), judge(images))


def test_weights_as_torchvision_published_them_in_2017() -> None:
    """DenseNet's have a dot before the numbers of its layers; batch norms of then did not count their batches."""
    judge = theirs(find("densenet121"))
    today = judge.state_dict()
    older = {re.sub(r"(denselayer\d+\.(?:norm|conv))", r"\1.", name): value for name, value in today.items()}
    older = {name: value for name, value in older.items() if not name.endswith("num_batches_tracked")}
    assert "features.denseblock1.denselayer1.norm.1.weight" in older
    ours, expected = zoo.load("densenet121", older).state_dict(), zoo.load("densenet121", today).state_dict()
    assert all(torch.equal(ours[name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("nin", lambda weights: None, "nin has none in the zoo"),
        ("resnet50", lambda weights: weights.pop("layer1.0.bn1.bias"), "layer1.0.bn1.bias .* is missing"),
        ("resnet50", lambda weights: weights.update(extra=torch.zeros(1)), "extra is not among its names"),
        ("resnet50", lambda weights: weights.update({"bn1.bias": torch.zeros(3)}), r"bn1.bias has shape \(3,\) where"),
        ("resnet50", lambda weights: weights.update({"conv1.weight": torch.zeros(())}), r"weight has shape \(\) "),
        ("resnet50", lambda weights: weights.update({"conv1.weight": torch.zeros(64, 0, 7, 7)}), r"has shape \(64, 0,"),
        ("resnet50", lambda weights: weights.update({"fc.bias": torch.zeros(())}), r"fc.bias has shape \(\) where"),
    ],
)
def test_other_weights_are_refused(name: str, change: object, said: str) -> None:
    weights = dict(torchvision.models.resnet50(weights=None).state_dict())
    change(weights)  # type: ignore[operator]
    with pytest.raises(UserError, match=said):
        zoo.load(name, weights)


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(SpaceError, match=r"lists \(mobilenet_v2, "):
        find("mobilenetv2")


NEWCOMER = """
from search_spaces import zoo as package
from search_spaces.arch import Arch
from search_spaces.zoo.network import Network, Published

NETWORKS = [Network("tiny", Arch.parse("r32 | conv_stem(width=8) | pool_head"), "nobody 2026", Published("0.1M"))]
"""


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "tiny_family.py").write_text(NEWCOMER)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    package._networks.cache_clear()
    yield
    package._networks.cache_clear()


def test_a_new_family_is_one_file(newcomer: None) -> None:
    assert "tiny_family" in families()
    assert find("tiny").cost.macs == 8 * 27 * 16**2 + 8 * 1000
    assert agrees(find("tiny").published.macs, find("tiny").cost.macs)
