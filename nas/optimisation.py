"""What a recipe asks of optimisation: the optimizer, its learning rate at each step, and averages of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import nn

from nas.recipe import Recipe


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
