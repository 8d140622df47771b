"""Known networks trained as a search's candidates are, and kept in the same form: a study of its own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import Trial

from nas import data as datasets
from nas import device as devices
from nas.errors import UserError
from nas.evaluate import Evaluator
from nas.loop import Limits, Reporter, Search
from nas.recipe import Recipe
from nas.report import Lines, note
from nas.session import LARGEST_IMAGE, about, chosen_recipe, require_same
from nas.store import UNFINISHED, Stored, create_study, default_storage, open_study, writable_folder
from nas.training import Images
from search_spaces.arch import Arch
from search_spaces.zoo.network import Network

REFERENCE_PX = 224  # that the recipe's training resolution stands for; others follow in proportion


class References(Search):
    """A worker that trains a list of known networks, instead of asking a sampler."""

    def __init__(self, stored: Stored, networks: list[Network], evaluator: Evaluator) -> None:
        self.stored, self.study, self.networks = stored, stored.study, networks
        self.evaluator, self.reporter = evaluator, Reporter()
        self.candidates, self.seconds, self.timings = [], [], []

    def missing(self) -> list[Network]:
        """The networks that are neither trained nor failed for a reason of their own."""
        known = {str(c.arch) for c in self.stored.candidates() if c.state == "complete" or self._failed(c)}
        return [network for network in self.networks if str(network.arch) not in known]

    @staticmethod
    def _failed(candidate: Any) -> bool:
        return candidate.state == "failed" and candidate.reason not in UNFINISHED

    def _propose(self, trial: Trial) -> tuple[Arch, dict[str, Any]]:
        network = self.missing()[0]
        return network.arch, {"reference": network.name, "published_top1": network.published.top1}

    def _reached(self, limits: Limits, elapsed: float) -> str:
        return "" if self.missing() else f"all {len(self.networks)} are trained"


def train(args: argparse.Namespace, networks: list[Network]) -> Stored:
    """Train what the study lacks of `networks`; return the study. Raise `UserError` for what does not go together."""
    writable_folder(args.results)
    devices.use_threads(args.threads)
    storage = args.storage or default_storage(args.results)
    device = devices.pick(args.device)
    recipe, seed = _recipe(args, storage)
    data = datasets.load(recipe.data, seed=seed, size=LARGEST_IMAGE * recipe.resolution)
    name = args.study or f"zoo-{Path(recipe.data).name}"
    chosen = {"space": "zoo", "space_fingerprint": "zoo", "sampler": "none", "resolution": None, "budget": ""}
    deployed = {"in_channels": 3, "num_classes": 1000, "seed": seed}
    meta = about({**chosen, **deployed}, recipe, data, device, args.results / name)
    stored = create_study(storage, name, meta, optuna.samplers.RandomSampler(seed=0))
    require_same(stored, meta)
    evaluator = Evaluator(Recipe.from_json(stored.meta["recipe"]), Images(data, 3, device), args.candidate_timeout)
    worker = References(stored, networks, evaluator)
    total = worker.done() + len(worker.missing())
    note(f"study {name}: {len(worker.missing())} of {len(networks)} networks to train on {recipe.data}")
    with Lines(total, worker.done()) as worker.reporter:
        note(worker.run(Limits(trials=total)))
    return stored


def trained(stored: Stored) -> list[dict[str, Any]]:
    """What became of each network, by ascending FLOPs."""
    return [
        {
            "name": c.attrs.get("reference", str(c.arch)),
            "accuracy": c.accuracy,
            "reason": c.reason,
            "flops": c.cost.flops,
            "macs": c.cost.macs,
            "params": c.cost.params,
            "seconds": c.seconds,
            "trial": c.number,
        }
        for c in sorted(stored.candidates(), key=lambda c: c.cost.flops)
    ]


def _recipe(args: argparse.Namespace, storage: str) -> tuple[Recipe, int]:
    """The command line's recipe and seed, or those of the study that `--like` names."""
    if args.like is None:
        return chosen_recipe(args, REFERENCE_PX), args.seed
    like = open_study(storage, args.like)
    if like.meta["in_channels"] != 3:
        raise UserError(f"known networks train in 3 channels, but {args.like} has {like.meta['in_channels']}")
    return Recipe.from_json(like.meta["recipe"]), like.meta["seed"]
