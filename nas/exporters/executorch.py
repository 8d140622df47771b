"""A network for ExecuTorch: phones and microcontrollers run it without Python, here by XNNPACK's kernels."""

from __future__ import annotations

import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from nas.exporters.pt2 import program
from nas.packaging.delivery import deliver
from nas.packaging.package import ExportError, Package
from nas.packaging.proof import compared
from nas.packaging.spec import check_name

ABOUT = "an ExecuTorch program for XNNPACK with a batch of 1 to 64, run and compared in its runtime"
SUFFIX = ".pte"
BATCH = 64  # memory is planned ahead, so the batch has an end


def export(package: Package, out: Path, name: str = "network") -> Path:
    """Write NAME.pte, NAME.json and NAME.md into the folder `out`, made if need be, and return it.

    Raise `ExportError` when the extra `executorch` is missing, or when its runtime does not compute the same.
    """
    check_name(name)
    lower, partitioner, runtime = _packages()
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(scratch) / f"{name}{SUFFIX}"
        path.write_bytes(lower(program(package, BATCH), partitioner=[partitioner()]).to_executorch().buffer)
        method = runtime.get().load_program(path).load_method("forward")

        def run(images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = method.execute([images])[0]
            return logits.clone()  # the runtime's own memory

        found = compared(run, package.module(), package.in_channels, package.arch.resolution)
        found.check("an ExecuTorch program")
        return deliver(package, path, out, name, found.proof(f"executorch {version('executorch')}"))


def _packages() -> tuple[Any, Any, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import to_edge_transform_and_lower
            from executorch.runtime import Runtime
    except ImportError as error:
        raise ExportError(
            f"ExecuTorch needs the extra `executorch`: pip install -e '.[executorch]', but {error.name} is missing"
        ) from None
    return to_edge_transform_and_lower, XnnpackPartitioner, Runtime
