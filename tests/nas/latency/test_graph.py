"""What is timed is the network."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from nas.build import build
from nas.errors import UserError
from nas.fold import fold
from nas.latency import build as building
from nas.latency.backends import find as backend
from nas.latency.backends import names as backends
from nas.latency.backends.onnxruntime import _by_part
from nas.latency.graph import graph
from nas.latency.measure import Plan
from nas.latency.setting import Setting, Subject
from search_spaces.arch import Arch
from search_spaces.folding import folded
from search_spaces.layers import Shape
from search_spaces.spaces import find, names
from tests.nas.latency.made import CPU


@pytest.mark.parametrize("name", names())
def test_the_graph_computes_what_the_folded_module_computes(name: str) -> None:
    import onnxruntime

    arch = find(name).sample(Random(f"graph {name}")).at(64)
    layer, shape = arch.layer(3, 10), Shape(3, 64, 64)
    network = fold(build(arch, num_classes=10).eval(), layer, shape)
    weights = {key: value.numpy() for key, value in network.state_dict().items()}
    model = graph(folded(layer), shape, batch=2, weights=weights)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    (got,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        wanted = network(images).numpy()
    assert np.abs(got - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max())


def test_a_pool_that_onnx_lacks_is_said() -> None:
    arch = Arch.parse("r32 | conv_stem(width=8) | bottleneck c8 | spp_head(bins=(1, 3))")
    with pytest.raises(UserError, match="a size that divides the map's, but got 3×3 of 8×16×16"):
        graph(arch.layer(3, 10), Shape(3, 32, 32))


@pytest.mark.parametrize("name", ["eager", "onnxruntime"])
def test_each_part_of_a_running_network_is_timed(name: str) -> None:
    arch = Arch.parse("r32 | conv_stem(width=8) | inverted_residual(se=0.25) c8 n2 | fire c16 s2 | pool_head")
    subject = Subject.of(arch, 3, 10)
    ms = building.parts_ms(backend(Setting(name)), subject, Setting(name), Plan(1, 5, 5.0, clock="cpu"))
    assert len(ms) == len(subject.keys) == 5
    assert all(0 < each < 1e3 for each in ms)


def test_a_profile_is_read_back_onto_parts_and_passes() -> None:
    """The runtime's own nodes belong to the part before them; what runs before the first pass to none."""

    def event(name: str, ts: int, dur: int, cat: str = "Node") -> dict[str, Any]:
        return {"name": name, "ts": ts, "dur": dur, "cat": cat}

    events = [event("model_run", 100, 50, "Session"), event("model_run", 200, 50, "Session"), event("0.x", 10, 5)]
    events += [event("0.conv", 101, 10), event("ReorderOutput_1", 112, 3), event("1.conv", 120, 7)]
    events += [event("0.conv", 201, 20), event("12.conv", 225, 1), event("Reorder", 230, 4)]
    assert _by_part(events, 13) == [
        [pytest.approx(0.013), pytest.approx(0.007), *[0.0] * 11],
        [pytest.approx(0.020), *[0.0] * 11, pytest.approx(0.005)],
    ]


def test_what_a_backend_cannot_do_is_said() -> None:
    assert backends() == ["compile", "eager", "onnxruntime"]
    for setting, said in (
        (Setting("tflite"), "a backend is one of"),
        (Setting(precision="fp16"), "onnxruntime runs fp32, but got 'fp16'"),
        (Setting(device="cuda"), "onnxruntime runs on cpu, but got 'cuda'"),
    ):
        with pytest.raises(UserError, match=said):
            backend(setting)
    with pytest.raises(UserError, match="times parts"):
        backend(Setting("compile")).prepare(
            Subject.of(Arch.parse("r32 | conv_stem(width=8) | pool_head")), CPU, trace=True
        )
