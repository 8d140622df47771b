"""An exported network among timm's: made, cut, given another classifier and read as features by timm itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.data import resolve_model_data_config

from nas.exporters.python_module import export
from nas.packaging.package import Accuracy
from tests.nas.exporting import MOBILENET_V2, numbers, packed

HEADS = {
    "pool": "pool_head(width=24, act=relu6, dropout=0.2)",
    "hidden": "pool_head(hidden=20)",
    "fc": "fc_head(size=2, hidden=12, depth=1)",
    "spp": "spp_head(bins=(1, 2))",
    "conv": "conv_head",
    "nin": "conv_head(hidden=true)",
}
FEATURES = {"pool": 24, "hidden": 20, "fc": 12, "spp": 80, "conv": 16, "nin": 16}
BODY = "r64 | conv_stem(width=8, act=relu6) | inverted_residual(act=relu6) c16 s2 | {}"


@pytest.fixture(params=HEADS)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """The name of an exported module that was imported, and the kind of its head."""
    kind = request.param
    name, record = f"home_{kind}{next(numbers)}", {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    accuracy = Accuracy(0.5, "validation", "clothes", 32)
    export(packed(BODY.format(HEADS[kind]), accuracy=accuracy, record=record), tmp_path, name)
    monkeypatch.syspath_prepend(tmp_path)
    import_module(name)
    yield name, kind
    del sys.modules[name]


def images(channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, 64, 64, generator=torch.Generator().manual_seed(0))


def test_timm_makes_it(made: tuple[str, str]) -> None:
    name, kind = made
    module, features = sys.modules[name], FEATURES[kind]
    assert timm.is_model(name)
    network, home = timm.create_model(name, pretrained=True).eval(), module.load().eval()
    with torch.no_grad():
        torch.testing.assert_close(network(images()), home(images()), rtol=0, atol=0)
        maps = network.forward_features(images())
        assert maps.shape[1] == network.num_features == 16
        torch.testing.assert_close(network.forward_head(maps), network(images()), rtol=0, atol=0)
        before = network.forward_head(network.forward_features(images()), pre_logits=True)
        assert before.shape == (2, features)
        bare = timm.create_model(name, pretrained=True, num_classes=0).eval()
        torch.testing.assert_close(bare(images()), before, rtol=0, atol=0)
        assert isinstance(bare.get_classifier(), torch.nn.Identity)
        assert timm.create_model(name, num_classes=7, in_chans=1).eval()(images(1)).shape == (2, 7)


def test_timm_reads_its_maps(made: tuple[str, str]) -> None:
    name, _ = made
    network = timm.create_model(name, pretrained=True, features_only=True, out_indices=(-1,)).eval()
    assert (network.feature_info.channels(), network.feature_info.reduction()) == ([16], [4])
    whole = timm.create_model(name, pretrained=True).eval()
    with torch.no_grad():
        (deepest,) = network(images())
        torch.testing.assert_close(deepest, whole.forward_features(images()), rtol=0, atol=0)


def test_timm_knows_how_images_must_come(made: tuple[str, str]) -> None:
    network = timm.create_model(made[0])
    found = resolve_model_data_config(network)
    assert (found["input_size"], found["mean"], found["std"]) == ((3, 32, 32), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    first = network.default_cfg["classifier"]
    assert network.get_submodule(first if isinstance(first, str) else first[0]) is network.get_classifier()
    assert network.get_submodule(network.default_cfg["first_conv"]).in_channels == 3


def test_another_classifier_leaves_the_rest_alone(made: tuple[str, str]) -> None:
    network = timm.create_model(made[0], pretrained=True).eval()
    kept = {key: value.clone() for key, value in network.state_dict().items()}
    network.reset_classifier(3)
    assert network.num_classes == 3
    assert network(images()).shape == (2, 3)
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, kept[key])}
    names = network.default_cfg["classifier"]
    assert {key.rpartition(".")[0] for key in changed} <= set([names] if isinstance(names, str) else names)
    network.reset_classifier(0)
    assert network(images()).shape == (2, FEATURES[made[1]])


def test_it_does_without_timm(tmp_path: Path) -> None:
    export(packed(MOBILENET_V2), tmp_path, "alone")
    code = "import sys; sys.modules['timm'] = None; import alone; print(alone.load(num_classes=0).num_classes)"
    ran = subprocess.run([sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "0\n"), ran.stderr
