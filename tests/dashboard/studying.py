"""Studies without training: what the tests of the dashboard share, and a large one for its speed.

python -m tests.dashboard.studying 5000 FOLDER    # makes FOLDER/nas.db
"""

from __future__ import annotations

import math
import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.samplers.from_optuna import distribution
from nas.store import Stored, create_study
from nas.trade_offs import variants
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.spaces import find

BUDGET = "300MFLOPs"
BEGIN = datetime(2026, 1, 5, 9)
SPACE = find("mobile").at(224)


def feasible() -> Feasible:
    return Feasible(SPACE, Budget.parse(BUDGET))


def accuracy(flops: int, depth: int, rng: Random) -> float:
    """Rises with cost and depth and saturates; the rest is noise."""
    return round(min(0.98, 0.55 + 0.09 * math.log10(flops / 5e7) + 0.006 * depth + rng.gauss(0, 0.012)), 4)


def trial(fits: Feasible, number: int, rng: Random) -> tuple[FrozenTrial, datetime]:
    """A finished trial: one in twenty failed."""
    arch, cost = fits.draw(rng)
    value, begun = accuracy(cost.flops, arch.depth, rng), BEGIN + timedelta(seconds=20 * number)
    failed = number % 20 == 7
    attrs: dict[str, Any] = {"arch": str(arch), "cost": asdict(cost), "seed": number}
    attrs |= {"proposals": {"proposed": 4, "over_budget": 3, "repaired": 2, "redrawn": 1}}
    if failed:
        attrs |= {"reason": rng.choice(["diverged", "out of memory"]), "detail": "loss nan within 640 samples"}
    else:
        attrs |= {"curve": _curve(value), "pixels": 32, "timings": {"training": 15.0, "validation": 2.0}}
    params = SPACE.params(arch)
    made = create_trial(
        state=TrialState.FAIL if failed else TrialState.COMPLETE,
        values=None if failed else [value, float(cost.flops)],
        params=params,
        distributions={path: distribution(SPACE.holes[path]) for path in params},
        user_attrs=attrs,
    )
    return made, begun


def _curve(value: float) -> list[dict[str, float]]:
    shares = ((0.25, 0.6), (0.5, 0.82), (0.75, 0.94), (1.0, 1.0))
    return [
        {"samples": 12000 * at, "loss": 2.3 - 1.6 * part, "accuracy": value * part, "seconds": 15 * at}
        for at, part in shares
    ]


def meta(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "space": "mobile", "resolution": None, "budget": BUDGET, "in_channels": 3, "num_classes": 1000,
        "recipe": {"steps": 200, "resolution": 32, "epochs": 0}, "data": "fashion-subset", "data_classes": 10,
        "folder": str(folder), "sampler": "random", "seed": 0,
    } | changes  # fmt: skip


def make(folder: Path, trials: int, name: str = "toy", seed: int = 0, storage: str = "") -> Stored:
    """A study of `trials` finished trials."""
    stored = create_study(
        storage or f"sqlite:///{folder / 'nas.db'}", name, meta(folder / name), optuna.samplers.RandomSampler(seed)
    )
    grow(stored, range(trials), Random(seed))
    return stored


def grow(stored: Stored, numbers: range, rng: Random) -> None:
    """Add finished trials."""
    fits = feasible()
    for number in numbers:
        made, begun = trial(fits, number, rng)
        made.datetime_start, made.datetime_complete = begun, begun + timedelta(seconds=18)
        stored.study.add_trial(made)


def running(stored: Stored, rng: Random, points: int = 0) -> int:
    """Begin a trial and leave it running, with so many points of its curve."""
    arch, cost = feasible().draw(rng)
    begun = stored.study.ask()
    begun.set_user_attr("arch", str(arch))
    begun.set_user_attr("cost", asdict(cost))
    begun.set_user_attr("worker", {"host": "here", "pid": 1, "started": "1"})
    if points:
        begun.set_user_attr("curve", _curve(0.7)[:points])
    return begun.number


def climb(folder: Path, trials: int = 27, name: str = "climbing") -> Stored:
    """A study in three rungs, of which each stops two of three; the last two trials run, on rungs 1 and 2."""
    recipe = {"steps": 180, "resolution": 32, "rungs": 3, "reduction": 3}
    about, rng, fits = meta(folder / name, recipe=recipe), Random(3), feasible()
    stored = create_study(f"sqlite:///{folder / 'nas.db'}", name, about, optuna.samplers.RandomSampler(0))
    for number in range(trials):
        made, begun = trial(fits, number, rng)
        attrs, value = {k: v for k, v in made.user_attrs.items() if k not in ("curve", "reason")}, rng.uniform(0.6, 0.8)
        for rung in range(1 + (number % 3 == 0) + (number % 9 == 0)):
            rungs = [
                {"samples": 1280 * 3**k, "accuracy": value - 0.05 * (2 - k), "seconds": 2.0 * 3**k}
                for k in range(rung + 1)
            ]
            attrs |= {"rungs": rungs, "curve": [r | {"loss": 1.0} for r in rungs], "pixels": 32}
            done = rung == 2
            ended = create_trial(
                state=TrialState.COMPLETE if done else TrialState.PRUNED,
                values=[rungs[-1]["accuracy"], float(attrs["cost"]["flops"])] if done else None,
                params=made.params, distributions=made.distributions, user_attrs=attrs,
            )  # fmt: skip
            ended.datetime_start, ended.datetime_complete = begun, begun + timedelta(seconds=2 * 3**rung)
            stored.study.add_trial(ended)
            attrs |= {"promotes": stored.last}
    running(stored, rng)
    number = running(stored, rng)
    going = stored.study.trials[number]
    from_first = next(c for c in stored.candidates() if c.state == "stopped" and c.rung == 0)
    storage: Any = stored.study._storage
    for key, noted in {**from_first.attrs, "promotes": from_first.number}.items():
        storage.set_trial_user_attr(going._trial_id, key, noted)
    return stored


def measure(folder: Path, seeds: int = 2) -> Stored:
    """A study of `text()` grown in every direction, as `nas.scale --measure` keeps it."""
    changes = {"space": "scale", "budget": "", "sampler": "listed"}
    stored = create_study(
        f"sqlite:///{folder / 'nas.db'}", "grown", meta(folder / "grown", **changes), optuna.samplers.RandomSampler(0)
    )
    rng = Random(2)
    for item in variants(Arch.parse(text()), (0.5, 1, 2, 4), seeds):
        own = stored.cost_of(item.arch)
        value = round(0.8 - 0.2 * (own.flops / 2e6) ** -0.3 + rng.gauss(0, 0.004), 4)
        attrs = {"arch": str(item.arch), "cost": asdict(own), "repeat": item.repeat, "pixels": 32, **item.notes}
        stored.study.add_trial(
            create_trial(state=TrialState.COMPLETE, values=[value, float(own.flops)], user_attrs=attrs)
        )
    return stored


def text() -> str:
    """A network that is always the same."""
    return str(
        Arch.parse("r32 | conv_stem(width=16) | inverted_residual c16 n2 | inverted_residual c24 s2 | pool_head")
    )


if __name__ == "__main__":
    make(Path(sys.argv[2]), int(sys.argv[1]), "large")
