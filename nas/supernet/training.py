"""Training a supernet: steps of one or a few of its networks, until steps or seconds are up.

All that is random in a step follows from the seed and the step's number, and a checkpoint holds weights and
momenta: a run that was cut off goes on to the very weights that it would have reached.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas import device as devices
from nas.batches import Images, augmented
from nas.budgeted import mixed
from nas.errors import UserError
from nas.files import write_weights
from nas.optimisation import make_optimizer, set_rate
from nas.recipe import Recipe
from nas.supernet.network import Supernet
from nas.supernet.sampling import Sampling
from nas.training import Failed, recalibrate, validate
from search_spaces.arch import Arch

CHECKPOINT_S = 120.0
SHOWN = 2  # uniform networks that are validated as training goes on, beside the largest and the smallest


@dataclass(frozen=True)
class Length:
    """How long to train: so many steps or seconds, whatever is reached first; at least one is given."""

    steps: int | None = None
    seconds: float | None = None

    def progress(self, state: State) -> float:
        """How much of it is done, from 0 to 1."""
        parts = [state.step / self.steps] if self.steps else []
        return min(1.0, max([*parts, state.seconds / self.seconds] if self.seconds else parts))


@dataclass
class State:
    """How far training is: steps, images that networks saw (a sandwich counts each of its networks), seconds."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Look:
    """What may be seen of a supernet on the way: mean loss since the last look, accuracies of a few networks."""

    state: State
    progress: float
    loss: float
    accuracies: list[tuple[Arch, float]]


class Training:
    """One run over a supernet, by a recipe whose steps and epochs `length` replaces. Weight averages are left out."""

    def __init__(
        self, supernet: Supernet, images: Images, recipe: Recipe, sampling: Sampling, length: Length, path: Path
    ) -> None:
        self.supernet, self.images, self.recipe, self.sampling = supernet, images, recipe, sampling
        self.length, self.path, self.state = length, path, State()
        self.batch = recipe.batch(len(images.data.train))
        self.optimizer = _optimizer(supernet, recipe, self.batch)
        self.losses: list[Tensor] = []
        if path.is_file():
            self._load()

    def run(self, on_look: Callable[[Look], None] = lambda look: None) -> State:
        """Train to the end, or go on to it; raise `Failed` when the loss is no number. Saved whatever ends it."""
        self.supernet.train()
        before, begin = self.state.seconds, time.monotonic()
        saved = begin
        try:
            while (progress := self.length.progress(self.state)) < 1:
                self._step(progress)
                self.state.step += 1
                self.state.seconds = before + time.monotonic() - begin
                if self._due(progress):
                    on_look(self._look())
                if time.monotonic() - saved > CHECKPOINT_S:
                    self.save()
                    saved = time.monotonic()
        finally:
            self.save()
        return self.state

    # --------------------------------------------------------------------------------------- a step

    def _step(self, progress: float) -> None:
        step, recipe, supernet = self.state.step, self.recipe, self.supernet
        seed = mixed(recipe.seed, step)
        torch.manual_seed(seed)  # dropout
        epoch = step * self.batch / len(self.images.data.train)
        set_rate(self.optimizer, recipe, self.batch, progress, epoch)
        supernet.zero_grad()
        teacher: Tensor | None = None
        networks = self.sampling.at(step)
        for arch in networks:
            logits, labels = self._forward(arch, seed)
            if teacher is None:
                loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
                self.losses.append(loss.detach())
            else:
                loss = F.cross_entropy(logits, teacher)
            if self.sampling.distils and teacher is None:
                teacher = logits.detach().softmax(1)
            loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(supernet.open_gradients(), recipe.grad_clip)
        self.optimizer.step()
        self.state.samples += self.batch * len(networks)

    def _forward(self, arch: Arch, seed: int) -> tuple[Tensor, Tensor]:
        """Logits and labels of a step's images: the same for each network of the step, but for their size."""
        pixels = self.recipe.pixels(arch.resolution)
        network = self.supernet.select(arch, pixels)
        images, labels = self.images.split("train", pixels)
        chosen = self._chosen(self.state.step).to(images.device)
        generator = torch.Generator().manual_seed(seed)
        inputs = augmented(self.images.normalised(images[chosen]), self.recipe.augment, generator)
        with devices.autocast(self.images.device, self.recipe.precision):
            logits = network(inputs)
        return logits.float(), labels[chosen]

    def _chosen(self, step: int) -> Tensor:
        """Indices of a step's images: epochs are permutations, and follow each other without a gap."""
        images = len(self.images.data.train)
        first = step * self.batch
        epochs = range(first // images, (first + self.batch - 1) // images + 1)
        orders = [
            torch.randperm(images, generator=torch.Generator().manual_seed(mixed(self.recipe.seed, -1 - epoch)))
            for epoch in epochs
        ]
        start = first - epochs[0] * images
        return torch.cat(orders)[start : start + self.batch]

    # --------------------------------------------------------------------------------------- looks

    def _due(self, progress: float) -> bool:
        """Whether one of the recipe's evaluations lies in the step that was done."""
        points = self.recipe.evaluations
        return int(self.length.progress(self.state) * points) > int(progress * points)

    def _look(self) -> Look:
        loss = float(torch.stack(self.losses).mean())
        self.losses.clear()
        if not math.isfinite(loss):
            raise Failed("diverged", f"loss {loss} within {self.state.samples} samples")
        accuracies = [(arch, self._accuracy(arch)) for arch in self.sampling.shown(SHOWN)]
        return Look(self.state, self.length.progress(self.state), loss, accuracies)

    def _accuracy(self, arch: Arch) -> float:
        pixels, recipe = self.recipe.pixels(arch.resolution), self.recipe
        network = self.supernet.select(arch, pixels)
        recalibrate(network, self.images, pixels, recipe)
        return validate(network, self.images, "val", pixels, recipe.precision, recipe.glance)

    # --------------------------------------------------------------------------------- checkpoints

    def save(self) -> None:
        """Write weights, momenta and state in one step."""
        tensors = {f"supernet.{name}": value for name, value in self.supernet.state_dict().items()}
        for index, known in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in known.items() if value is not None}
        about = {**asdict(self.state), "space": self.supernet.space.fingerprint}
        write_weights({n: t.cpu().contiguous() for n, t in tensors.items()}, self.path, {"state": json.dumps(about)})

    def _load(self) -> None:
        from safetensors import safe_open

        with safe_open(self.path, framework="pt") as file:
            about = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if about.pop("space") != self.supernet.space.fingerprint:
            raise UserError(f"a supernet goes on only in its own space, but {self.path} is of another: remove the file")
        self.state = State(**about)
        self.supernet.load_state_dict(_below("supernet.", tensors))
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in _below("optimizer.", tensors).items():
            index, _, field = name.partition(".")
            states.setdefault(int(index), {})[field] = devices.laid_out(value)  # fused steps go by memory, not by index
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})


def _optimizer(supernet: Supernet, recipe: Recipe, batch: int) -> torch.optim.Optimizer:
    """The recipe's optimizer; fused SGD wants either no tensor or every tensor of a step to have its momentum."""
    optimizer = make_optimizer(supernet, recipe, batch)
    if isinstance(optimizer, torch.optim.SGD) and recipe.momentum:
        for parameter in supernet.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
