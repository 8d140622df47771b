"""A network as one ONNX file: dynamic batch, batch norms folded, proved by ONNX Runtime."""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from nas.packaging.delivery import deliver
from nas.packaging.package import ExportError, Package
from nas.packaging.proof import Compared, compared
from nas.packaging.spec import check_name
from search_spaces.folding import pairs

ABOUT = "one ONNX file with a dynamic batch, batch norms folded, run and compared in ONNX Runtime"
SUFFIX = ".onnx"
OPSET = 20


def export(package: Package, out: Path, name: str = "network") -> Path:
    """Write NAME.onnx, NAME.json and NAME.md into the folder `out`, made if need be, and return it.

    Images (batch, C, H, W) at the network's resolution → logits (batch, classes). Raise `ExportError` when the
    packages of the extra `onnx` are missing, or when ONNX Runtime does not compute the same.
    """
    check_name(name)
    _, runtime = packages()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{name}{SUFFIX}"
        write(package, path)
        found = compare(runtime, path, package.module(), package.in_channels, package.arch.resolution)
        found.check("an ONNX file")
        return deliver(package, path, out, name, found.proof(f"onnxruntime {runtime.__version__}"))


def write(package: Package, path: Path) -> None:
    """The folded network as a checked ONNX file; raise `ExportError` when a batch norm that can be folded is left."""
    onnx, _ = packages()
    arch, channels, classes = package.as_trained
    network = package.folded()
    _trace(network, torch.zeros(2, channels, arch.resolution, arch.resolution), path)
    onnx.checker.check_model(str(path), full_check=True)
    left = sum(node.op_type == "BatchNormalization" for node in onnx.load(str(path)).graph.node)
    norms = sum(isinstance(part, nn.BatchNorm2d) for part in package.module().modules())
    unfoldable = norms - len(pairs(arch.layer(channels, classes)))
    if left > unfoldable:
        raise ExportError(f"an ONNX file must hold at most {unfoldable} batch norms once folded, but it holds {left}")


def compare(runtime: Any, path: Path, network: nn.Module, channels: int, side: int) -> Compared:
    """ONNX Runtime beside torch."""
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()

    def run(images: torch.Tensor) -> torch.Tensor:
        (got,) = session.run(None, {given.name: images.numpy()})
        return torch.from_numpy(got)

    return compared(run, network, channels, side)


def packages() -> tuple[Any, Any]:
    """onnx and onnxruntime; raise `ExportError` that names the extra where one is missing."""
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise ExportError(
            f"ONNX needs the extra `onnx`: pip install -e '.[onnx]', but {error.name} is missing"
        ) from None
    return onnx, onnxruntime


class _BinnedMaxPool(nn.AdaptiveMaxPool2d):
    """Adaptive max pooling as maxima of slices: ONNX has no operator for it, nor torch up to 2.12 a way around."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        count = cast(int, self.output_size)
        for dim in (2, 3):  # first the rows' maxima, then theirs along the columns
            side = input.shape[dim]
            bins = [(i * side // count, math.ceil((i + 1) * side / count)) for i in range(count)]
            input = torch.cat([input.narrow(dim, a, b - a).amax(dim, keepdim=True) for a, b in bins], dim)
        return input


def _trace(network: nn.Module, images: torch.Tensor, path: Path) -> None:
    for part in network.modules():
        if type(part) is nn.AdaptiveMaxPool2d:
            part.__class__ = _BinnedMaxPool
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
