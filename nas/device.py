"""The one place that knows about devices: which one, in which precision, in which memory layout.

Everything else says `device` and `precision` and runs the same code everywhere. CUDA and MPS are
written to be correct by construction; what was never run there is named in the README.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nas import depthwise, small_maps
from nas.errors import UserError

MEMORY_FORMAT = torch.channels_last  # what cuDNN, MPS and oneDNN convolve fastest in
FASTER = 1.15  # bf16 must win by this much: it costs accuracy in the last digits
STEPS = 3  # of training in each precision, to see which is faster; the best counts

Example = tuple[nn.Module, Tensor]
"""A network and a batch of images (N, C, H, W) that it reads."""


def pick(name: str = "auto") -> torch.device:
    """The device of a name (`cuda`, `cuda:1`, `mps`, `cpu`), or the best that is here for `auto`."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind = name.partition(":")[0]
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if (
        device is None
        or not here.get(kind, False)
        or (kind == "cuda" and (device.index or 0) >= torch.cuda.device_count())
    ):
        present = ", ".join(k for k, there in here.items() if there)
        raise UserError(f"a device must be one that is here ({present}) or auto, but got {name!r}")
    return device


def describe(device: torch.device) -> str:
    """A name for people: the GPU's, or the CPU with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)" if device.type == "cpu" else device.type


def cores() -> int:
    """CPU cores that this process may use: those of its affinity, or as many as OMP_NUM_THREADS says."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = os.environ.get("OMP_NUM_THREADS", "")
    return min(here, int(said)) if said.isdecimal() and int(said) else here


def use_threads(count: int | None) -> None:
    """Give torch's CPU kernels `count` threads, all cores when None."""
    torch.set_num_threads(count or cores())


@dataclass(frozen=True)
class Share:
    """One worker's part of the machine: its device as `--device` reads it, CPU threads, environment variables."""

    device: str
    threads: int
    environment: dict[str, str] = field(default_factory=dict)


def shares(name: str, workers: int | None, per_gpu: int | None, threads: int | None) -> list[Share]:
    """Parts of the machine for several workers; raise `UserError` for what does not go together.

    name: as `pick` reads it. workers: how many; by default `per_gpu` (1) on each GPU, or one without a GPU. A worker
    sees no GPU but its own. The CPU's cores are shared out, unless each is to have `threads`.
    """
    device = pick(name)
    if device.type != "cuda" and per_gpu:
        raise UserError(f"--workers-per-gpu needs a GPU, but the device is {device.type}: give --workers N")
    named = [device.index] if device.index is not None else range(torch.cuda.device_count())
    gpus = [*named] if device.type == "cuda" else []
    count = workers or max(1, len(gpus) * (per_gpu or 1))
    each = threads or max(1, cores() // count)
    of_each = {"OMP_NUM_THREADS": str(each)}
    if not gpus:
        return [Share(device.type, each, of_each)] * count
    visible = (os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))).split(
        ","
    )
    return [Share("cuda", each, of_each | {"CUDA_VISIBLE_DEVICES": visible[gpus[i % len(gpus)]]}) for i in range(count)]


def resolve_precision(precision: str, device: torch.device, example: Callable[[], Example] | None = None) -> str:
    """`fp32` or `bf16`; `auto` takes bf16 on GPUs that have it and on CPUs where it is measured to be faster.

    example: makes what is measured on a CPU, a small mobile network by default. Which precision is faster depends on
    the blocks: on AMD's Zen 5 bf16 trains grouped bottlenecks 1.3 times as fast, and depthwise convolutions slower.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type != "cpu" or not _cpu_has_bf16():
        return "fp32"  # a CPU without bf16 instructions emulates them ten times slower
    return "bf16" if _bf16_wins_on_cpu(*(example or mobile)()) else "fp32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The forward pass's context for a resolved precision."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def quicken(network: nn.Module, device: torch.device) -> None:
    """Give the convolutions the forwards that are faster on the device; parameters and results stay."""
    if device.type == "cpu":
        depthwise.quicken(network)
        small_maps.quicken(network)


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on the device, in the layout that convolves fastest there."""
    quicken(network, device)
    network.to(device, memory_format=MEMORY_FORMAT)  # type: ignore[call-overload]  # missing in torch's stubs
    return network


def laid_out(value: Tensor) -> Tensor:
    """A tensor in the layout that `place` gives a parameter of its shape."""
    return value.contiguous(memory_format=MEMORY_FORMAT) if value.ndim == 4 else value


def synchronise(device: torch.device) -> None:
    """Wait for what the device was asked to do, so that a clock read next tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def release(device: torch.device) -> None:
    """Give cached memory back after a candidate that ran out of it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device (torch's CPU allocator raises a RuntimeError)."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        said in str(error) for said in ("not enough memory", "can't allocate memory", "out of memory")
    )


def mobile() -> Example:
    """The blocks of a mobile network: a dense convolution alone would say too much for bf16."""
    parts: list[nn.Module] = []
    for inside, outside, kernel, stride, groups in ((16, 48, 3, 2, 1), (48, 48, 5, 2, 48), (48, 96, 1, 1, 1)):
        conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)
        parts += [conv, nn.BatchNorm2d(outside), nn.ReLU()]
    return nn.Sequential(*parts), torch.randn(16, 16, 32, 32)


def _cpu_has_bf16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _bf16_wins_on_cpu(network: nn.Module, images: Tensor) -> bool:
    """Time a network's training steps in both precisions."""
    cpu = torch.device("cpu")
    network, images = place(network, cpu).train(), images.contiguous(memory_format=MEMORY_FORMAT)

    def step(precision: str) -> float:
        start = time.perf_counter()
        with autocast(cpu, precision):
            loss = network(images).float().sum()
        loss.backward()
        return time.perf_counter() - start

    best = {precision: min(step(precision) for _ in range(STEPS)) for precision in ("fp32", "bf16")}
    return best["fp32"] > FASTER * best["bf16"]
