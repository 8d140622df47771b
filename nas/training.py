"""Training one network: the data set as tensors on the device, augmentation in batches, plain loops.

After cifar10-airbench (Keller Jordan): no data loader, no workers, one copy of the images.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas import device as devices
from nas.auxiliary import loss_of
from nas.data import ImageData, Split, to_channels
from nas.recipe import Recipe

SHIFT = 1 / 8  # of the image's side, as CIFAR's 4 of 32 px
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


class Images:
    """A data set on a device, resized once for each resolution that candidates train at."""

    def __init__(self, data: ImageData, channels: int, device: torch.device) -> None:
        self.data, self.channels, self.device = data, channels, device
        self._kept: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        moments = [torch.tensor(m).view(1, -1, 1, 1) for m in (data.mean, data.std)]
        mean, std = (to_channels(m, channels).to(device) for m in moments)
        self._scale, self._offset = 1 / (255 * std.clamp_min(1e-3)), mean / std.clamp_min(1e-3)

    def split(self, name: str, pixels: int) -> tuple[Tensor, Tensor]:
        """Images uint8 (N, C, px, px) and labels (N,), on the device."""
        if (name, pixels) not in self._kept:
            split: Split = self.data.splits[name]
            images = torch.cat([_resized(part, self.channels, pixels) for part in torch.split(split.images, 4096)])
            self._kept[name, pixels] = (
                images.to(self.device).contiguous(memory_format=devices.MEMORY_FORMAT),
                split.labels.to(self.device),
            )
        return self._kept[name, pixels]

    def normalised(self, images: Tensor) -> Tensor:
        """Zero mean and unit deviation a channel, by the training split's moments."""
        return images.float().mul_(self._scale).sub_(self._offset)


def _resized(images: Tensor, channels: int, pixels: int) -> Tensor:
    images = to_channels(images, channels)
    if images.shape[-1] == pixels:
        return images
    sized = F.interpolate(images.float(), (pixels, pixels), mode="bilinear", antialias=images.shape[-1] > pixels)
    return sized.round_().clamp_(0, 255).to(torch.uint8)


def augmented(images: Tensor, names: tuple[str, ...], generator: torch.Generator) -> Tensor:
    """A batch (N, C, H, W) with each image flipped, shifted or cut out at random, all at once on its device."""
    n, _, side, _ = images.shape

    def draw(high: int, shape: tuple[int, ...]) -> Tensor:  # drawn on the CPU: one sequence on every device
        return torch.randint(high, shape, generator=generator).to(images.device)

    if "flip" in names:
        images = torch.where(draw(2, (n, 1, 1, 1)).bool(), images.flip(-1), images)
    if "shift" in names:
        reach = max(1, round(SHIFT * side))
        padded = F.pad(images, (reach,) * 4, mode="reflect" if reach < side else "replicate")
        steps = torch.arange(side, device=images.device)
        rows, columns = (draw(2 * reach + 1, (n, 1)) + steps for _ in range(2))
        index = torch.arange(n, device=images.device).view(n, 1, 1)
        images = padded.permute(0, 2, 3, 1)[index, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)
    if "cutout" in names:
        steps, half = torch.arange(side, device=images.device), max(1, side // 4)
        rows, columns = ((steps - draw(side, (n, 1))).abs() < half for _ in range(2))
        images = images.masked_fill((rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1), 0)
    return images


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
        self.batch = min(recipe.batch_size, len(self.labels))
        self.begin, self.end = (0, *recipe.rung_steps(len(self.labels)))[rung : rung + 2]  # steps done by then
        self.total = recipe.total_steps(len(self.labels))
        self.generator = torch.Generator().manual_seed(seed + rung)
        self.optimizer = make_optimizer(trainee, recipe, self.batch)
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
            if time.monotonic() > deadline:
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
        nn.utils.clip_grad_norm_(self.trainee.parameters(), recipe.grad_clip)
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


# ---------------------------------------------------------------------------------- optimisation


def make_optimizer(network: nn.Module, recipe: Recipe, batch: int) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW; biases and batch norms do not decay (He 2019).

    Fused: one pass over the weights instead of one a term, on every device torch has.
    """
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
    rate = recipe.lr * batch / 64
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=True)
    return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, batch: int, progress: float, epoch: float) -> None:
    """The learning rate at a progress in (0, 1): linear warm-up, then linear, cosine, stepwise or no decay."""
    if progress < recipe.warmup:
        factor = progress / recipe.warmup
    else:
        rest = (progress - recipe.warmup) / (1 - recipe.warmup)
        factor = {
            "onecycle": 1 - rest,
            "cosine": (1 + math.cos(math.pi * rest)) / 2,
            "stepwise": (1 - recipe.decay) ** (epoch // recipe.decay_epochs),
            "constant": 1.0,
        }[recipe.schedule]
    for group in optimizer.param_groups:
        group["lr"] = recipe.lr * batch / 64 * factor


def make_average(network: nn.Module, recipe: Recipe, steps: int) -> Average | None:
    """The averaged weights that a recipe asks for."""
    if recipe.ema:
        return Average(network, lambda step: min(recipe.ema, step / (step + 10)))
    if recipe.polyak:
        first = steps - max(1, round(steps * recipe.polyak))
        return Average(network, lambda step: (step - first - 1) / (step - first) if step > first else 0.0)
    return None


class Average:
    """A running average of weights and batch-norm statistics.

    decay: how much of the average stays at a step, counted from 1. Exponential averages are debiased in their
    first steps; Polyak's (1992) weighs each step of the run's last part alike.
    """

    def __init__(self, network: nn.Module, decay: Callable[[int], float]) -> None:
        self.decay = decay
        self.network = deepcopy(network)

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        decay = self.decay(step)
        for mine, theirs in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)

    def give(self, network: nn.Module) -> None:
        """Put the averages into the network."""
        network.load_state_dict(self.network.state_dict())
