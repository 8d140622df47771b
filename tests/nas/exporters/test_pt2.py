"""torch.export's archive: loaded where this project is not, any batch, the same logits."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch

from nas.exporters import executorch, pt2
from nas.packaging.package import ExportError
from nas.packaging.proof import prove_program
from tests.nas.exporters.test_onnx import EVERYTHING
from tests.nas.exporting import packed


def test_an_archive_computes_the_same_for_any_batch(tmp_path: Path) -> None:
    package = packed(EVERYTHING)
    pt2.export(package, tmp_path, "all")
    assert {path.name for path in tmp_path.iterdir()} == {"all.pt2", "all.json", "all.md"}
    network = torch.export.load(tmp_path / "all.pt2").module()
    images = torch.randn(5, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(images), package.module()(images), rtol=1e-4, atol=1e-5)
    proof = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["proof"]
    assert proof["difference"] <= 1e-4 * proof["largest"]
    assert "without this project" in proof["runtime"]
    with zipfile.ZipFile(tmp_path / "all.pt2") as archive:  # no paths of the machine that it was made on
        model = next(archive.read(name) for name in archive.namelist() if name.endswith("model.json"))
    assert str(Path(__file__).parents[3]).encode() not in model


def test_another_networks_archive_is_refused(tmp_path: Path) -> None:
    arch = "r16 | conv_stem(width=8) | pool_head"
    torch.export.save(pt2.program(packed(arch, in_channels=1)), tmp_path / "network.pt2")
    other = packed("r16 | conv_stem(width=8, act=silu) | pool_head", in_channels=1)
    with pytest.raises(ExportError, match="an exported program must compute the same, but its logits differ"):
        prove_program(tmp_path / "network.pt2", other)


def test_executorch(tmp_path: Path) -> None:
    """Where its extra is not installed, as in the tests' own environment, it is named."""
    try:
        import executorch as package  # noqa: F401
    except ImportError:
        with pytest.raises(ExportError, match=r"needs the extra `executorch`: .*, but executorch is missing"):
            executorch.export(packed("r16 | conv_stem(width=8) | pool_head"), tmp_path)
        return
    executorch.export(packed(EVERYTHING), tmp_path, "all")
    proof = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["proof"]
    assert proof["difference"] <= 1e-4 * proof["largest"]
    assert (tmp_path / "all.pte").stat().st_size > 1000
