"""PyTorch as exported networks run it: op by op, channels last."""

from __future__ import annotations

import time
from itertools import pairwise

import torch
from torch import nn

from nas import device as devices
from nas.build import initialise, module
from nas.latency.backends import Runner
from nas.latency.setting import Setting, Subject

ABOUT = "PyTorch, op by op"
PRECISIONS, DEVICES = ("fp32", "bf16"), ("cpu", "cuda", "mps")


def version() -> str:
    return f"torch {torch.__version__}"


def prepare(subject: Subject, setting: Setting, trace: bool = False) -> Runner:
    """The built module in eval mode."""
    return Module(subject, setting, trace)


class Module:
    """A torch module and its images on the device; each pass is timed part by part where `trace` says so."""

    def __init__(self, subject: Subject, setting: Setting, trace: bool) -> None:
        self.device, self.precision, self.trace = devices.pick(setting.device), setting.precision, trace
        if self.device.type == "cpu":
            torch.set_num_threads(setting.threads)
        network = module(subject.parts, subject.shape).eval()
        initialise(network)
        self.network: nn.Module = devices.place(network, self.device)
        images = torch.randn(setting.batch, *subject.shape, generator=torch.Generator().manual_seed(0))
        self.images = images.to(self.device, memory_format=devices.MEMORY_FORMAT)
        self._passes: list[list[float]] = []

    @torch.inference_mode()
    def __call__(self) -> object:
        with devices.autocast(self.device, self.precision):
            out = self._stamped() if self.trace else self.network(self.images)
        devices.synchronise(self.device)
        return out

    def _stamped(self) -> torch.Tensor:
        x, stamps = self.images, [time.perf_counter()]
        for part in self.network.children():
            x = part(x)
            devices.synchronise(self.device)
            stamps.append(time.perf_counter())
        self._passes.append([1e3 * (after - before) for before, after in pairwise(stamps)])
        return x

    def parts_ms(self) -> list[list[float]]:
        return self._passes
