"""ONNX: one file, any batch, batch norms folded, the same logits in ONNX Runtime."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch

from nas import export
from nas.exporters import onnx as exporter
from nas.packaging.package import ExportError, Package
from nas.packaging.proof import Compared
from nas.packaging.sources import fresh
from search_spaces import Arch

# every kind of layer that a network may hold: gates, shuffles, dense connections, ceil pools, branches
EVERYTHING = (
    "r32 eps=0.001 | conv_stem(width=16) | inverted_residual(se=0.25, act=hardswish, se_from=hidden) c16 | "
    "shuffle_unit(groups=2) c32 s2 | dense(layers=2, growth=8) c32 | max_pool(valid=true, ceil=true) c32 s2 | "
    "inception c32 | fire(bypass=complex) c48 | resnext(cardinality=4) c32 | spp_head(bins=(1, 2))"
)


def test_an_onnx_file_computes_the_same_for_any_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--arch", EVERYTHING, "--num-classes", "5", "--out", str(tmp_path), "--name", "all", "--format", "onnx"]
    assert export.main(argv) == 0
    assert "Run by onnxruntime" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"all.onnx", "all.json", "all.md"}
    model = onnx.load(str(tmp_path / "all.onnx"))
    kinds = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" in kinds  # before an activation, as dense layers have it, there is nothing to fold into
    plain = fresh(Arch.parse("r32 | conv_stem(width=8) | bottleneck c16 | pool_head"), 3, 5)
    exporter.export(plain, tmp_path, "plain")
    folded = onnx.load(str(tmp_path / "plain.onnx"))
    assert "BatchNormalization" not in {node.op_type for node in folded.graph.node}

    session = onnxruntime.InferenceSession(str(tmp_path / "plain.onnx"), providers=["CPUExecutionProvider"])
    images = torch.randn(7, 3, 32, 32)
    (logits,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(logits), plain.module()(images), atol=1e-5)
    report = json.loads((tmp_path / "plain.json").read_text())
    assert report["arch"] == str(plain.arch)
    assert 0 < report["proof"]["difference"] <= 1e-4 * report["proof"]["largest"]
    assert report["folded_cost"]["flops"] < report["cost"]["flops"]


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@pytest.mark.parametrize("size", [(6, 6), (7, 13), (9, 8)])
def test_pooling_by_slices_is_adaptive_max_pooling(bins: int, size: tuple[int, int]) -> None:
    images = torch.randn(2, 3, *size)
    assert torch.equal(exporter._BinnedMaxPool(bins)(images), torch.nn.AdaptiveMaxPool2d(bins)(images))


def test_a_file_that_computes_something_else_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "compare", lambda *_: Compared(0.5, 1.0))
    package = fresh(Arch.parse("r16 | conv_stem(width=8) | pool_head"), 1, 2)
    with pytest.raises(ExportError, match=r"its logits differ by 5\.0e-01"):
        exporter.export(package, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_batch_norm_that_was_not_folded_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Package, "folded", Package.module)
    monkeypatch.setattr(exporter.torch.onnx, "export", unoptimised(torch.onnx.export))
    package = fresh(Arch.parse("r16 | conv_stem(width=8) | pool_head"), 1, 2)
    with pytest.raises(ExportError, match="at most 0 batch norms once folded, but it holds 1"):
        exporter.export(package, tmp_path)


def unoptimised(write: Any) -> Any:
    return lambda *args, **options: write(*args, **{**options, "optimize": False})


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError("no module", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    package = fresh(Arch.parse("r16 | conv_stem(width=8) | pool_head"), 1, 2)
    with pytest.raises(ExportError, match=r"needs the extra `onnx`: .*, but onnxruntime is missing"):
        exporter.export(package, tmp_path)
