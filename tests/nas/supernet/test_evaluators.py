"""What a network is worth by a supernet's weights."""

from __future__ import annotations

from pathlib import Path

import torch

from nas.build import build
from nas.evaluate import Evaluator
from nas.supernet.evaluators import InheritEvaluator, SupernetEvaluator
from nas.training import validate
from tests.nas.supernet.small import RECIPE, training


def test_an_evaluation_depends_on_the_network_alone_and_its_weights_tell_the_same(tmp_path: Path) -> None:
    run = training(tmp_path / "s", 12)
    state = run.run()
    evaluator = SupernetEvaluator(run.supernet, state, RECIPE, run.images)
    one, other = run.sampling.at(100)[0], run.sampling.at(101)[0]
    before = {name: value.clone() for name, value in run.supernet.state_dict().items()}
    first, _ = evaluator.evaluate(one, 0), evaluator.evaluate(other, 0)
    with torch.no_grad():  # spoils the statistics that other evaluations left
        run.supernet.train().select(one, first.pixels)(100 * torch.randn(8, 3, first.pixels, first.pixels))
    again = evaluator.evaluate(one, 0)
    assert first.accuracy == again.accuracy
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert all(torch.equal(value, before[name]) for name, value in run.supernet.state_dict().items())
    plain = build(one.at(first.pixels), 3, 2)
    plain.load_state_dict(first.weights)
    assert validate(plain, run.images, "val", first.pixels, "fp32") == first.accuracy


def test_inheriting_starts_where_the_supernet_is(tmp_path: Path) -> None:
    run = training(tmp_path / "s", 12)
    run.run()
    arch, short = run.sampling.at(5)[0], RECIPE.with_(steps=1, lr=1e-9)
    inherited = InheritEvaluator(run.supernet, short, run.images).evaluate(arch, 0)
    for name, parameter in run.supernet.extract(arch, 16).named_parameters():
        torch.testing.assert_close(inherited.weights[name], parameter.detach(), atol=1e-6, rtol=1e-6)
    scratch = Evaluator(short, run.images).evaluate(arch, 0)
    assert not torch.allclose(scratch.weights["stem.conv.weight"], inherited.weights["stem.conv.weight"], atol=1e-3)
    assert inherited.trained.curve[-1].samples == 16
