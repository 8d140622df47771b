"""A worker that trains a given list of networks, as a search trains its candidates, and keeps them in a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import Trial

from nas import data as datasets
from nas import device as devices
from nas.batches import Images
from nas.budgeted import mixed
from nas.errors import UserError
from nas.evaluate import Evaluator
from nas.loop import Loop
from nas.options import ListedOptions
from nas.progress import Limits, Progress
from nas.recipe import Recipe
from nas.report import Lines, note
from nas.session import LARGEST_IMAGE, about, chosen_recipe, require_same
from nas.store import Stored, create_study, default_storage, open_study, writable_folder
from search_spaces.arch import Arch

OWN = ("data", "epochs", "steps", "train_resolution", "batch_size", "lr", "precision", "compile", "seed")
"""Options that say what `--like` takes from a study."""


@dataclass(frozen=True)
class Item:
    """A network to train, with which of the study's seeds (from 0), and what to note of it."""

    arch: Arch
    repeat: int = 0
    notes: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> tuple[str, int]:
        return str(self.arch), self.repeat


class Listed(Loop):
    """Trains what the study lacks of its items, in their order."""

    def __init__(self, stored: Stored, items: list[Item], evaluator: Evaluator) -> None:
        super().__init__(stored, evaluator, Progress(stored))
        self.items = items

    def missing(self) -> list[Item]:
        """The items that are neither trained nor failed for a reason of their own."""
        known = {(str(c.arch), c.repeat) for c in self.stored.candidates() if c.settled}
        return [item for item in self.items if item.key not in known]

    def _propose(self, trial: Trial) -> tuple[Arch, dict[str, Any]]:
        item = self.missing()[0]
        seed = mixed(self.evaluator.recipe.seed, item.repeat)  # the same for each network: differences are theirs
        return item.arch, {**item.notes, "repeat": item.repeat, "seed": seed}

    def _reached(self) -> str:
        return "" if self.missing() else f"all {len(self.items)} are trained"


def train(options: ListedOptions, items: list[Item], kind: str, name: str, reference_px: int) -> Stored:
    """Train what the study `name` lacks of `items`; return it. Raise `UserError` for what does not go together.

    kind: what stands in for a space in the study. reference_px: deployed resolution that the recipe's training
    resolution stands for; others follow in proportion.
    """
    writable_folder(options.results)
    devices.use_threads(options.threads)
    storage = options.storage or default_storage(options.results)
    device = devices.pick(options.device)
    recipe, seed = _recipe(options, storage, items[0].arch.at(reference_px))
    data = datasets.load(recipe.data, seed=seed, size=LARGEST_IMAGE * recipe.resolution)
    name = options.study or f"{name}-{Path(recipe.data).name}"
    chosen = {"space": kind, "space_fingerprint": kind, "sampler": "none", "resolution": None, "budget": ""}
    deployed = {"in_channels": 3, "num_classes": 1000, "seed": seed}
    meta = about({**chosen, **deployed}, recipe, data, device, options.results / name)
    stored = create_study(storage, name, meta, optuna.samplers.RandomSampler(seed=0))
    require_same(stored, meta)
    stored.settle(options.results)
    evaluator = Evaluator(Recipe.from_json(stored.meta["recipe"]), Images(data, 3, device), options.candidate_timeout)
    worker = Listed(stored, items, evaluator)
    total = worker.progress.done() + len(worker.missing())
    note(f"study {name}: {len(worker.missing())} of {len(items)} trainings to do on {recipe.data}")
    with Lines(total, worker.progress.done()) as worker.progress.reporter:
        ended = worker.run(Limits(trials=total))
    note(ended)
    if ended == "interrupted":
        raise KeyboardInterrupt
    return stored


def _recipe(options: ListedOptions, storage: str, arch: Arch) -> tuple[Recipe, int]:
    """The options' recipe and seed, or those of the study that `--like` names."""
    if options.like is None:
        recipe = chosen_recipe(options, arch)
        return recipe, recipe.seed
    if given := [f"--{name.replace('_', '-')}" for name in OWN if getattr(options, name) is not None]:
        raise UserError(
            f"--like takes data, recipe and seed of the study {options.like}, but got {', '.join(given)} beside it: "
            "leave out one or the other"
        )
    like = open_study(storage, options.like)
    if like.meta["in_channels"] != 3:
        raise UserError(f"listed networks train in 3 channels, but {options.like} has {like.meta['in_channels']}")
    return Recipe.from_json(like.meta["recipe"]), like.meta["seed"]
