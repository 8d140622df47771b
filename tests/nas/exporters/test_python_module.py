"""The exported module: the same network, in plain PyTorch that people would like to read."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from nas import exporters
from nas.build import build
from nas.exporters.expressions import WIDTH
from nas.exporters.package import Accuracy, ExportError, Package
from nas.exporters.proof import Proof, awake, check, limit, prove
from nas.exporters.python_module import export
from search_spaces import layers as L
from search_spaces.arch import Arch
from search_spaces.cost import cost
from search_spaces.layers import Layer, add, chain, concat, multiply
from search_spaces.part import REGISTRY, Block, Head, Stem, known
from search_spaces.spaces import find, names

MOBILENET_V2 = (
    "r224 | conv_stem(width=32, act=relu6) | inverted_residual(expand=1) c16 | inverted_residual c24 n2 s2 "
    "| inverted_residual c32 n3 s2 | inverted_residual c64 n4 s2 | inverted_residual c96 n3 "
    "| inverted_residual c160 n3 s2 | inverted_residual c320 | pool_head(width=1280, act=relu6, dropout=0.2)"
)
SMALL = "r32 | conv_stem(width=8) | inverted_residual c8 n2 | inverted_residual c16 s2 | pool_head"
numbers = itertools.count()
torch.set_num_threads(1)  # these networks are too small to share out


def packed(arch: Arch | str, in_channels: int = 3, num_classes: int = 10, **known: Any) -> Package:
    """A package whose every layer is awake, so that a wrong one shows in the logits."""
    arch = Arch.parse(arch) if isinstance(arch, str) else arch
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = awake(build(arch, in_channels, num_classes), torch.randn(4, in_channels, 32, 32))
    return Package(arch, in_channels, num_classes, network.state_dict(), **known)


def drawn(space: str, seed: int) -> Arch:
    """A random valid network, small; not uniform, as that would read the space's lattice, which takes seconds."""
    rng = Random(seed)
    found = find(space).at(128)
    drafts = (found.build(lambda path, hole: rng.choice(hole.labels)) for _ in range(9999))
    return next(arch for arch in drafts if found.valid(arch) and cost(arch).params < 4e6)


def imported(folder: Path, name: str = "network") -> Any:
    """The exported file as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"exported_{next(numbers)}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def brought_home(package: Package, folder: Path) -> tuple[Any, str]:
    """The exported module and its text."""
    return imported(export(package, folder)), (folder / "network.py").read_text(encoding="utf-8")


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


def test_the_text_form_in_the_docstring_is_the_network(tmp_path: Path) -> None:
    package = packed(MOBILENET_V2)
    module, _ = brought_home(package, tmp_path)
    assert Arch.parse(module.__doc__.split("\n\n")[1]) == package.arch


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


@pytest.fixture
def own_parts() -> Iterator[None]:
    """Parts that a test defines are forgotten after it."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


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


# ------------------------------------------------------------------------------ what is written beside


def test_docstring_and_spec_tell_costs_as_deployed_and_where_it_was_found(tmp_path: Path) -> None:
    accuracy = Accuracy(0.8125, "test", "fashion-subset", 32, 10, 70_000)
    told = {"study": "mobile-300M", "trial": 4, "seed": 0}
    record = {"mean": (0.2860,), "std": (0.3530,), "classes": ["a", "b"]}
    package = packed(SMALL, deployed_classes=1000, accuracy=accuracy, provenance=told, record=record)
    module, _ = brought_home(package, tmp_path)
    at_1000 = cost(package.arch, 3, 1000)
    for said in (
        f"flops        {at_1000.flops:,} (fvcore",
        f"macs         {at_1000.macs:,} (conv",
        f"params       {at_1000.params:,} (",
        "study mobile-300M, trial 4, seed 0",
        "81.25 % of the test images of fashion-subset, trained at 32 px for 10 epochs on 70,000 images",
        "3×32×32 images, 1,000 classes",
        "for 3 channels and 10 classes",
        "less mean (0.2860), over std (0.3530)",
    ):
        assert said in module.__doc__, said
    spec = json.loads((tmp_path / "network.json").read_text(encoding="utf-8"))
    assert Arch.parse(spec["arch"]) == package.arch
    assert (spec["num_classes"], spec["deployed"]["num_classes"]) == (10, 1000)
    assert (spec["cost"]["flops"], spec["cost"]["macs"]) == (at_1000.flops, at_1000.macs)
    assert spec["accuracy"]["value"] == 0.8125
    assert spec["classes"] == ["a", "b"]
    stored = load_file(tmp_path / "network.safetensors")
    assert stored.keys() == package.weights.keys()
    assert {path.name for path in tmp_path.iterdir()} == {
        f"network{suffix}" for suffix in (".py", ".safetensors", ".json", ".md")
    }
    assert "never trained" in brought_home(packed(SMALL), tmp_path)[0].__doc__


@pytest.mark.parametrize(
    "said",
    [
        '"""\nraise SystemExit',
        "\\",
        '"',
        "\0\n\r",
        "\\N{DASH} \\x00",
        "{0}{evil}",
        "é ∑ 名",
        '"' * 300,
        "\\" * 301 + '"',
    ],
)
def test_nothing_in_a_study_leaves_the_docstring(said: str, tmp_path: Path) -> None:
    module, _ = brought_home(packed(SMALL, provenance={"study": said, said: 1}), tmp_path)
    letters = "".join(said.replace("\0", " ").split())  # lines are wrapped
    assert letters in "".join(module.__doc__.split())


@pytest.mark.parametrize("name", ["", "a b", "class", "torch", "json", "../up", "1st", "a.b"])
def test_names_that_are_no_module(name: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="a module's name must be"):
        export(packed(SMALL), tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_errors_are_sentences(tmp_path: Path) -> None:
    package = packed(SMALL)
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="a folder that can be written"):
        export(package, tmp_path / "file")
    weights = dict(package.weights)
    with pytest.raises(ExportError, match=r"head\.classifier\.bias is 10 in the weights and 9 in the network"):
        replace(package, num_classes=9)
    del weights["stem.conv.weight"]
    with pytest.raises(ExportError, match=r"stem\.conv\.weight is missing in the weights and 8×3×3×3 in the network"):
        replace(package, weights=weights)


def test_formats_are_found_by_their_files() -> None:
    assert "python_module" in exporters.names()
    for name in exporters.names():
        exporter = exporters.find(name)
        assert exporter.ABOUT
        assert callable(exporter.export)
    with pytest.raises(exporters.UserError, match="did you mean python_module"):
        exporters.find("python_modul")


# ------------------------------------------------------------------------------------------ the proof


def test_proof_in_a_process_without_this_project(tmp_path: Path) -> None:
    package = packed(drawn("mixed", 5), in_channels=1, deployed_channels=3, deployed_classes=1000)
    proof = prove(export(package, tmp_path / "a folder", "found"), package, "found")
    assert proof.difference <= 1e-5
    assert proof.awake_difference <= 1e-5
    assert proof.largest > 1e-3
    assert (proof.flops, proof.params) == (package.cost.flops, package.cost.params)
    assert {path.suffix for path in (tmp_path / "a folder").iterdir()} == {".py", ".safetensors", ".json", ".md"}


def test_proof_sees_weights_that_were_tampered_with(tmp_path: Path) -> None:
    package = packed(SMALL)
    folder = export(package, tmp_path)
    weights = load_file(folder / "network.safetensors")
    weights["stage2.0.depthwise.conv.weight"][3, 0, 1, 1] += 0.01
    save_file(weights, folder / "network.safetensors")
    with pytest.raises(ExportError, match=r"logits within .* but with its weights they differ by"):
        prove(folder, package)


def test_proof_sees_a_module_that_needs_this_project(tmp_path: Path) -> None:
    package = packed(SMALL)
    folder = export(package, tmp_path)
    text = (folder / "network.py").read_text(encoding="utf-8")
    (folder / "network.py").write_text(text.replace("import warnings", "import warnings\nimport nas.build"), "utf-8")
    with pytest.raises(ExportError, match=r"on its own, but network\.py says: .*nas is refused"):
        prove(folder, package)


def test_check_compares_every_figure() -> None:
    package = packed(SMALL)
    good = Proof(package.cost.flops, package.cost.params, 4, 0.0, 1.0, 0.0, 1.0)
    check(good, package)
    for change, said in (
        ({"flops": good.flops + 1}, "flops"),
        ({"params": good.params - 1}, "params"),
        ({"difference": 2e-5}, "with its weights"),
        ({"difference": 2e-9, "largest": 1e-6}, "with its weights"),
        ({"difference": float("nan")}, "with its weights"),
        ({"awake_difference": 2e-5}, "layer awake"),
        ({"awake_difference": 1e-5, "awake_largest": float("inf")}, "layer awake"),
    ):
        with pytest.raises(ExportError, match=said):
            check(replace(good, **change), package)


def test_limit_is_1e_5_and_tighter_for_small_logits() -> None:
    assert limit(1.0) == limit(5.0) == 1e-5
    assert limit(1e-11) < 1e-15
    assert limit(0.0) == 0.0
    assert limit(float("inf")) == 0.0
    assert WIDTH <= 120
