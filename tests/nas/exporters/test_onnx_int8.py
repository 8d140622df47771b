"""Post-training quantisation: int8 in the file, accuracy before and after on real images."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from nas import data as datasets
from nas.batches import Images
from nas.evaluate import Evaluator
from nas.exporters import onnx_int8
from nas.packaging.package import Accuracy, ExportError, Package
from nas.recipe import Recipe
from search_spaces.arch import Arch
from tests.nas.exporting import packed

ARCH = Arch.parse(
    "r64 | conv_stem(width=16, act=relu6) | inverted_residual(expand=3, act=relu6) c16 n2 s2 | fire c32 s2 | pool_head"
)


@pytest.fixture(scope="module")
def trained() -> Package:
    """A network that tells clothes apart, trained for some seconds at 28 px and deployed at 64."""
    torch.set_num_threads(1)
    images = Images(datasets.load("fashion-subset"), 1, torch.device("cpu"))
    evaluator = Evaluator(Recipe(steps=60, resolution=28, batch_size=64, reference=64, evaluations=1), images)
    found = evaluator.evaluate(ARCH)
    accuracy = Accuracy(found.accuracy, "validation", "fashion-subset", found.pixels, samples=60 * 64)
    record = {"data": "fashion-subset", "licence": "MIT", "mean": [0.286], "std": [0.353], "classes": ["a"] * 10}
    return Package(
        ARCH, 1, 10, found.weights, accuracy=accuracy, record=record, images=lambda: images, provenance={"study": "toy"}
    )


def test_int8_keeps_what_was_learned_and_says_what_it_lost(trained: Package, tmp_path: Path) -> None:
    onnx_int8.export(trained, tmp_path, "small")
    assert {path.name for path in tmp_path.iterdir()} == {"small.int8.onnx", "small.int8.json", "small.int8.md"}
    proof = json.loads((tmp_path / "small.int8.json").read_text(encoding="utf-8"))["proof"]
    judged, accuracy = proof["accuracy"], trained.accuracy
    assert accuracy is not None
    assert judged["before"] == pytest.approx(accuracy.value, abs=0.002)  # as validated, but for rounding
    assert judged["before"] > 0.5
    assert judged["after"] > judged["before"] - 0.02  # 0.06 with weights of 8 bits on a CPU without VNNI
    assert (judged["resolution"], judged["calibration"]) == (28, 512)
    card = (tmp_path / "small.int8.md").read_text(encoding="utf-8")
    assert f"accuracy {judged['before']:.4f} in fp32, {judged['after']:.4f} in int8" in card
    assert "licence: MIT" in card
    assert "study: toy" in card

    graph = onnx.load(str(tmp_path / "small.int8.onnx")).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    assert not [t.name for t in weights.values() if t.data_type == onnx.TensorProto.FLOAT and len(t.dims) > 1]
    assert [t for t in weights.values() if t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 4]
    session = onnxruntime.InferenceSession(str(tmp_path / "small.int8.onnx"), providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        (logits,) = session.run(None, {"images": torch.zeros(batch, 1, 28, 28).numpy()})
        assert logits.shape == (batch, 10)


def test_without_images_it_says_whose_it_needs(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"needs a trained network of a study .* but got one without images"):
        onnx_int8.export(packed(ARCH), tmp_path)
    assert not list(tmp_path.iterdir())
