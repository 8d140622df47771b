"""Training one network: a plain loop over batches that are on the device already (`nas.batches`)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from nas import device as devices
from nas.auxiliary import loss_of
from nas.batches import Images, augmented
from nas.optimisation import make_average, make_optimizer, set_rate
from nas.recipe import Recipe

VALIDATION_BATCH = 256


class Failed(Exception):
    """A candidate that could not be trained: a recorded result, not the search's end. `reason` is one word or two."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Point:
    """One point of a learning curve: images seen so far, mean training loss since the last, accuracy, seconds."""

    samples: int
    loss: float
    accuracy: float
    seconds: float


@dataclass
class Trained:
    """What training leaves: its curve (last point on the whole validation split) and where the time went.

    training_s: all of a run but its validation, so with what any training loop must prepare (images at the
    training resolution, the optimizer). validation_s: batch-norm recalibration and validation.
    """

    curve: list[Point] = field(default_factory=list)
    training_s: float = 0.0
    validation_s: float = 0.0

    @property
    def accuracy(self) -> float:
        return self.curve[-1].accuracy


def train(
    network: nn.Module,
    images: Images,
    pixels: int,
    recipe: Recipe,
    seed: int,
    *,
    rung: int = 0,
    so_far: Trained = Trained(),  # noqa: B008 - never changed
    trainee: nn.Module | None = None,
    deadline: float = math.inf,
    on_point: Callable[[Point], None] = lambda point: None,
) -> Trained:
    """Train `network` in place on the training split; raise `Failed` when it diverges or passes the deadline.

    `rung` is the one of the recipe's stretches that is trained, from the weights that the last one left. Each
    has a schedule of its own, for an accuracy says little before the rate has fallen. `so_far` is what they left
    beside the weights: its curve and times go on in what is returned.

    `trainee` is what is trained: the network itself unless it has auxiliary classifiers around it.

    `deadline` is a `time.monotonic()`. The averaged weights, where the recipe asks for them, are what is left
    in the network and what is validated.
    """
    run = _Run(network, trainee or network, images, pixels, recipe, seed, rung)
    run.trained = replace(so_far, curve=list(so_far.curve))
    return run.go(deadline, on_point)


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        network: nn.Module,
        trainee: nn.Module,
        images: Images,
        pixels: int,
        recipe: Recipe,
        seed: int,
        rung: int = 0,
    ) -> None:
        self.clock = time.perf_counter()  # images, optimizer and averages are training's own preparation
        self.network, self.trainee = network, trainee
        self.images, self.pixels, self.recipe = images, pixels, recipe
        self.inputs, self.labels = images.split("train", pixels)
        self.batch = recipe.batch(len(self.labels))
        self.begin, self.end = (0, *recipe.rung_steps(len(self.labels)))[rung : rung + 2]  # steps done by then
        self.total = recipe.total_steps(len(self.labels))
        self.generator = torch.Generator().manual_seed(seed + rung)
        self.optimizer = make_optimizer(trainee, recipe, self.batch)
        self.parameters = [*trainee.parameters()]  # finding them is a walk through all modules: once, not each step
        self.average = make_average(network, recipe, self.end - self.begin)
        self.forward: Callable[[Tensor], Any] = torch.compile(trainee) if recipe.compile else trainee
        self.losses: list[Tensor] = []
        self.trained = Trained()

    def go(self, deadline: float, on_point: Callable[[Point], None]) -> Trained:
        points = self.recipe.evaluations
        looks = {round(self.total * i / points) for i in range(1, points)} | {self.end}
        self.trainee.train()
        for step, chosen in enumerate(self._batches(), self.begin + 1):
            self._step(step, chosen)
            if step in looks:
                devices.synchronise(self.images.device)
                self.trained.training_s += time.perf_counter() - self.clock
                on_point(self._measure(step))
                self.clock = time.perf_counter()
            if step < self.end and time.monotonic() > deadline:
                raise Failed("timed out", f"after {step} of {self.total} steps")
        return self.trained

    def _batches(self) -> Iterator[Tensor]:
        """Indices of each step's images; an epoch's rest joins the next epoch's beginning."""
        order = torch.empty(0, dtype=torch.long)
        for _ in range(self.begin, self.end):
            while len(order) < self.batch:
                order = torch.cat([order, torch.randperm(len(self.labels), generator=self.generator)])
            yield order[: self.batch].to(self.images.device)
            order = order[self.batch :]

    def _step(self, step: int, chosen: Tensor) -> None:
        recipe, progress = self.recipe, (step - self.begin - 0.5) / (self.end - self.begin)
        inputs = augmented(self.images.normalised(self.inputs[chosen]), recipe.augment, self.generator)
        epoch = (step - 0.5) * self.batch / len(self.labels)
        set_rate(self.optimizer, recipe, self.batch, progress, epoch)
        with devices.autocast(self.images.device, recipe.precision):
            outputs = self.forward(inputs)
        loss = loss_of(outputs, self.labels[chosen], recipe.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, recipe.grad_clip)
        self.optimizer.step()
        if self.average:
            self.average.update(self.network, step - self.begin)
        self.losses.append(loss.detach())

    def _measure(self, step: int) -> Point:
        """Add a point to the curve: losses since the last, and a look at the validation split (at last, all of it)."""
        loss = float(torch.stack(self.losses).mean())
        self.losses.clear()
        samples = step * self.batch
        if not math.isfinite(loss):
            raise Failed("diverged", f"loss {loss} within {samples} samples")
        network, glance = self.network, None if step == self.end else self.recipe.glance
        if self.average:
            if step == self.end:
                self.average.give(network)
            network = self.average.network
        start = time.perf_counter()
        recalibrate(network, self.images, self.pixels, self.recipe)
        accuracy = validate(network, self.images, "val", self.pixels, self.recipe.precision, glance)
        self.trained.validation_s += time.perf_counter() - start
        point = Point(samples, loss, accuracy, self.trained.training_s)
        self.trained.curve.append(point)
        return point


@torch.no_grad()
def validate(
    network: nn.Module, images: Images, split: str, pixels: int, precision: str, limit: int | None = None
) -> float:
    """Part of a split (or of `limit` images of it, always the same) that the network classifies rightly."""
    inputs, labels = images.split(split, pixels)
    count = len(labels) if limit is None else min(limit, len(labels))
    chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:count].to(images.device)
    training = network.training
    network.eval()
    right = torch.zeros((), dtype=torch.long, device=images.device)
    for part in torch.split(chosen, VALIDATION_BATCH):
        with devices.autocast(images.device, precision):
            right += (network(images.normalised(inputs[part])).argmax(1) == labels[part]).sum()
    network.train(training)
    return int(right) / len(chosen)


@torch.no_grad()
def recalibrate(network: nn.Module, images: Images, pixels: int, recipe: Recipe) -> None:
    """Set every batch norm's statistics to their plain average over some training images.

    The running averages lag behind the weights by tens of steps, which in a short run is most of it: a
    network whose training loss says 60 % may validate at 20 % (once-for-all, Cai 2020, does the same).
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    inputs, labels = images.split("train", pixels)
    chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[: recipe.recalibration]
    training = network.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative
    network.train()
    for part in torch.split(chosen.to(images.device), min(recipe.batch_size, len(chosen))):
        if len(part) > 1 or len(chosen) == 1:
            with devices.autocast(images.device, recipe.precision):
                network(images.normalised(inputs[part]))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(training)
