"""torch.compile: kernels fused and generated for the whole network, which therefore has no times of parts."""

from __future__ import annotations

import torch

from nas.errors import UserError
from nas.latency.backends import Runner
from nas.latency.backends.eager import DEVICES, PRECISIONS, Module, version
from nas.latency.setting import Setting, Subject

__all__ = ["ABOUT", "DEVICES", "PRECISIONS", "prepare", "version"]
ABOUT = "torch.compile; each network compiles for up to a minute"


def prepare(subject: Subject, setting: Setting, trace: bool = False) -> Runner:
    """The compiled module, compiled by its first pass."""
    if trace:
        raise UserError("a table needs a backend that times parts, but compile fuses across them: try onnxruntime")
    runner = Module(subject, setting, trace=False)
    runner.network = torch.compile(runner.network, dynamic=False)  # type: ignore[assignment]
    runner()
    return runner
