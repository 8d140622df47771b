"""From a command line to a search that is ready to run: data, device, recipe, study."""

from __future__ import annotations

import platform
import re
import subprocess
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

import torch

from nas import data as datasets
from nas import device as devices
from nas import samplers
from nas.batches import Images
from nas.budgeted import BudgetedSampler
from nas.build import build
from nas.errors import UserError
from nas.evaluate import Evaluator
from nas.files import read_json
from nas.halving import Halving
from nas.latency.table import Table
from nas.loop import Search
from nas.options import SearchOptions, TrainingOptions
from nas.prefilter import Prefilter, Rule
from nas.progress import Limits
from nas.recipe import RECIPES, Recipe
from nas.store import Stored, create_study, default_storage, writable_folder
from nas.words import clock
from search_spaces.arch import Arch
from search_spaces.errors import ArchError
from search_spaces.feasible import Feasible
from search_spaces.part import one_of

LARGEST_IMAGE = 2  # times the training resolution: what folders of images are kept at
SAME = (
    *("space_fingerprint", "budget", "in_channels", "num_classes"),
    *("data_fingerprint", "seed", "sampler", "prefilter", "evaluator"),
)
"""What a study may not change in mid-way, beside the recipe."""
UNSAID = {"prefilter": "", "evaluator": "short"}
"""What older studies, and those of listed networks, do not say of themselves."""


@dataclass
class Session:
    """A study and the worker that searches in it."""

    stored: Stored
    search: Search
    feasible: Feasible

    def describe(self, limits: Limits) -> str:
        """What is about to happen, in three lines."""
        meta, recipe = self.stored.meta, self.search.evaluator.recipe
        share = part(*self.feasible.share())
        images = self.search.evaluator.images
        samples = recipe.samples(len(images.data.train))
        until = " or ".join(
            said
            for said in (
                f"{limits.trials} trials" if limits.trials else "",
                clock(limits.timeout) if limits.timeout else "",
            )
            if said
        )
        resolutions = self.feasible.space.resolutions
        trained = "the front trains" if meta.get("evaluator") == "supernet" else "candidates train"
        proposed = meta["sampler"] + (f" prefiltered by {rule}" if (rule := meta.get("prefilter")) else "")
        pixels = str(resolutions[0]) if len(resolutions) == 1 else f"{resolutions[0]} to {resolutions[-1]}"
        return (
            f"study {self.stored.name}: {meta['space']} within {meta['budget']} ({share} of the space fits), "
            f"counted at {pixels} px and {meta['num_classes']} classes\n"
            f"{trained} on {samples} images of {meta['data']} at {recipe.pixels(resolutions[-1])} px, "
            f"{len(meta['classes'])} classes, {recipe.precision} on {devices.describe(images.device)}\n"
            f"{self._rungs()}"
            f"{self.search.progress.done()} trials are done; until {until}, by {proposed}, seed {meta['seed']}"
        )

    def _rungs(self) -> str:
        recipe = self.search.evaluator.recipe
        if recipe.rungs == 1:
            return ""
        images = len(self.search.evaluator.images.data.train)
        ends = ", ".join(str(steps * recipe.batch(images)) for steps in recipe.rung_steps(images)[:-1])
        return f"they stop after {ends} images, and the best 1 in {recipe.reduction} of each go on\n"


def part(least: float, most: float) -> str:
    """A part of a space that lies between two bounds, in words."""
    if most < 0.0001:
        return "less than 0.01%"
    if most - least < 0.01 <= least:
        return f"about {most:.0%}"
    low, high = f"{least:.2%}", f"{most:.2%}"
    return f"about {high}" if low == high else f"{low} to {high}"


def open_session(options: SearchOptions) -> Session:
    """Load the data, pick the device, make or open the study; raise `UserError` for what does not go together."""
    feasible = options.feasible
    writable_folder(options.results)
    proposer = samplers.find(options.sampler)
    rule = Rule.parse(options.prefilter) if options.prefilter else None
    device = devices.pick(options.device)
    devices.use_threads(options.threads)
    like, _ = feasible.draw(Random(0))
    recipe = chosen_recipe(options, like.at(feasible.space.resolutions[-1])).with_(
        rungs=options.rungs, reduction=options.reduction
    )
    data = datasets.load(recipe.data, seed=recipe.seed, size=LARGEST_IMAGE * recipe.resolution)
    recipe.rung_steps(len(data.train))
    images = Images(data, feasible.in_channels, device)
    prefilter = Prefilter(rule, feasible, images, recipe, recipe.seed) if rule else None
    sampler = BudgetedSampler(proposer, feasible, recipe.seed, prefilter)
    name = options.study or study_name(options.resolution, recipe.data, feasible)
    space: dict[str, Any] = {"space": options.space, "space_fingerprint": feasible.space.fingerprint}
    space |= {"resolution": options.resolution, "budget": str(feasible.budget)}
    space |= {"sampler": options.sampler, "prefilter": str(rule or ""), "evaluator": options.evaluator}
    deployed = {"in_channels": feasible.in_channels, "num_classes": feasible.num_classes}
    meta = about(
        {**space, **deployed, "seed": recipe.seed, **priced(feasible)}, recipe, data, device, options.results / name
    )
    stored = create_study(options.storage or default_storage(options.results), name, meta, sampler)
    require_same(stored, meta)
    stored.settle(options.results)
    kept = Recipe.from_json(stored.meta["recipe"])
    evaluator = Evaluator(kept, images, options.candidate_timeout)
    worker = Search if kept.rungs == 1 else Halving
    return Session(stored, worker(stored, feasible, sampler, evaluator), feasible)


def images_of(stored: Stored, device: str, threads: int | None) -> Images:
    """A study's own images, for training its networks again; raise `UserError` when they changed since it began."""
    devices.use_threads(threads)
    meta, recipe = stored.meta, Recipe.from_json(stored.meta["recipe"])
    data = datasets.load(recipe.data, seed=meta["seed"], size=LARGEST_IMAGE * recipe.resolution)
    if data.fingerprint != meta["data_fingerprint"]:
        raise UserError(f"training needs the study's own data, but {recipe.data} changed since {stored.name} began")
    return Images(data, meta["in_channels"], devices.pick(device))


def chosen_recipe(options: TrainingOptions, like: Arch, **usual: Any) -> Recipe:
    """The recipe of `--recipe` with the changes of the other options.

    like: one of the networks that will be trained, at the largest resolution. `auto` takes what is faster for it.
    usual: fields of a named recipe where the options are silent; a file's own are kept.
    """
    if options.recipe in RECIPES:
        recipe = RECIPES[options.recipe].with_(reference=like.resolution, **usual)
    elif Path(options.recipe).is_file():
        recipe = _recipe_file(Path(options.recipe))
    else:
        raise UserError(
            f"a recipe is {one_of(options.recipe, sorted(RECIPES))} or a JSON file, but got {options.recipe!r}"
        )
    recipe = recipe.with_(
        data=options.data,
        seed=options.seed,
        epochs=options.epochs,
        steps=options.steps or (None if options.epochs is None else 0),
        resolution=options.train_resolution,
        batch_size=options.batch_size,
        lr=options.lr,
        compile=options.compile,
    )

    chosen = options.precision or recipe.precision
    device, measured = devices.pick(options.device), partial(example, like, recipe)
    return recipe.with_(precision=devices.resolve_precision(chosen, device, measured))


def example(arch: Arch, recipe: Recipe) -> devices.Example:
    """A network and a batch as the recipe trains it, to see in which precision that is faster."""
    pixels = recipe.pixels(arch.resolution)
    try:
        network = build(arch.at(pixels), 3, 10)
    except ArchError:  # too few pixels, as its training will say
        return devices.mobile()
    return network, torch.randn(min(recipe.batch_size, 64), 3, pixels, pixels)


def _recipe_file(path: Path) -> Recipe:
    try:
        values = read_json(path)
        if not isinstance(values, dict):
            raise UserError(f"a recipe file holds one JSON object, but {path} holds a {type(values).__name__}")
        return Recipe.from_json(values)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"a recipe file must hold a recipe as JSON, but {path} says: {error}") from None


def priced(feasible: Feasible) -> dict[str, str]:
    """By which table latencies are limited: its fingerprint, where they are."""
    table = getattr(feasible.latency, "table", None)
    return {"latency_table": table.fingerprint} if isinstance(table, Table) else {}


def study_name(resolution: str | None, data: str, feasible: Feasible) -> str:
    """A name made of what the study is about: mobile-300MFLOPs-fashion-subset."""
    data = Path(data).name or "data"
    budget = "-".join(str(feasible.budget).split(", "))
    said = [feasible.space.name, budget, data]
    if resolution:
        said.insert(2, f"r{resolution}")
    return re.sub(r"[^\w.-]+", "-", "-".join(said))


def about(
    chosen: dict[str, Any], recipe: Recipe, data: datasets.ImageData, device: torch.device, folder: Path
) -> dict[str, Any]:
    """What a study keeps of itself; `chosen` is where its networks come from and how they are deployed."""
    return {
        **chosen,
        "recipe": recipe.to_json(),
        "data": recipe.data,
        "data_fingerprint": data.fingerprint,
        "data_classes": len(data.classes),
        "classes": list(data.classes),
        "licence": data.licence,
        "mean": _as_channels(data.mean, chosen["in_channels"]),
        "std": _as_channels(data.std, chosen["in_channels"]),
        "folder": str(folder.resolve()),
        "device": devices.describe(device),
        "versions": versions(),
    }


def _as_channels(moments: tuple[float, ...], channels: int) -> list[float]:
    """Means or deviations as the network reads them: grey data's repeat in colour."""
    as_image = torch.tensor(moments).view(1, -1, 1, 1)
    return [round(value, 6) for value in datasets.to_channels(as_image, channels).flatten().tolist()]


def versions() -> dict[str, str]:
    """Releases of what decides results, and the state of this checkout where it is one."""
    said = {name: version(name) for name in ("torch", "optuna", "fvcore", "nas-explorer")}
    said["python"] = platform.python_version()
    checkout = Path(__file__).parent.parent
    if not (checkout / ".git").exists():  # an installed package, perhaps within somebody else's checkout
        return said
    git = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, timeout=5, check=False)
    except OSError:
        return said
    return said | {"git": found.stdout.strip()} if found.returncode == 0 else said


def require_same(stored: Stored, meta: dict[str, Any]) -> None:
    """Refuse to go on with a study of another space, budget, data set or recipe: its trials would not compare."""
    was, wanted = Recipe.from_json(stored.meta["recipe"]).to_json(), dict(meta["recipe"])  # older ones lack fields
    for own in ("precision", "data"):  # the study's precision goes on; images may have moved, and are the same below
        was.pop(own), wanted.pop(own)
    by_table = () if "latency_table" in meta.keys() - stored.meta.keys() else ("latency_table",)  # older ones say none
    for name in SAME + by_table:
        was[name], wanted[name] = (said.get(name, UNSAID.get(name)) for said in (stored.meta, meta))
    changed = [f"{name} {was[name]!r}, now {wanted.get(name)!r}" for name in was if was[name] != wanted.get(name)]
    if changed:
        raise UserError(
            f"a study goes on only as it began, but {stored.name} was made with {'; '.join(changed)}: "
            "repeat the command it was made with, or begin another by --study NAME"
        )
