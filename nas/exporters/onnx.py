"""A network as one ONNX file: dynamic batch, batch norm folded, proved by ONNX Runtime."""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas.exporters.package import ExportError, Package
from nas.exporters.python_module import check_name, spec
from nas.files import write_together

ABOUT = "one ONNX file with a dynamic batch, run and compared in ONNX Runtime"
SUFFIXES = (".onnx", ".json")
OPSET = 20
TOLERANCE = 1e-4  # of the largest logit: other kernels sum in another order
BATCHES = (1, 3)


def export(package: Package, out: Path, name: str = "network") -> Path:
    """Write NAME.onnx and NAME.json into the folder `out`, made if need be, and return it.

    Images (batch, C, H, W) at the network's resolution → logits (batch, classes). Raise `ExportError` when the
    packages of the extra `onnx` are missing, or when ONNX Runtime does not compute the same.
    """
    check_name(name)
    onnx, runtime = _packages()
    network = package.module()
    _, channels, _ = package.as_trained
    side = package.arch.resolution
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{name}.onnx"
        _write(network, torch.zeros(2, channels, side, side), path)
        onnx.checker.check_model(str(path), full_check=True)
        difference, largest = compare(runtime, path, network, channels, side)
        if difference > TOLERANCE * max(1.0, largest):
            raise ExportError(f"an ONNX file must compute the same, but its logits differ by {difference:.1e}")
        try:
            proof = {"runtime": f"onnxruntime {runtime.__version__}", "difference": difference, "largest": largest}
            told = json.dumps({**spec(package, name), "proof": proof}, indent=2) + "\n"
            write_together(
                {
                    out / f"{name}.onnx": lambda aside: aside.write_bytes(path.read_bytes()),
                    out / f"{name}.json": lambda aside: aside.write_text(told, encoding="utf-8"),
                }
            )
        except OSError as error:
            raise ExportError(f"an export needs a folder that can be written, but {out} says: {error}") from None
    return out


def compare(runtime: Any, path: Path, network: nn.Module, channels: int, side: int) -> tuple[float, float]:
    """Largest difference of a logit between ONNX Runtime and torch over two seeded batches, and the largest logit."""
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    generator = torch.Generator().manual_seed(0)
    difference = largest = 0.0
    for batch in BATCHES:
        images = torch.randn(batch, channels, side, side, generator=generator)
        with torch.no_grad():
            wanted = network(images)
        (got,) = session.run(None, {given.name: images.numpy()})
        difference = max(difference, float((torch.from_numpy(got) - wanted).abs().max()))
        largest = max(largest, float(wanted.abs().max()))
    return difference, largest


def _write(network: nn.Module, images: torch.Tensor, path: Path) -> None:
    """Trace and write; the optimiser of torch's exporter folds batch norms into convolutions."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (images,),
            str(path),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            optimize=True,
            verbose=False,
        )


def _packages() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise ExportError(
            f"ONNX needs the extra `onnx`: pip install -e '.[onnx]', but {error.name} is missing"
        ) from None
    return onnx, onnxruntime
