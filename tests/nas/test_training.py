"""Training on small tensors: it learns, repeats itself by seed, and fails with a reason."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
import torch

from nas.auxiliary import WithAuxiliaries, loss_of
from nas.batches import Images, augmented
from nas.build import build
from nas.data import ImageData, Split
from nas.evaluate import Evaluator
from nas.optimisation import Average, make_average, make_optimizer, set_rate
from nas.recipe import GOOGLENET, Recipe
from nas.training import Failed, Point, train, validate
from search_spaces import Arch

TINY = Arch.parse("r32 | conv_stem(width=8) | bottleneck c16 s2 | pool_head")
CPU = torch.device("cpu")
RECIPE = Recipe(
    resolution=16, reference=32, steps=30, batch_size=16, evaluations=3, glance=20, precision="fp32", lr=0.1
)


def split(count: int, seed: int) -> Split:
    """Two classes that differ in brightness, 16×16 grey."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    noise = torch.randint(0, 100, (count, 1, 16, 16), generator=generator)
    return Split((noise + 100 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)


@pytest.fixture(scope="module")
def images() -> Images:
    data = ImageData("toy", ("dark", "bright"), split(64, 0), split(40, 1), split(40, 2), "none")
    return Images(data, 3, CPU)


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build(TINY.at(16), 3, 2)


def test_it_learns_what_can_be_learned(images: Images) -> None:
    trained = train(network(), images, 16, RECIPE, seed=0)
    assert trained.accuracy == 1.0
    assert [point.samples for point in trained.curve] == [160, 320, 480]
    assert trained.curve[-1].loss < trained.curve[0].loss


@pytest.mark.parametrize("grad_clip", [0.1, 1e6])
def test_a_step_is_what_it_is_by_hand(images: Images, grad_clip: float) -> None:
    """Smoothed cross-entropy, gradients clipped to their norm, decay, Nesterov's first step; logits far apart."""
    net, judge = network(), network()
    with torch.no_grad():
        for each in (net, judge):
            each.head.classifier.weight.mul_(30)
    recipe = RECIPE.with_(
        steps=1, batch_size=64, evaluations=1, warmup=0.0, schedule="constant", augment=(), grad_clip=grad_clip,
        weight_decay=0.2, label_smoothing=0.3,
    )  # fmt: skip
    train(net, images, 16, recipe, seed=0)

    inputs, labels = images.split("train", 16)
    wanted = 0.7 * torch.eye(2)[labels] + 0.3 / 2
    loss = -(wanted * judge.train()(images.normalised(inputs)).log_softmax(1)).sum(1).mean()
    slopes = torch.autograd.grad(loss, [*judge.parameters()])
    norm = torch.cat([slope.flatten() for slope in slopes]).norm()
    assert 0.1 < norm < 1e6
    for found, before, slope in zip(net.parameters(), judge.parameters(), slopes, strict=True):
        decay = 0.2 * before if before.ndim > 1 else 0.0
        expected = before - 0.1 * 1.9 * (slope * min(1.0, grad_clip / norm) + decay)
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)


def fed(images: Images, recipe: Recipe) -> list[bytes]:
    """The images that the network is shown in its training steps."""
    net, seen = network(), list[torch.Tensor]()
    net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    train(net, images, 16, recipe.with_(evaluations=1), seed=0)
    return apart(torch.cat(seen[: recipe.steps]))


def apart(batch: torch.Tensor) -> list[bytes]:
    return [image.contiguous().numpy().tobytes() for image in batch]


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(images: Images) -> None:
    shown = fed(images, RECIPE.with_(steps=8, batch_size=24, augment=()))
    epochs = [shown[i : i + 64] for i in (0, 64, 128)]
    every = apart(images.normalised(images.split("train", 16)[0]))
    assert all(sorted(epoch) == sorted(every) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [every, *epochs]}) == 4


def test_the_network_is_shown_mirrored_images(images: Images) -> None:
    shown = set(fed(images, RECIPE.with_(steps=1, batch_size=64, augment=("flip",))))
    batch = images.normalised(images.split("train", 16)[0])
    plain, mirrored = set(apart(batch)), set(apart(batch.flip(-1)))
    assert shown <= plain | mirrored
    assert 16 < len(shown & mirrored) < 48


def test_batch_norms_are_left_with_the_average_of_whole_batches(images: Images) -> None:
    net = network()
    train(net, images, 16, RECIPE, seed=0)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    batches = images.normalised(images.split("train", 16)[0])[order].split(16)
    maps = [net.stem.conv(batch) for batch in batches]
    norm = net.stem.norm
    assert torch.allclose(norm.running_mean, torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0), atol=1e-6)
    assert torch.allclose(norm.running_var, torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0), rtol=1e-5)


def test_a_glance_is_a_fair_part_of_the_split_and_always_the_same() -> None:
    """Classes lie one after the other, and the network says the first."""
    labels = torch.arange(100) // 50
    sorted_ = Split(torch.zeros(100, 1, 16, 16, dtype=torch.uint8), labels)
    images = Images(ImageData("sorted", ("a", "b"), sorted_, sorted_, sorted_, "none"), 3, CPU)

    class First(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([1.0, 0.0]).expand(len(x), 2)

    glances = {validate(First(), images, "val", 16, "fp32", 40) for _ in range(3)}
    assert len(glances) == 1
    assert 0.3 < glances.pop() < 0.7


def test_the_same_seed_gives_the_same_weights(images: Images) -> None:
    nets = [network() for _ in range(3)]
    for net, seed in zip(nets, (0, 0, 1), strict=True):
        train(net, images, 16, RECIPE, seed=seed)
    one, same, other = (torch.cat([p.flatten() for p in net.parameters()]) for net in nets)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_rate_that_explodes_is_a_divergence(images: Images) -> None:
    with pytest.raises(Failed, match="diverged") as caught:
        train(network(), images, 16, RECIPE.with_(lr=1e9, grad_clip=1e12), seed=0)
    assert caught.value.reason == "diverged"


def test_a_deadline_ends_training(images: Images) -> None:
    with pytest.raises(Failed) as caught:
        train(network(), images, 16, RECIPE, seed=0, deadline=time.monotonic() - 1)
    assert caught.value.reason == "timed out"


def test_what_has_reached_its_end_is_not_late(images: Images) -> None:
    one_step = RECIPE.with_(steps=1)
    assert train(network(), images, 16, one_step, seed=0, deadline=time.monotonic() - 1).curve[-1].samples > 0


def test_running_out_of_memory_is_a_failed_candidate(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*_: object, **__: object) -> None:
        torch.empty(1 << 60, dtype=torch.uint8)

    monkeypatch.setattr("nas.evaluate.train", hungry)
    with pytest.raises(Failed) as caught:
        Evaluator(RECIPE, images).evaluate(TINY)
    assert caught.value.reason == "out of memory"


def test_other_errors_are_not_taken_for_failed_candidates(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("nas.evaluate.train", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        Evaluator(RECIPE, images).evaluate(TINY)


def test_evaluation_counts_by_fvcore_and_keeps_the_weights(images: Images) -> None:
    points: list[Point] = []
    evaluation = Evaluator(RECIPE, images).evaluate(TINY, seed=3, on_point=points.append)
    assert evaluation.pixels == 16
    assert evaluation.trained.curve == points
    again = build(TINY.at(16), 3, 2)
    again.load_state_dict(evaluation.weights)
    assert validate(again, images, "val", 16, "fp32") == evaluation.accuracy
    assert Evaluator(RECIPE, images).test(TINY, evaluation) == 1.0


def test_the_test_split_is_read_by_test_alone(images: Images) -> None:
    """Its labels are all wrong here: training and validation take no notice."""
    test = images.data.test
    wrong = replace(images.data, test=Split(test.images, 1 - test.labels))
    evaluator = Evaluator(RECIPE, Images(wrong, 3, CPU))
    evaluation = evaluator.evaluate(TINY)
    assert evaluation.accuracy == 1.0
    assert evaluator.test(TINY, evaluation) == 0.0


def test_a_wrong_count_is_not_trained(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.evaluate.flops", lambda *_: 1)
    with pytest.raises(Failed, match="fvcore says 1 FLOPs"):
        Evaluator(RECIPE, images).evaluate(TINY)


def test_images_are_resized_and_normalised(images: Images) -> None:
    inputs, labels = images.split("train", 8)
    assert inputs.shape == (64, 3, 8, 8)
    assert inputs.dtype == torch.uint8
    assert len(labels) == 64
    normal = images.normalised(images.split("train", 16)[0])
    assert abs(float(normal.mean())) < 1e-3
    assert abs(float(normal.std()) - 1) < 1e-2


def test_flip_mirrors_some_images_and_changes_nothing_else() -> None:
    batch = torch.arange(64 * 3 * 4 * 4, dtype=torch.float32).view(64, 3, 4, 4)
    result = augmented(batch, ("flip",), torch.Generator().manual_seed(0))
    mirrored = [torch.equal(r, b.flip(-1)) for r, b in zip(result, batch, strict=True)]
    kept = [torch.equal(r, b) for r, b in zip(result, batch, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 16 < sum(mirrored) < 48


def test_shift_moves_the_whole_image_at_most_an_eighth() -> None:
    batch = torch.zeros(32, 1, 16, 16)
    batch[:, :, 8, 8] = 1
    result = augmented(batch, ("shift",), torch.Generator().manual_seed(0))
    places = result.flatten(1).argmax(1)
    rows, columns = places // 16, places % 16
    assert (result.sum((1, 2, 3)) == 1).all()
    assert rows.min() >= 6
    assert rows.max() <= 10
    assert len(set(rows.tolist())) == 5
    assert len(set(columns.tolist())) == 5


def test_cutout_blanks_a_square() -> None:
    result = augmented(torch.ones(16, 2, 16, 16), ("cutout",), torch.Generator().manual_seed(0))
    blank = (result == 0).flatten(1).sum(1)
    assert (blank > 0).all()
    assert blank.max() <= 2 * 7 * 7


def test_the_rate_climbs_then_falls_to_nothing(images: Images) -> None:
    optimizer = make_optimizer(network(), RECIPE, 64)
    rates = []
    for step in range(100):
        set_rate(optimizer, RECIPE, 64, (step + 0.5) / 100, 0.0)
        rates.append(optimizer.param_groups[0]["lr"])
    peak = rates.index(max(rates))
    assert abs(peak - 100 * RECIPE.warmup) <= 1
    assert rates[-1] < 0.01 * RECIPE.lr
    assert max(rates) == pytest.approx(RECIPE.lr, rel=0.05)


@pytest.mark.parametrize(
    ("schedule", "quarter", "half"),
    [("onecycle", 0.75, 0.5), ("cosine", (1 + math.sqrt(0.5)) / 2, 0.5), ("constant", 1.0, 1.0)],
)
def test_each_schedule_falls_in_its_own_way(schedule: str, quarter: float, half: float) -> None:
    recipe = RECIPE.with_(schedule=schedule, warmup=0.2)
    optimizer = make_optimizer(network(), recipe, 64)
    for progress, part in ((0.1, 0.5), (0.4, quarter), (0.6, half)):
        set_rate(optimizer, recipe, 64, progress, 0.0)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([part * recipe.lr] * 2)


def test_biases_and_norms_do_not_decay() -> None:
    optimizer = make_optimizer(network(), RECIPE, 64)
    decayed, free = optimizer.param_groups
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim == 1 for p in free["params"])
    assert free["weight_decay"] == 0


def test_the_average_follows_the_weights() -> None:
    net = network()
    average = Average(net, lambda step: min(0.9, step / (step + 10)))
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(1.0)
    for step in range(1, 200):
        average.update(net, step)
    average.give(net)
    assert all(torch.allclose(p, torch.ones_like(p), atol=1e-3) for p in net.parameters())


def test_polyaks_average_weighs_the_last_part_alike() -> None:
    net, other = network(), network()
    average = make_average(net, RECIPE.with_(ema=0.0, polyak=0.5), 8)
    assert average is not None
    for step in range(1, 9):
        with torch.no_grad():
            for p in net.parameters():
                p.fill_(float(step))
        average.update(net, step)
    average.give(other)
    assert all(torch.allclose(p, torch.full_like(p, (5 + 6 + 7 + 8) / 4)) for p in other.parameters())


def test_googlenets_rate_falls_by_4_percent_every_8_epochs() -> None:
    optimizer, rates = make_optimizer(network(), GOOGLENET, 32), {}
    for epoch in (0.5, 7.9, 8.1, 15.9, 16.0, 89.0):
        set_rate(optimizer, GOOGLENET, 32, epoch / GOOGLENET.epochs, epoch)
        rates[epoch] = optimizer.param_groups[0]["lr"]
    assert optimizer.param_groups[0]["momentum"] == 0.9
    assert rates[0.5] == rates[7.9] == pytest.approx(0.01)
    assert rates[8.1] == rates[15.9] == pytest.approx(0.01 * 0.96)
    assert rates[16.0] == pytest.approx(0.01 * 0.96**2)
    assert rates[89.0] == pytest.approx(0.01 * 0.96**11)


def test_the_loss_adds_the_auxiliary_classifiers_by_their_weight() -> None:
    """Uniform logits of 10 classes cost log 10 each."""
    logits, labels = torch.zeros(4, 10), torch.tensor([0, 1, 2, 3])
    assert float(loss_of(logits, labels, 0.0)) == pytest.approx(math.log(10))
    both = loss_of((logits, [(0.3, logits), (0.3, logits)]), labels, 0.0)
    assert float(both) == pytest.approx(1.6 * math.log(10))


def test_auxiliary_classifiers_teach_and_leave_no_trace(images: Images) -> None:
    """Their gradient reaches the stages before them; what is left is the deployed network."""
    arch = Arch.parse("r16 | conv_stem(width=8) | fire c16 + aux_head(size=2, hidden=16) | fire c16 s2 | pool_head")
    net = build(arch, images.channels, 10)
    trainee = WithAuxiliaries(net, arch, images.channels, 10)
    _, ((_, logits),) = trainee.train()(torch.randn(4, images.channels, 16, 16))
    logits.sum().backward()
    assert net.stem.conv.weight.grad is not None
    assert net.stage2[0] is not None
    assert all(p.grad is None for p in net.stage2.parameters())
    evaluation = Evaluator(RECIPE, images).evaluate(arch, 0)
    assert evaluation.weights.keys() == net.state_dict().keys()
