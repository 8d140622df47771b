"""Proof that an export is the network that was found: a module in a process that cannot import this project, and
files of other formats in the runtime they are for.
"""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nas.packaging.package import ExportError, Package

TOLERANCE = 1e-5
RESOLVED = 1e-6
"""What fp32 resolves of a network's largest logit, some ten roundings."""
OTHER_KERNELS = 1e-4
"""Of the largest logit: other runtimes sum in another order."""
BATCHES = (1, 3)
BATCH = 4
SEED = 20_240
TIMEOUT_S = 600


@dataclass(frozen=True)
class Proof:
    """What the exported module said of itself in its own process.

    flops, params: as deployed, by fvcore and by count. difference: largest difference of a logit to the
    search's own module, over `images` seeded random images, with the exported weights. largest: largest
    logit. awake_difference, awake_largest: the same after batch norm has measured these images, so
    that no layer's output vanishes or explodes, which in fresh networks would hide a difference.
    """

    flops: int
    params: int
    images: int
    difference: float
    largest: float
    awake_difference: float
    awake_largest: float

    def told(self) -> dict[str, Any]:
        """As the model card tells it."""
        worst = Compared(max(self.difference, self.awake_difference), max(self.largest, self.awake_largest))
        return worst.proof(f"torch {torch.__version__}, in a process without this project")


@dataclass(frozen=True)
class Compared:
    """What another runtime made of the same images: largest difference of a logit to torch's, and largest logit."""

    difference: float
    largest: float

    def check(self, what: str) -> None:
        """Raise `ExportError` unless the logits are finite, and the same but for rounding."""
        if not math.isfinite(self.largest):
            raise ExportError(
                f"logits must be finite to be compared, but the largest of the network's own is {self.largest}: train "
                "it, or take --format python_module, which is compared with other weights, too"
            )
        if not self.difference <= OTHER_KERNELS * self.largest + RESOLVED**2:
            raise ExportError(
                f"{what} must compute the same, but its logits differ by {self.difference:.1e} "
                f"(largest logit {self.largest:.3g})"
            )

    def proof(self, runtime: str) -> dict[str, Any]:
        """As the spec and the model card keep it."""
        return {"runtime": runtime, **asdict(self)}


def compared(run: Callable[[Tensor], Tensor], network: nn.Module, channels: int, side: int) -> Compared:
    """Another runtime beside torch, on seeded batches of two sizes: a fixed batch shows."""
    found: list[Tensor] = []
    for images in _batches(channels, side):
        with torch.no_grad():
            wanted = network(images)
        got = run(images)
        if got.shape != wanted.shape:
            raise ExportError(f"an export must give logits {tuple(wanted.shape)}, but gives {tuple(got.shape)}")
        found.append(torch.stack([(got - wanted).abs().max(), wanted.abs().max()]))
    difference, largest = torch.stack(found).amax(0).tolist()  # Python's max would lose a NaN
    return Compared(difference, largest)


def prove_program(path: Path, package: Package) -> Compared:
    """Load torch.export's archive in a fresh process, and compare; raise `ExportError` that says what differs."""
    network, probe = package.module(), dict[str, Tensor]()
    for i, images in enumerate(_batches(package.in_channels, package.arch.resolution)):
        with torch.no_grad():
            probe |= {f"images.{i}": images, f"logits.{i}": network(images)}
    with tempfile.TemporaryDirectory() as scratch:
        held = Path(scratch) / "probe.safetensors"
        save_file(probe, held)
        found = _run(path.parent.resolve(), path.name, held, package, scratch)
    result = Compared(_number(found, "difference"), _number(found, "largest"))
    result.check("an exported program")
    return result


def _batches(channels: int, side: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, channels, side, side, generator=generator) for batch in BATCHES]


def prove(folder: Path, package: Package, name: str = "network") -> Proof:
    """Import the exported module in a fresh process, and compare; raise `ExportError` that says what differs."""
    with tempfile.TemporaryDirectory() as scratch:
        probe = Path(scratch) / "probe.safetensors"
        save_file(_probe(package), probe)
        found = _run(folder.resolve(), name, probe, package, scratch)
    proof = Proof(
        flops=found["flops"],
        params=found["params"],
        images=BATCH,
        difference=_number(found["weights"], "difference"),
        largest=_number(found["weights"], "largest"),
        awake_difference=_number(found["awake"], "difference"),
        awake_largest=_number(found["awake"], "largest"),
    )
    check(proof, package)
    return proof


def check(proof: Proof, package: Package) -> None:
    """Raise `ExportError` unless every figure is the search's own."""
    _, channels, classes = package.as_deployed
    for label in ("params", "flops"):
        got, wanted = getattr(proof, label), getattr(package.cost, label)
        if got != wanted:
            raise ExportError(
                f"the exported module must have the network's {label}, for {channels} channels and {classes:,} "
                f"classes {wanted:,}, but it has {got:,}"
            )
    for which, difference, largest in (
        ("its weights", proof.difference, proof.largest),
        ("weights that keep every layer awake", proof.awake_difference, proof.awake_largest),
    ):
        if not difference <= limit(largest):
            raise ExportError(
                f"the exported module must give the network's logits within {limit(largest):.1e}, "
                f"but with {which} they differ by {difference:.1e} (largest logit {largest:.3g})"
            )


def limit(largest: float) -> float:
    """The difference that passes: 1e-5, less where all logits are small, more where fp32 resolves no better."""
    if not 0 <= largest < float("inf"):
        return 0.0  # only the same infinities will do
    return max(TOLERANCE * min(1.0, largest), RESOLVED * largest)


def _probe(package: Package) -> dict[str, Tensor]:
    """Images, a state of the network in which every layer is awake, and the logits with both states."""
    generator = torch.Generator().manual_seed(SEED)
    side = package.arch.resolution
    images = torch.randn(BATCH, package.in_channels, side, side, generator=generator)
    network = package.module()
    alive = awake(network, images)
    with torch.no_grad():
        logits = {"logits.weights": network(images), "logits.awake": alive(images)}
    state = {f"awake.{name}": value.clone() for name, value in alive.state_dict().items()}
    return {"images": images, **logits, **state}


def awake(network: nn.Module, images: Tensor) -> nn.Module:
    """A copy whose batch norms have measured these images, in eval mode.

    A fresh network in eval mode normalises nothing: a deep one's logits can be 1e-11, or infinite, and
    then say nothing about its layers.
    """
    network = copy.deepcopy(network)
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        network(images)
    return network.eval()


def _run(folder: Path, name: str, probe: Path, package: Package, scratch: str) -> dict[str, Any]:
    arch, channels, classes = package.as_deployed
    settings = {
        "threads": torch.get_num_threads(),
        "resolution": arch.resolution,
        "in_channels": channels,
        "num_classes": classes,
    }
    script, shown = Path(__file__).with_name("fresh_process.py"), name if "." in name else f"{name}.py"
    command = [sys.executable, "-I", "-B", str(script), str(folder), name, str(probe), json.dumps(settings)]
    options: dict[str, Any] = {"cwd": scratch, "env": _environment(), "capture_output": True, "text": True}
    try:
        ran = subprocess.run(command, timeout=TIMEOUT_S, **options)
    except subprocess.TimeoutExpired:
        raise ExportError(f"the exported module must answer within {TIMEOUT_S} s, but {shown} did not") from None
    if ran.returncode:
        said = (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]
        raise ExportError(f"the exported module must load and run on its own, but {shown} says: {said}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def _environment() -> dict[str, str]:
    """This process's environment without what could lead Python back to the project."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def _number(compared: dict[str, Any], key: str) -> float:
    if compared[key] is None:
        raise ExportError(f"the exported module must give logits of the network's shape, but gives {compared['shape']}")
    return float(compared[key])
