"""A network as one int8 ONNX file: post-training quantisation, calibrated and judged on the study's own images.

Weights are int8 with a scale a channel, of which 7 bits are used, activations int8 with a scale a map, found on
training images (Jacob et al. 2018; the scheme of ONNX Runtime's static quantisation). Accuracy is lost by this, how
much is measured on validation images: the test split stays unread.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.batches import Images
from nas.exporters import onnx as fp32
from nas.packaging.delivery import deliver
from nas.packaging.package import ExportError, Package
from nas.packaging.proof import Compared
from nas.packaging.spec import check_name

ABOUT = "one int8 ONNX file, calibrated on the study's training images, accuracy before and after"
SUFFIX = ".int8.onnx"
CALIBRATION = 512
"""Training images that the scales are found on, from all over the split."""
BATCH = 64
_Run = Callable[[Tensor], Tensor]


def export(package: Package, out: Path, name: str = "network") -> Path:
    """Write NAME.int8.onnx, .int8.json and .int8.md into the folder `out`, made if need be, and return it.

    Images (batch, C, H, W), normalised, at the resolution that the weights were trained at, for scales found at one
    size do not serve another. Raise `ExportError` when there are no images, or the extra `onnx` is missing.
    """
    check_name(name)
    if package.images is None:
        raise ExportError(
            "int8 is calibrated on the images that a network was trained on, so it needs a trained network of a study "
            "(--study NAME --best), but got one without images: train a network of the zoo by nas.zoo --train NAME"
        )
    _, runtime = fp32.packages()
    images, side = package.images(), package.trained_side
    with tempfile.TemporaryDirectory() as scratch:
        plain, small = Path(scratch) / f"{name}.onnx", Path(scratch) / f"{name}{SUFFIX}"
        fp32.write(package.at(side), plain)
        _quantise(plain, small, images, side)
        proof = _judged(_session(runtime, plain), _session(runtime, small), images, side)
        return deliver(package, small, out, f"{name}.int8", {"runtime": f"onnxruntime {runtime.__version__}", **proof})


def _quantise(plain: Path, small: Path, images: Images, side: int) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    logging.getLogger().setLevel(logging.ERROR)
    prepared = plain.with_suffix(".prepared.onnx")
    quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(small),
        _Reader(images, side),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        # weights of 7 bits: where a CPU has no VNNI, sums of two 8-bit products saturate at 16 bits, which took a
        # network from 62 to 56 %, against 62 % with 7
        reduce_range=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )


class _Reader:
    """The calibration images, batch by batch, in the form that ONNX Runtime asks for."""

    def __init__(self, images: Images, side: int) -> None:
        inputs, _ = images.split("train", side)
        chosen = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))[:CALIBRATION]
        self.batches: Iterator[Tensor] = iter(torch.split(images.normalised(inputs[chosen]), BATCH))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch.numpy()}


def _judged(plain: _Run, small: _Run, images: Images, side: int) -> dict[str, Any]:
    """Both files on all validation images."""
    inputs, labels = images.split("val", side)
    before, after = (
        torch.cat([run(images.normalised(part)) for part in torch.split(inputs, BATCH)]) for run in (plain, small)
    )
    found = Compared(float((after - before).abs().max()), float(before.abs().max()))
    first, second = before.argmax(1), after.argmax(1)
    accuracy = {
        "split": "validation",
        "images": len(labels),
        "resolution": side,
        "before": float((first == labels).double().mean()),
        "after": float((second == labels).double().mean()),
        "agreement": float((first == second).double().mean()),
        "calibration": min(CALIBRATION, len(images.data.train)),
    }
    return {"difference": found.difference, "largest": found.largest, "accuracy": accuracy}


def _session(runtime: Any, path: Path) -> _Run:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        (logits,) = session.run(None, {"images": images.contiguous().numpy()})
        return torch.from_numpy(logits)

    return run
