"""How a candidate is trained: frozen, text, and kept in the study that it made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from nas.errors import UserError

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("onecycle", "cosine", "stepwise", "constant")
AUGMENTATIONS = ("flip", "shift", "cutout")
MOST = 10**12  # of anything counted
LIMITS = {
    "resolution": 16_384,
    "reference": 16_384,
    "batch_size": 10**9,
    "evaluations": 10**5,
    "glance": 10**9,
    "recalibration": 10**9,
    "rungs": 64,
}
"""Largest values of what is at least 1: a recipe of a stranger's must not keep a search from ever beginning."""


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MOST


KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (_whole, "a whole number"),
    "float": (_number, "a number"),
    "str": (lambda value: isinstance(value, str), "text"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "tuple[str, ...]": (lambda value: all(isinstance(each, str) for each in value), "texts"),
    "tuple[int, ...]": (lambda value: all(map(_whole, value)), "whole numbers"),
}
"""What a field of a recipe may hold, by its type: recipes are read from files and from studies of strangers."""


@dataclass(frozen=True)
class Recipe:
    """Data, sizes and the optimisation of one training run.

    resolution: px that a network deployed at `reference` px trains at; others in proportion, so that a
        search over resolutions still sees their differences.
    epochs: passes over the training split, may be a fraction; `steps`, when not 0, counts instead.
    lr: peak learning rate for a batch of 64, scaled with the batch size (Goyal 2017).
    warmup: part of the steps in which the rate climbs. decay: by how much of itself a `stepwise` rate falls
        every `decay_epochs` epochs.
    ema: decay of exponentially averaged weights, 0 for none. polyak: part of the steps, the last, whose weights
        are averaged alike instead (Polyak 1992), 0 for none.
    evaluations: points of the learning curve; all but the last see `glance` validation images.
    recalibration: training images that batch norms are set by before each look at the validation split.
    precision: `auto` is replaced by what the device runs faster when the study begins.
    rungs: stretches that a search trains in, to stop candidates between them (`nas.rungs`): each sees `reduction`
        times the images of all before it, and has a schedule of its own. 1: in one go.
    rung_resolutions: as `resolution`, one for each rung but the last, which trains at `resolution`; none: all do.
    """

    data: str = "fashion-subset"
    resolution: int = 32
    reference: int = 224
    epochs: float = 1.0
    steps: int = 0
    batch_size: int = 64
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-5
    schedule: str = "onecycle"
    warmup: float = 0.2
    decay: float = 0.04
    decay_epochs: float = 8.0
    augment: tuple[str, ...] = ("flip",)
    label_smoothing: float = 0.1
    ema: float = 0.0
    polyak: float = 0.0
    grad_clip: float = 5.0
    evaluations: int = 3
    glance: int = 500
    recalibration: int = 512
    precision: str = "auto"
    compile: bool = False
    seed: int = 0
    rungs: int = 1
    reduction: int = 3
    rung_resolutions: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("augment", "rung_resolutions"):
            _check(isinstance(getattr(self, name), (tuple, list)), name, "a list", getattr(self, name))
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for each in fields(self):
            rule, words = KINDS[str(each.type)]
            _check(rule(getattr(self, each.name)), each.name, words, repr(getattr(self, each.name))[:80])
        _check(self.optimizer in OPTIMIZERS, "optimizer", f"one of {', '.join(OPTIMIZERS)}", self.optimizer)
        _check(self.schedule in SCHEDULES, "schedule", f"one of {', '.join(SCHEDULES)}", self.schedule)
        for name in self.augment:
            _check(name in AUGMENTATIONS, "augment", f"out of {', '.join(AUGMENTATIONS)}", name)
        for name, most in LIMITS.items():
            value = getattr(self, name)
            _check(value >= 1, name, "at least 1", value)
            _check(value <= most, name, f"at most {most}", value)
        _check(self.batch_size >= 2, "batch_size", "at least 2, as batch norms need", self.batch_size)
        _check(0 <= self.steps <= MOST, "steps", "at least 0", self.steps)
        _check(self.epochs > 0 or self.steps > 0, "epochs", "more than 0", self.epochs)
        _check(self.lr > 0, "lr", "more than 0", self.lr)
        for name in ("momentum", "label_smoothing", "ema", "warmup"):
            _check(0 <= getattr(self, name) < 1, name, "in [0, 1)", getattr(self, name))
        _check(
            0 <= self.polyak <= 1 and not (self.polyak and self.ema), "polyak", "in [0, 1] and without ema", self.polyak
        )
        _check(
            0 <= self.decay < 1 and self.decay_epochs > 0, "decay", "in [0, 1), after more than 0 epochs", self.decay
        )
        _check(self.precision in ("auto", "fp32", "bf16"), "precision", "auto, fp32 or bf16", self.precision)
        _check(self.reduction >= 2, "reduction", "at least 2", self.reduction)
        _check(
            not self.rung_resolutions
            or (len(self.rung_resolutions) == self.rungs - 1 and min(self.rung_resolutions) >= 1),
            "rung_resolutions", f"{self.rungs - 1} sizes in px, one for each rung but the last", self.rung_resolutions,
        )  # fmt: skip

    @property
    def last_rung(self) -> int:
        """The rung, counted from 0, at whose end a candidate is trained in full."""
        return self.rungs - 1

    def pixels(self, resolution: int, rung: int | None = None) -> int:
        """Training resolution in px, on a rung (the last by default), of a network deployed at `resolution` px."""
        rung = self.last_rung if rung is None else rung
        own = (*self.rung_resolutions, self.resolution)[rung] if self.rung_resolutions else self.resolution
        return max(1, round(own * resolution / self.reference))

    def rung_steps(self, images: int) -> tuple[int, ...]:
        """Optimizer steps that are done at the end of each rung; raise `UserError` when there are too few for that."""
        total = self.total_steps(images)
        ends = [round(total / self.reduction**behind) for behind in reversed(range(self.rungs))]
        if ends[0] < 1 or len(set(ends)) < len(ends):
            raise UserError(
                f"each rung must train for a step at least, but {self.rungs} rungs with a reduction of "
                f"{self.reduction} share {total} steps: take fewer rungs, or more steps"
            )
        return tuple(ends)

    def total_steps(self, images: int) -> int:
        """Optimizer steps on a training split of that many images."""
        return self.steps or max(1, round(self.epochs * images / self.batch(images)))

    def batch(self, images: int) -> int:
        """Images of a step on a training split of that many."""
        return min(self.batch_size, images)

    def samples(self, images: int) -> int:
        """Images that a training on a split of that many sees, repeats counted."""
        return self.total_steps(images) * self.batch(images)

    def with_(self, **changes: Any) -> Recipe:
        """This recipe with some fields changed; None leaves a field as it is."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the study and the spec."""
        return asdict(self) | {"augment": list(self.augment), "rung_resolutions": list(self.rung_resolutions)}

    @staticmethod
    def from_json(values: dict[str, Any]) -> Recipe:
        """The inverse of `to_json`; raise `UserError` on fields that no recipe has."""
        known = {f.name for f in fields(Recipe)}
        unknown = sorted(values.keys() - known)
        if unknown:
            raise UserError(f"a recipe has the fields {', '.join(sorted(known))}, but got {', '.join(unknown)}")
        return Recipe(**values)

    def __str__(self) -> str:
        return json.dumps(self.to_json())


def _check(holds: bool, name: str, rule: str, value: object) -> None:
    if not holds:
        raise UserError(f"a recipe's {name} must be {rule}, but got {value}")


QUICK = Recipe(steps=208)
"""The search's default: 13,312 images for every candidate, some 6 to 17 s on two CPU cores."""

FINAL = Recipe(epochs=10, batch_size=64, ema=0.99, evaluations=10, glance=1000)
"""The final training's default (`nas.train`).

Without shifts: over ten epochs of the embedded images they cost 5.7 % of accuracy (95 % 2.3 to 9.1; 4 networks, one
seed; `benchmarks/recipes.py`).
"""

GOOGLENET = Recipe(
    epochs=90,
    batch_size=32,
    lr=0.02,
    warmup=0.0,
    weight_decay=2e-4,
    schedule="stepwise",
    label_smoothing=0.0,
    polyak=0.5,
    evaluations=10,
    glance=1000,
)
"""GoogLeNet's: SGD of momentum 0.9, the rate 4 % less every 8 epochs, Polyak averaging (Szegedy 2014, section 6).

The paper gives no rate, decay or number of epochs: 0.01 at a batch of 32 and 2e-4 are the Caffe model's.
"""

RECIPES = {"googlenet": GOOGLENET, "quick": QUICK, "standard": QUICK.with_(steps=600, evaluations=5), "final": FINAL}
