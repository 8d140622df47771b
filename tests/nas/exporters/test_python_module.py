"""What the format `python_module` writes beside the code: docstring, weights, spec; and the sentences of its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from nas import exporters
from nas.exporters.python_module import export
from nas.packaging.package import Accuracy, ExportError
from search_spaces.arch import Arch
from search_spaces.cost import cost
from tests.nas.exporting import MOBILENET_V2, SMALL, brought_home, packed


def test_the_text_form_in_the_docstring_is_the_network(tmp_path: Path) -> None:
    package = packed(MOBILENET_V2)
    module, _ = brought_home(package, tmp_path)
    assert Arch.parse(module.__doc__.split("\n\n")[1]) == package.arch


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


TAKEN = ["timm", "nas", "dashboard", "numpy", "fvcore", "torchvision"]


@pytest.mark.parametrize("name", ["", "a b", "class", "torch", "json", "../up", "1st", "a.b", *TAKEN])
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
