"""Candidates: an architecture and what became of it, and what a study's trials say of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from nas.pareto import front
from nas.rungs import corrected
from search_spaces.arch import Arch
from search_spaces.cost import Cost

if TYPE_CHECKING:
    from nas.store import Stored

INTERRUPTED, DIED = "interrupted", "worker died"
UNFINISHED = (INTERRUPTED, DIED)
"""Reasons that say nothing about the architecture: such trials are run again, and do not count."""

FROM = "from"
"""Attribute of a fine-tuned trial: the number of the trial whose network it trains from the supernet's weights."""

EARLIER = "earlier:"
"""Before an earlier study's name, an attribute of a study: networks and accuracies that it was told (`nas.earlier`)."""


@dataclass(frozen=True)
class Candidate:
    """A trial: an architecture and what became of it. Times in seconds; `cost` is as deployed.

    Where candidates train in rungs, several trials may be of one: each goes on where the last one stopped, and
    brings along its curve, its rungs and its seconds.
    """

    number: int
    state: str  # complete, stopped (at the end of a rung), failed, running, waiting
    arch: Arch
    cost: Cost
    accuracy: float | None
    reason: str
    seconds: float | None
    pixels: int | None
    seed: int | None
    curve: list[dict[str, float]] = field(repr=False)
    attrs: dict[str, Any] = field(repr=False)
    study: Stored = field(repr=False)

    @property
    def settled(self) -> bool:
        """Whether it says something of its architecture: complete, or failed for a reason of its own."""
        if self.state == "failed":
            return self.reason not in UNFINISHED
        return self.state in ("complete", "stopped") or bool(self.rungs)

    @property
    def rungs(self) -> list[dict[str, float]]:
        """Images seen, accuracy and seconds of each rung that it finished; none where training is in one go."""
        rungs: list[dict[str, float]] = self.attrs.get("rungs", [])
        return rungs

    @property
    def rung(self) -> int | None:
        """The last rung that it finished, from 0."""
        return len(self.rungs) - 1 if self.rungs else None

    @property
    def refines(self) -> int | None:
        """The trial that read this network's accuracy from a supernet, where this one trained it on from there."""
        return self.attrs.get(FROM)

    @property
    def promotes(self) -> int | None:
        """The trial that stopped at the end of a rung, where this one goes on from there."""
        return self.attrs.get("promotes")

    @property
    def repeat(self) -> int:
        """Which of the study's seeds it was trained with, where a list of networks is trained with several."""
        repeat: int = self.attrs.get("repeat", 0)
        return repeat

    @property
    def worker(self) -> str | None:
        """What the command that started its worker calls that; None of a worker on its own."""
        return self.attrs.get("worker", {}).get("name")  # type: ignore[no-any-return]

    @property
    def latency_ms(self) -> float | None:
        """What the latency table predicted, where the budget limits it."""
        return self.attrs.get("latency_ms")

    @property
    def detail(self) -> str:
        """More on the reason."""
        return str(self.attrs.get("detail", ""))

    @property
    def proposals(self) -> dict[str, int]:
        """What became of the proposals that led to it."""
        proposals: dict[str, int] = self.attrs.get("proposals", {})
        return proposals

    @property
    def proxies(self) -> dict[str, float | None]:
        """Scores of zero-cost proxies by name, where a search had any; None of a network that has none."""
        proxies: dict[str, float | None] = self.attrs.get("proxies", {})
        return proxies

    @property
    def timings(self) -> dict[str, float]:
        """Seconds by what they were spent on: build, training, validation; of a rung's trial its own alone."""
        timings: dict[str, float] = self.attrs.get("timings", {})
        return timings

    @property
    def weights(self) -> Path | None:
        """The state dict that short training left, while the candidate is on the front."""
        path = self.study.folder / weights_name(self.number)
        return path if path.is_file() else None

    @property
    def trained(self) -> dict[str, Any] | None:
        """What final training (`nas.train`) said of the architecture."""
        return self.study.training_of(self.arch)

    @property
    def recipe(self) -> dict[str, Any]:
        """How the candidate was trained."""
        recipe: dict[str, Any] = self.study.meta["recipe"]
        return recipe


def promotion(trial: FrozenTrial) -> dict[str, int]:
    """Which stopped trial a trial goes on from, as it notes it; empty when it began anew."""
    return {"promotes": trial.user_attrs["promotes"]} if "promotes" in trial.user_attrs else {}


def standing(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that took up an architecture, but for those that another one goes on from, or has gone."""
    taken_up = [t for t in trials if "arch" in t.user_attrs]
    passed = {t.user_attrs.get("promotes") for t in taken_up if t.user_attrs.get("reason") not in UNFINISHED}
    return [t for t in taken_up if t.number not in passed]


def learned(trials: Sequence[FrozenTrial]) -> list[tuple[FrozenTrial, float]]:
    """Each candidate that has an accuracy, with it: those on lower rungs corrected by what a rung usually gains."""
    told = [(t, _accuracies(t)) for t in standing(trials) if t.state != TrialState.FAIL]
    told = [(t, history) for t, history in told if history]
    return [(t, accuracy) for (t, _), accuracy in zip(told, corrected([h for _, h in told]), strict=True)]


def _accuracies(trial: FrozenTrial) -> list[float]:
    """By rung; of a candidate that was trained in one go, the one that it has."""
    rungs = trial.user_attrs.get("rungs", [])
    return [rung["accuracy"] for rung in rungs] or (trial.values or [])[:1]


def complete(candidates: list[Candidate]) -> list[Candidate]:
    """Those that were trained to the end."""
    return [c for c in candidates if c.accuracy is not None]


def pareto(candidates: list[Candidate]) -> list[Candidate]:
    """Those that no other beats in accuracy and FLOPs, by ascending FLOPs."""
    done = complete(candidates)
    return [done[i] for i in front([(c.accuracy or 0.0, c.cost.flops) for c in done])]


def keepers(candidates: list[Candidate]) -> list[Candidate]:
    """Those whose weights are kept: on the front, or on that of the fine-tuned, whatever a supernet lent to others."""
    tuned, others = ([c for c in candidates if (c.refines is not None) is kind] for kind in (True, False))
    return pareto(others) + pareto(tuned)


def as_row(candidate: Candidate) -> dict[str, Any]:
    said = {name: getattr(candidate, name) for name in ("number", "state", "rung", "accuracy")}
    timings = {f"{name}_s": value for name, value in candidate.timings.items()}
    return (
        said
        | asdict(candidate.cost)
        | {"resolution": candidate.arch.resolution, "depth": candidate.arch.depth, "pixels": candidate.pixels}
        | {"seconds": candidate.seconds, "reason": candidate.reason, "seed": candidate.seed}
        | timings
        | {"arch": str(candidate.arch)}
    )


def weights_name(number: int, samples: int | None = None) -> str:
    """Where a trial's weights lie, in its study's folder: of the search, or of longer training on so many images."""
    return f"weights/{'trial' if samples is None else f'longer-{samples}'}-{number:05d}.safetensors"
