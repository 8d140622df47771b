"""The precision that a device trains in."""

import pytest
import torch
from torch import Tensor, nn

from nas import device as devices

CPU = torch.device("cpu")


class Clock:
    """Time that passes only while a network computes: so many seconds in fp32, and in bf16."""

    def __init__(self, fp32: float, bf16: float) -> None:
        self.now, self.seconds = 0.0, {False: fp32, True: bf16}

    def perf_counter(self) -> float:
        return self.now

    def network(self) -> devices.Example:
        clock = self

        class Timed(nn.Linear):
            def forward(self, input: Tensor) -> Tensor:
                clock.now += clock.seconds[torch.is_autocast_enabled("cpu")]
                return super().forward(input)

        return nn.Sequential(nn.Flatten(), Timed(3, 2)), torch.randn(2, 3, 1, 1)


def never() -> devices.Example:
    raise AssertionError("nothing was to be measured")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_precision_that_was_asked_for_stays(precision: str) -> None:
    assert devices.resolve_precision(precision, CPU, never) == precision


def test_a_cpu_without_bf16_instructions_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_cpu_has_bf16", lambda: False)
    assert devices.resolve_precision("auto", CPU, never) == "fp32"


@pytest.mark.parametrize(("fp32", "bf16", "chosen"), [(2.0, 1.0, "bf16"), (1.1, 1.0, "fp32"), (1.0, 10.0, "fp32")])
def test_the_example_decides_and_bf16_must_win_clearly(
    monkeypatch: pytest.MonkeyPatch, fp32: float, bf16: float, chosen: str
) -> None:
    clock = Clock(fp32, bf16)
    monkeypatch.setattr(devices, "_cpu_has_bf16", lambda: True)
    monkeypatch.setattr(devices, "time", clock)
    assert devices.resolve_precision("auto", CPU, clock.network) == chosen


def test_a_small_mobile_network_is_measured_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_cpu_has_bf16", lambda: True)
    assert devices.resolve_precision("auto", CPU) in ("fp32", "bf16")
