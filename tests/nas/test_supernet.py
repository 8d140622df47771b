"""A supernet is every network of its space: in logits, in gradients, in cost; and it trains, resumes and searches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas import device as devices
from nas import search
from nas.batches import Images
from nas.build import build
from nas.data.images import ImageData, Split
from nas.errors import UserError
from nas.evaluate import Evaluator
from nas.profile import flops
from nas.recipe import Recipe
from nas.store import open_study
from nas.supernet.evaluators import InheritEvaluator, SupernetEvaluator
from nas.supernet.network import Supernet
from nas.supernet.reading import read
from nas.supernet.sampling import Sampling
from nas.supernet.training import Length, Look, Training
from nas.training import validate
from search_spaces import Arch, OneOf, Stage, cost
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.skip import Skip
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.space import Space
from search_spaces.spaces import find, names
from tests.nas.commands import eventually
from tests.nas.searching import SPACE as TOY
from tests.search_spaces.small import SMALL, written_out

PIXELS = 64
MACRO_WIDTHS = (64, 64, 128, 128, 128, 256, 256, 256)
MACRO = Space(
    "macro",
    Arch(
        resolution=32,
        stem=ConvStem(width=32, stride=1, act="relu6"),
        stages=tuple(
            Stage(
                OneOf(Skip(), InvertedResidual(expand=3), InvertedResidual(kernel=5, expand=6)),
                width=width,
                stride=2 if i in (0, 2, 5) else 1,
            )
            for i, width in enumerate(MACRO_WIDTHS)
        ),
        head=PoolHead(width=1280, act="relu6"),
    ),
    about="NAS-Bench-Macro's (Su 2021), as a user would write it",
)
GROWING = Space(
    "growing",
    Arch(
        resolution=16,
        stem=ConvStem(width=OneOf(4, 8)),
        stages=(Stage(Dense(layers=OneOf(1, 3), growth=OneOf(2, 5), bottleneck=0), width=16),),
        head=PoolHead(),
        eps=0.1,
    ),
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def stirred(space: Space, pixels: int = PIXELS) -> Supernet:
    """A supernet with weights at random everywhere, so that no two of its tensors are alike."""
    supernet = Supernet(space, 3, 10, pixels)
    with torch.no_grad():
        for parameter in supernet.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5)
        for name, parameter in supernet.named_parameters():
            if name.endswith("Linear.weight"):
                parameter.normal_(std=0.1)
    return supernet


def settle(network: nn.Module, images: Tensor) -> None:
    """Batch norms' statistics from these images, so that logits are neither tiny nor huge."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None
    network.train()
    with torch.no_grad():
        network(images)
    network.eval()


def toy_images(pixels: int = 16, count: int = 60) -> Images:
    """Two classes that brightness tells apart."""
    generator = torch.Generator().manual_seed(1)

    def split(n: int) -> Split:
        labels = torch.arange(n) % 2
        noise = torch.randint(0, 60, (n, 3, pixels, pixels), generator=generator)
        return Split((noise + 120 * labels.view(n, 1, 1, 1)).to(torch.uint8), labels)

    return Images(
        ImageData("toy", ("dark", "bright"), split(count), split(40), split(20), "none"), 3, torch.device("cpu")
    )


RECIPE = Recipe(resolution=16, reference=32, steps=8, batch_size=16, recalibration=32, precision="fp32", lr=0.05)


def toy(strategy: str = "uniform", budget: str = "1.2MFLOPs") -> Sampling:
    return Sampling(Feasible(TOY, Budget.parse(budget), 3, 10), strategy)


def training(path: Path, steps: int, strategy: str = "uniform", recipe: Recipe = RECIPE) -> Training:
    torch.manual_seed(3)
    return Training(Supernet(TOY, 3, 2, 16), toy_images(), recipe, toy(strategy), Length(steps=steps), path)


# ---------------------------------------------------------------------------- it is every network


@pytest.mark.parametrize("name", names())
def test_selected_and_extracted_agree_in_every_space(name: str) -> None:
    space = find(name)
    space = space.at(space.resolutions[0])
    supernet, rng, images = stirred(space), Random(1), torch.randn(4, 3, PIXELS, PIXELS)
    for i in range(2):
        arch = space.sample(rng)
        selected = supernet.select(arch, PIXELS)
        settle(selected, images)
        extracted = supernet.extract(arch, PIXELS).eval()
        plain = build(arch.at(PIXELS), 3, 10)
        plain.load_state_dict(extracted.state_dict())  # the very names and shapes
        devices.place(plain, torch.device("cpu"))  # with the same kernels: others round otherwise
        with torch.no_grad():
            logits, expected = supernet.eval()(images), plain.eval()(images)
        assert expected.std() > 1e-2, "logits that differ are what this test compares"
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
        if i == 0:  # fvcore takes its time
            exact = cost(arch.at(PIXELS), 3, 10)
            assert flops(extracted, 3, PIXELS) == exact.flops
            assert sum(p.numel() for p in selected.parameters()) == exact.params


@pytest.mark.parametrize("name", ["nested", "twins"])
def test_every_network_of_a_small_space(name: str) -> None:
    supernet, images = stirred(SMALL[name], 16), torch.randn(2, 3, 16, 16)
    archs = [arch for arch in written_out(name) if arch.resolution <= 16]
    for arch in archs[:: max(1, len(archs) // 15)]:
        settle(supernet.select(arch), images)
        torch.testing.assert_close(supernet(images), supernet.extract(arch).eval()(images), atol=1e-5, rtol=1e-5)


def test_a_space_of_the_users_own_keeps_alternatives_of_one_block_side_by_side() -> None:
    assert MACRO.size() == 3**8
    supernet, rng, images = stirred(MACRO, 32), Random(0), torch.randn(4, 3, 32, 32)
    for _ in range(3):
        arch = MACRO.sample(rng)
        settle(supernet.select(arch), images)
        torch.testing.assert_close(supernet(images), supernet.extract(arch).eval()(images), atol=1e-5, rtol=1e-5)
    small, large = (
        supernet.shared[f"stage2/0/{kind}/depthwise/conv:Conv"].weight
        for kind in ("inverted_residual", "inverted_residual#2")
    )
    assert tuple(small.shape) == (192, 1, 3, 3)
    assert tuple(large.shape) == (384, 1, 5, 5)


def test_slices_are_leading_channels_and_central_taps() -> None:
    space = find("mobile")
    space = space.at(224)
    supernet = stirred(space)
    arch = Arch.parse(
        "r224 | conv_stem(width=16, act=relu6) | inverted_residual(expand=1) c16 "
        "| inverted_residual(expand=4) c24 n2 s2 "
        "| inverted_residual(kernel=5, expand=3) c32 s2 | inverted_residual(expand=3) c64 s2 "
        "| inverted_residual(expand=3) c96 | inverted_residual(expand=3) c160 s2 | inverted_residual(expand=3) c320 "
        "| pool_head(width=960, act=relu6)"
    )
    state, shared = supernet.extract(arch).state_dict(), dict(supernet.shared.named_parameters())
    whole = shared["stage2/1/depthwise/conv:Conv.weight"]
    assert tuple(whole.shape) == (32 * 6, 1, 7, 7)
    assert torch.equal(state["stage2.1.path.depthwise.conv.weight"], whole[:96, :, 2:5, 2:5])
    whole = shared["stage3/0/expand/conv:Conv.weight"]
    assert torch.equal(state["stage3.0.expand.conv.weight"], whole[:72, :24])
    assert torch.equal(state["stage3.0.depthwise.norm.bias"], shared["stage3/0/depthwise/norm:BatchNorm.bias"][:72])
    assert torch.equal(state["head.classifier.weight"], shared["head/classifier:Linear.weight"][:, :960])


def test_what_a_dense_layer_reads_of_another_stays_what_it_is_at_any_growth() -> None:
    supernet = stirred(GROWING, 16)
    arch = Arch.parse("r16 eps=0.1 | conv_stem(width=4) | dense(layers=3, growth=2, bottleneck=0) c16 | pool_head")
    state = supernet.extract(arch).state_dict()
    whole = supernet.shared["stage1/0/layer3/conv:Conv"].weight
    assert tuple(whole.shape) == (5, 8 + 5 + 5, 3, 3)
    taken = [0, 1, 2, 3, 8, 9, 13, 14]  # four channels of the stem's eight, two of each layer's five
    assert torch.equal(state["stage1.0.layer3.new.conv.weight"], whole[:2, taken])


def test_segments_survive_a_boundary_only_where_every_network_has_as_many() -> None:
    inception, squeeze = (Supernet(find(name).at(128), 3, 10, 32).extents for name in ("inception", "squeeze"))
    assert not inception.joined
    assert len(inception.leaves["stage2/0/branches/+one/conv:Conv"].columns) == 4
    assert "stage1/1" in squeeze.joined, "with a bypass, two branches are one sum"
    assert "stage1/0" not in squeeze.joined


@pytest.mark.parametrize(
    ("name", "most"),
    [("mobile", 1.0), ("dense", 1.0), ("nin", 1.0), ("shuffle", 1.05), ("squeeze", 1.1), ("inception", 1.15)],
)
def test_memory_stays_near_the_largest_network(name: str, most: float) -> None:
    """Where there are no alternatives: with them, each has its own."""
    space = find(name)
    space = space.at(space.resolutions[0])
    largest = space.lattice(3, 10).extreme("params", -1)[1].params
    held = sum(p.numel() for p in Supernet(space, 3, 10, PIXELS).parameters())
    assert largest <= held <= most * largest


# ---------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("space", [GROWING, TOY, MACRO], ids=lambda space: space.name)
def test_a_step_on_the_supernet_is_the_step_of_the_extracted_network(space: Space) -> None:
    supernet, rng, images = stirred(space, 32), Random(2), torch.randn(8, 3, 32, 32)
    labels = torch.arange(8) % 10
    for _ in range(3):
        arch = space.sample(rng)
        alone = devices.place(supernet.extract(arch).train(), torch.device("cpu"))
        together = supernet.train().select(arch)
        supernet.zero_grad()
        for network in (alone, together):
            F.cross_entropy(network(images), labels).backward()
        opened = supernet.open_gradients()
        torch.optim.SGD(alone.parameters(), lr=0.5).step()
        torch.optim.SGD(supernet.parameters(), lr=0.5).step()
        assert len(opened) == len(list(alone.parameters()))
        after = supernet.extract(arch)
        for (name, expected), found in zip(alone.named_parameters(), after.parameters(), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4, msg=name)


def test_what_a_network_does_not_have_keeps_its_weights() -> None:
    supernet, images = stirred(TOY, 32), torch.randn(4, 3, 32, 32)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    arch = Arch.parse("r32 | conv_stem(width=8) | fire c16 | bottleneck(ratio=0.25) c32 s2 | pool_head")
    supernet.zero_grad()
    supernet.select(arch)(images).square().mean().backward()
    supernet.open_gradients()
    torch.optim.SGD(supernet.parameters(), lr=0.1, weight_decay=0.0).step()
    changed = {name for name, value in supernet.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(
        ("/fire/" in name) if "stage1" in name else ("/bottleneck/" in name) for name in changed if "stage" in name
    )
    assert not any("stage1/1" in name for name in changed)
    stem = "shared.stem/conv:Conv.weight"
    assert torch.equal(supernet.state_dict()[stem][8:], before[stem][8:])


def test_gradients_are_means_over_the_networks_of_a_step() -> None:
    supernet, images = stirred(TOY, 32), torch.randn(4, 3, 32, 32)
    arch = TOY.sample(Random(0))
    gradients = []
    for times in (1, 3):
        supernet.zero_grad()
        for _ in range(times):
            supernet.select(arch)(images).square().mean().backward()
        gradients.append([p.grad.clone() for p in supernet.open_gradients()])  # type: ignore[union-attr]
    for once, thrice in zip(*gradients, strict=True):
        torch.testing.assert_close(once, thrice, atol=1e-6, rtol=1e-4)


# ----------------------------------------------------------------------------------------- sampling


def test_uniform_and_sandwich_keep_to_the_budget() -> None:
    for strategy in ("uniform", "sandwich"):
        sampling = toy(strategy, "800kFLOPs")
        assert all(sampling.feasible.fits(arch) for step in range(10) for arch in sampling.at(step))
        assert sampling.at(4) == sampling.at(4)
    first, *_, last = toy("sandwich", "800kFLOPs").at(0)
    feasible = toy(budget="800kFLOPs").feasible
    drawn = [feasible.draw(Random(i))[0] for i in range(50)]
    assert feasible.cost(last).flops == min(feasible.cost(arch).flops for arch in [*drawn, last])
    assert feasible.cost(first).flops > 0.9 * max(feasible.cost(arch).flops for arch in drawn)


def test_fair_sampling_takes_every_alternative_equally_often_in_every_step() -> None:
    sampling = Sampling(Feasible(MACRO, Budget(), 3, 10), "fair")
    for step in range(5):
        networks = sampling.at(step)
        assert len(networks) == 3
        for i in range(8):
            assert len({MACRO.params(arch)[f"stage{i + 1}.block"] for arch in networks}) == 3
    ways = Counter(str(arch) for step in range(20) for arch in sampling.at(step))
    assert len(ways) > 50, "each round has its own permutations"


# ----------------------------------------------------------------------------------------- training


def test_training_learns(tmp_path: Path) -> None:
    looks: list[Look] = []
    training(tmp_path / "s", 24).run(looks.append)
    assert looks[-1].loss < looks[0].loss
    assert max(accuracy for _, accuracy in looks[-1].accuracies) > 0.8


@pytest.mark.parametrize("strategy", ["uniform", "fair", "sandwich"])
def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path, strategy: str) -> None:
    whole = training(tmp_path / "whole", 6, strategy)
    whole.run()

    def interrupt(look: Look) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "part", 6, strategy).run(interrupt)
    resumed = training(tmp_path / "part", 6, strategy)
    assert resumed.state.step == 2
    resumed.run()
    for (name, expected), found in zip(
        whole.supernet.state_dict().items(), resumed.supernet.state_dict().values(), strict=True
    ):
        assert torch.equal(found, expected), name
    assert resumed.state.samples == whole.state.samples


def test_a_killed_training_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "supernet.safetensors"
    code = (
        "import sys; from pathlib import Path; import nas.supernet.training as t; t.CHECKPOINT_S = 0;"
        "from tests.nas.test_supernet import training; training(Path(sys.argv[1]), 10**6).run()"
    )
    killed = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[2])
    try:
        eventually(lambda: path.is_file() or killed.poll() is not None)
        assert killed.poll() is None, "it trains on and on"
    finally:
        killed.kill()
        killed.wait()
    resumed, unbroken = training(path, 10**6), training(tmp_path / "unbroken", 10**6)
    steps = resumed.state.step
    assert steps >= 1
    for run in (resumed, unbroken):
        while run.state.step < steps + 1:
            run._step(run.length.progress(run.state))
            run.state.step += 1
    for found, expected in zip(resumed.supernet.parameters(), unbroken.supernet.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_adamw_resumes_too_and_another_space_is_refused(tmp_path: Path) -> None:
    recipe = RECIPE.with_(optimizer="adamw", lr=0.001)

    def interrupt(look: Look) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "a", 4, recipe=recipe).run(interrupt)
    resumed, whole = training(tmp_path / "a", 4, recipe=recipe), training(tmp_path / "b", 4, recipe=recipe)
    assert 0 < resumed.state.step < 4
    for run in (resumed, whole):
        run.run()
    for found, expected in zip(resumed.supernet.parameters(), whole.supernet.parameters(), strict=True):
        assert torch.equal(found, expected)
    with pytest.raises(UserError, match="another: remove the file"):
        Training(Supernet(MACRO, 3, 2, 32), toy_images(), RECIPE, toy(), Length(steps=1), tmp_path / "a")


# --------------------------------------------------------------------------------------- evaluation


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


# ---------------------------------------------------------------------------------------- the command

COMMAND = ["--budget", "20MFLOPs", "--space", "space.py:small", "--data", "fashion-subset", "--threads", "1"]
COMMAND += ["--steps", "2", "--train-resolution", "8", "--batch-size", "16", "--no-export", "--seed", "3"]


def test_the_command_searches_and_fine_tunes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.nas.test_search_command import SPACE, fails

    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.py").write_text(SPACE)
    line = [*COMMAND, "--evaluator", "supernet", "--supernet-share", "0.05", "--timeout", "40s"]
    assert search.main([*line, "--trials", "3", "--json"]) == 0
    said = capsys.readouterr()
    assert "supernet 100%" in said.err
    assert "fine-tuned (trial" in said.err
    stored = open_study("sqlite:///results/nas.db")
    before = [c for c in stored.candidates() if "from" not in c.attrs]
    after = [c for c in stored.candidates() if "from" in c.attrs]
    assert len(before) == 3
    assert after
    assert {c.attrs["from"] for c in after} <= {c.number for c in before}
    by_number = {c.number: c for c in before}
    assert all(c.arch == by_number[c.attrs["from"]].arch and c.curve[-1]["samples"] == 32 for c in after)
    assert json.loads(said.out)["front"]

    assert "evaluator 'supernet', now 'short'" in fails(lambda: search.main([*COMMAND, "--trials", "4"]), capsys)
    assert search.main([*line[:-1], "20s", "--trials", "4", "--json"]) == 0  # trained already: goes on at once
    assert "of it done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--trials", "3"], "add --timeout 30m"),
        (["--timeout", "9s", "--supernet-share", "1.5"], "between 0 and 1, but got 1.5"),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    from tests.nas.test_search_command import SPACE, fails

    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.py").write_text(SPACE)
    assert said in fails(lambda: search.main([*COMMAND, "--evaluator", "inherit", *more]), capsys)


def test_reading_a_layer_that_does_not_fit_says_so() -> None:
    from search_spaces.errors import ArchError
    from search_spaces.layers import Conv, Shape

    with pytest.raises(ArchError, match="groups must divide"):
        read(Conv(8, groups=3), Shape(8, 4, 4), (8,))
