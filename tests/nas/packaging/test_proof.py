"""The proof that an exported module is the network: what it lets pass, and what it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nas.exporters.python_module import export
from nas.packaging import fresh_process
from nas.packaging.package import ExportError
from nas.packaging.proof import Compared, Proof, check, compared, limit, prove
from tests.nas.exporting import SMALL, drawn, packed


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


@pytest.mark.parametrize("batches", [(1,), (3,), (1, 3)])
def test_logits_that_are_no_numbers_are_never_the_same(batches: tuple[int, ...]) -> None:
    network = torch.nn.Flatten()

    def run(images: torch.Tensor) -> Any:
        return network(images) * (float("nan") if len(images) in batches else 1.0)

    with pytest.raises(ExportError, match="its logits differ by nan"):
        compared(run, network, 1, 4).check("a runtime")


@pytest.mark.parametrize("bad", [1, 3])
def test_an_archive_that_gives_no_numbers_for_one_batch(
    bad: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {f"images.{i}": torch.ones(size, 2) for i, size in enumerate((1, 3))}
    save_file(images | {f"logits.{i}": torch.ones(size, 2) for i, size in enumerate((1, 3))}, tmp_path / "probe")
    archive = SimpleNamespace(module=lambda: lambda batch: batch * float("nan") if len(batch) == bad else batch)
    monkeypatch.setattr(torch.export, "load", lambda path: archive)
    found = fresh_process.examine_program("network.pt2", str(tmp_path / "probe"))
    assert found == {"difference": "nan", "largest": "1.0"}


def test_a_network_without_finite_logits_is_not_taken_for_proved() -> None:
    with pytest.raises(ExportError, match=r"logits must be finite to be compared, but the largest .* is inf"):
        Compared(0.0, float("inf")).check("a runtime")
