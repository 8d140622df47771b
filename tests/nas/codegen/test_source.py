"""The exported module: the same network, in plain PyTorch that people would like to read."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from nas.build import build
from nas.codegen.expressions import WIDTH
from nas.exporters.python_module import export
from nas.packaging.package import Package
from search_spaces import layers as L
from search_spaces.layers import Layer, add, chain, concat, multiply
from search_spaces.part import Block, Head, Stem, known
from search_spaces.spaces import names
from tests.nas.exporting import MOBILENET_V2, SMALL, brought_home, drawn, packed


def logits(network: torch.nn.Module, in_channels: int = 3, side: int = 32) -> Any:
    images = torch.randn(2, in_channels, side, side, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return network.eval()(images)


def assert_same(package: Package, folder: Path) -> str:
    """The exported network has the search's names, shapes, first weights and logits; its text is returned."""
    module, text = brought_home(package, folder)
    torch.manual_seed(0)
    own = build(*package.as_trained)
    torch.manual_seed(0)
    fresh = module.Network()
    state = fresh.state_dict()
    assert list(state) == list(own.state_dict())
    for name, value in own.state_dict().items():
        assert torch.equal(state[name], value), name
    expected = logits(package.module(), package.in_channels)
    assert expected.std() > 1e-4  # else equal logits would say nothing
    torch.testing.assert_close(logits(module.load(), package.in_channels), expected, rtol=0, atol=0)
    return text


def imports(text: str) -> set[str]:
    """Top-level modules that a text imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


# ------------------------------------------------------------------------------ the same network


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("space", names())
def test_any_network_of_a_space(space: str, seed: int, tmp_path: Path) -> None:
    text = assert_same(packed(drawn(space, seed)), tmp_path)
    assert imports(text) <= sys.stdlib_module_names | {"torch", "safetensors", "timm"}  # timm if it is there
    assert WIDTH <= 120
    assert max(map(len, text.splitlines())) <= 120
    for space_like in ("nas.", "search_spaces", str(tmp_path)):
        assert space_like not in text


@pytest.mark.parametrize("name", known(Block))
def test_any_block_repeated_and_alone(name: str, tmp_path: Path) -> None:
    assert_same(
        packed(f"r64 | conv_stem(width=16) | {name} c16 s2 | {name} c48 n5 s2 | {name} c32 | pool_head"), tmp_path
    )


def test_text_is_as_our_linter_likes_it(tmp_path: Path) -> None:
    for space in ("mobile", "mixed"):
        export(packed(drawn(space, 3)), tmp_path, space)
    config = Path(__file__).parents[3] / "pyproject.toml"
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(config), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_a_network_fits_two_pages_with_a_line_a_block(tmp_path: Path) -> None:
    _, text = brought_home(packed(MOBILENET_V2), tmp_path)
    assert len(text.splitlines()) <= 260
    assert text.count("inverted_residual(") == 16 + 1 + 1  # calls, the definition, the first line's text form
    line = "            add(identity=nn.Identity(), path=inverted_residual(24, 144, 24)),"
    assert line in text.splitlines()
    assert "def inverted_residual(in_channels: int, expand: int, out_channels: int, stride: int = 1)" in text


def test_equal_blocks_in_a_row_are_folded(tmp_path: Path) -> None:
    text = assert_same(packed("r32 | conv_stem(width=8) | mlpconv c8 n6 | mlpconv c16 n3 s2 | pool_head"), tmp_path)
    assert "*(mlpconv(8) for _ in range(6))," in text
    assert text.count("            mlpconv(16),\n") == 2


def test_a_network_without_stages(tmp_path: Path) -> None:
    assert_same(packed("r32 | conv_stem(width=8, pool=true) | pool_head"), tmp_path)


def test_branches_that_happen_to_be_equal_stay_two_numbers(tmp_path: Path) -> None:
    text = assert_same(packed("r32 | conv_stem(width=8) | inception c32 | inception c64 s2 | pool_head"), tmp_path)
    assert "in_channels: int, one: int, three_reduce: int, three: int, five_reduce: int, five: int, pool: int" in text
    assert "inception(8, 8, 8, 16, 2, 4, 4)" in text


def test_shapes_of_a_family_get_functions_named_by_what_differs(tmp_path: Path) -> None:
    arch = "r32 | conv_stem(width=8) | {0}(se=0.25) c8 n3 | {0} c16 n2 s2 | pool_head".format("inverted_residual")
    text = assert_same(packed(arch), tmp_path)
    assert "def inverted_residual(" in text
    assert "def inverted_residual_without_se(" in text


# ------------------------------------------------------------------- other classes, channels, features


def test_features_are_those_of_timm(tmp_path: Path) -> None:
    module, _ = brought_home(packed(MOBILENET_V2), tmp_path)
    judge = timm.create_model("mobilenetv2_100", features_only=True)
    ours = module.Network(features_only=True).eval()
    assert [info["reduction"] for info in ours.feature_info] == judge.feature_info.reduction() == [2, 4, 8, 16, 32]
    assert [info["num_chs"] for info in ours.feature_info] == judge.feature_info.channels()
    maps, theirs = logits(ours, side=96), logits(judge, side=96)
    assert [m.shape for m in maps] == [m.shape for m in theirs]
    assert not [name for name in ours.state_dict() if name.startswith("head")]


def test_features_are_the_maps_on_the_way_to_the_logits(tmp_path: Path) -> None:
    arch = "r64 | conv_stem(width=16, pool=true) | bottleneck c16 n2 | bottleneck c32 s2 | bottleneck c32 | pool_head"
    module, _ = brought_home(packed(arch), tmp_path)
    whole, features = module.load(), module.load(features_only=True)
    maps = logits(features)
    expected = [("stem.act", 2, 16), ("stage1", 4, 16), ("stage3", 8, 32)]
    assert [(i["module"], i["reduction"], i["num_chs"]) for i in features.feature_info] == expected
    seen: dict[str, Any] = {}
    for name, _, _ in expected:
        whole.get_submodule(name).register_forward_hook(lambda m, i, out, name=name: seen.update({name: out.clone()}))
    last = logits(whole)
    for (name, _, _), found in zip(expected, maps, strict=True):
        torch.testing.assert_close(found, seen[name], rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(whole.forward_head(maps[-1]), last, rtol=0, atol=0)


def test_out_indices_choose_features(tmp_path: Path) -> None:
    module, _ = brought_home(packed(MOBILENET_V2), tmp_path)
    network = module.load(features_only=True, out_indices=(1, -1))
    assert [info["reduction"] for info in network.feature_info] == [4, 32]
    assert [found.shape[1] for found in logits(network)] == [24, 320]


def test_other_classes_and_channels_start_anew_and_say_so(tmp_path: Path) -> None:
    package = packed(SMALL)
    module, _ = brought_home(package, tmp_path)
    assert logits(module.Network(num_classes=7, in_channels=1), in_channels=1).shape == (2, 7)
    with pytest.warns(UserWarning, match=r"newly initialised: head\.classifier\.weight, head\.classifier\.bias$"):
        network = module.load(num_classes=7)
    assert torch.equal(network.stage2[0].project.conv.weight, package.weights["stage2.0.project.conv.weight"])
    with pytest.warns(UserWarning, match=r"newly initialised: stem\.conv\.weight$"):
        assert logits(module.load(in_channels=1), in_channels=1).shape == (2, 10)
    module.load(num_classes=7, features_only=True)  # nothing is new there, so nothing is said


def test_weights_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    package = packed(SMALL)
    module, _ = brought_home(package, tmp_path)
    weights = dict(package.weights)
    weights["stage2.0.project.conv.weight"] = torch.zeros(3, 3)
    save_file(weights, tmp_path / "other.safetensors")
    with pytest.raises(RuntimeError, match="size mismatch for stage2"):
        module.load(tmp_path / "other.safetensors", num_classes=10)
    del weights["stage2.0.project.conv.weight"]
    save_file(weights, tmp_path / "other.safetensors")
    with pytest.raises(RuntimeError, match="Missing key"):
        module.load(tmp_path / "other.safetensors")


# ---------------------------------------------------------------------------------- users' own blocks


@pytest.mark.usefixtures("own_parts")
def test_a_users_block_prints_whatever_its_names_and_layers(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Chain(Block):  # its function may not be called `chain`
        def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
            odd = L.Conv(out_channels, 4, stride, padding=2, dilation=1, bias=True)
            norm = L.BatchNorm(eps=1e-3, momentum=0.01)
            branches = concat(L.Conv(out_channels, 2, padding=1), L.Conv(out_channels, 2, padding=1, bias=True))
            named = {"class": odd, "a-b": norm, "relu": L.Act("gelu"), "both": branches}
            named |= {  # nearly phrases
                "eps": chain(conv=L.Conv(out_channels), norm=L.BatchNorm(eps=0.5)),
                "dilated": chain(conv=L.Conv(out_channels, 3, dilation=2), norm=L.BatchNorm(), act=L.Act()),
                "padded": chain(conv=L.Conv(out_channels, 3, padding=2, bias=True), act=L.Act("silu")),
                "grouped": chain(conv=L.Conv(out_channels, groups=2, bias=True), act=L.Act("silu")),
                "biased": chain(conv=L.Conv(out_channels, bias=True), norm=L.BatchNorm(), act=L.Act()),
                "gate": add(L.Identity(), multiply(L.Identity(), chain(L.AdaptivePool(1), L.Act("hardsigmoid")))),
            }
            return chain(**named, conv=L.Conv(out_channels, 3, dilation=2), max=L.MaxPool(2, 1, 1), empty=chain())

    text = assert_same(packed("r32 | conv_stem(width=8) | chain c8 n2 | chain c12 s2 | pool_head"), tmp_path)
    assert "def chain2(" in text
    assert '"class"' in text


@pytest.mark.usefixtures("own_parts")
def test_a_map_survives_an_activation_that_follows_it(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class ActFirst(Block):
        def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
            return chain(drop=L.Dropout(0.1), act=L.Act("relu"), conv=L.Conv(out_channels, 3, stride))

    arch = "r32 | conv_stem(width=8, act=silu) | mlpconv(act=silu) c8 | act_first c8 s2 | act_first c8 s2 | pool_head"
    module, _ = brought_home(packed(arch), tmp_path)
    maps = logits(module.load(features_only=True))
    assert len(maps) == 3
    assert maps[0].min() < 0
    assert maps[1].min() < 0


@pytest.mark.usefixtures("own_parts")
def test_an_activation_before_a_branch_leaves_the_shortcut_alone(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class PreActivation(Block):
        act: str = "relu"

        def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
            path = chain(act=L.Act(self.act), conv=L.Conv(out_channels, 3), act2=L.Act(self.act), conv2=L.Conv(8))
            return add(identity=L.Identity(), path=path)

    arch = "r32 | conv_stem(width=8) | pre_activation c8 n2 | pre_activation(act=gelu) c8 n2 | pool_head"
    text = assert_same(packed(arch), tmp_path)
    assert "act=nn.ReLU()" in text
    assert "act2=relu()" in text


@pytest.mark.usefixtures("own_parts")
def test_a_linear_layer_may_lack_its_bias(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Unbiased(Head):
        def layer(self, in_channels: int, num_classes: int) -> Layer:
            return chain(pool=L.AdaptivePool(1), flatten=L.Flatten(), classifier=L.Linear(num_classes, bias=False))

    module, _ = brought_home(packed("r32 | conv_stem(width=8) | mlpconv c8 | unbiased"), tmp_path)
    fresh = module.Network(num_classes=5)
    assert dict(fresh.named_parameters()).keys().isdisjoint({"head.classifier.bias"})
    assert logits(fresh).shape[-1] == 5


@pytest.mark.usefixtures("own_parts")
def test_numbers_that_the_text_cannot_follow_are_fixed(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class TwoLayers(Head):
        def layer(self, in_channels: int, num_classes: int) -> Layer:
            pooled = {"pool": L.AdaptivePool(1), "flatten": L.Flatten()}
            return chain(**pooled, hidden=L.Linear(2 * num_classes), classifier=L.Linear(num_classes))

    @dataclass(frozen=True)
    class NoStem(Stem):
        def layer(self, in_channels: int) -> Layer:
            return chain(pool=L.AvgPool(2, 2))

    package = packed("r32 | no_stem | mlpconv c8 | two_layers")
    module, _ = brought_home(package, tmp_path)
    torch.testing.assert_close(logits(module.load()), logits(package.module()), rtol=0, atol=0)
    with pytest.raises(ValueError, match="needs num_classes=10, but got 5"):
        module.Network(num_classes=5)
    with pytest.raises(ValueError, match="needs in_channels=3, but got 1"):
        module.Network(in_channels=1)
    assert_same(packed("r32 | conv_stem(width=8) | mlpconv c8 | pool_head"), tmp_path)  # and nothing was remembered
