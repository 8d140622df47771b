"""`nas.search --evaluator supernet` and `inherit`: train the supernet, search with it, fine-tune the front."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from optuna.trial import Trial

from nas.candidates import FROM, Candidate, pareto
from nas.errors import UserError
from nas.evaluate import Evaluator
from nas.loop import Loop, Search
from nas.progress import Limits, Progress
from nas.supernet.evaluators import InheritEvaluator, SupernetEvaluator
from nas.supernet.network import Supernet
from nas.supernet.sampling import Sampling
from nas.supernet.training import Length, Look, State, Training
from nas.words import clock, short
from search_spaces.arch import Arch

FINETUNING = 0.4  # of the time that the supernet leaves, for the front
FILE = "supernet.safetensors"


def train_supernet(search: Search, seconds: float, say: Callable[[str], None]) -> tuple[Supernet, State]:
    """The supernet of a search's space, trained for so long in all: what an earlier run did is gone on with."""
    evaluator, feasible = search.evaluator, search.feasible
    recipe, images = evaluator.recipe, evaluator.images
    torch.manual_seed(recipe.seed)
    pixels = recipe.pixels(feasible.space.resolutions[-1])
    supernet = Supernet(feasible.space, feasible.in_channels, evaluator.num_classes, pixels, images.device)
    path = search.stored.folder / FILE
    training = Training(supernet, images, recipe, Sampling(feasible, seed=recipe.seed), Length(seconds=seconds), path)
    params = sum(p.numel() for p in supernet.parameters())
    done = f", {clock(training.state.seconds)} of it done" if training.state.step else ""
    say(f"supernet of {feasible.space.name}: {short(params)} parameters; it trains for {clock(seconds)}{done}")
    state = training.run(lambda look: say(described(look, search)))
    return supernet, state


def described(look: Look, search: Search) -> str:
    """A look at a supernet in one line."""
    seen = ", ".join(f"{short(search.feasible.cost(a).flops)}FLOPs {accuracy:.3f}" for a, accuracy in look.accuracies)
    state = look.state
    return f"supernet {look.progress:4.0%}: {state.samples} images, loss {look.loss:.3f}; some of its networks: {seen}"


@dataclass(frozen=True)
class Phases:
    """How a time limit is divided; `kind` is `supernet` or `inherit`."""

    kind: str
    timeout: float
    share: float

    @staticmethod
    def of(kind: str, share: float, limits: Limits, search: Search, workers: int = 1) -> Phases:
        """Raise `UserError` for what a supernet does not go together with."""
        if limits.timeout is None:
            raise UserError("a supernet trains for a share of the time limit, but got none: add --timeout 30m")
        if not 0 < share < 1:
            raise UserError(f"--supernet-share must lie between 0 and 1, but got {share}: 0.5 takes half of the time")
        if workers > 1 or search.evaluator.recipe.rungs > 1:
            raise UserError(
                f"a search with --evaluator {kind} has one worker and no rungs, but got {workers} workers and "
                f"{search.evaluator.recipe.rungs} rungs: leave out --workers and --rungs"
            )
        return Phases(kind, limits.timeout, share)

    def run(self, search: Search, limits: Limits, say: Callable[[str], None]) -> str:
        """Do all of it within the limits; return why it ended."""
        begin, short_training = time.monotonic(), search.evaluator
        supernet, state = train_supernet(search, self.share * self.timeout, say)
        trained_s = time.monotonic() - begin
        search.progress.timings.append({"training": trained_s})
        inherit = InheritEvaluator(
            supernet, short_training.recipe, short_training.images, short_training.candidate_timeout
        )
        left = self.timeout - trained_s
        if self.kind == "inherit":
            search.evaluator = inherit
            return search.run(replace(limits, timeout=left))
        search.evaluator = SupernetEvaluator(supernet, state, short_training.recipe, short_training.images)
        ended = search.run(replace(limits, timeout=(1 - FINETUNING) * left))
        if ended == "interrupted":
            return ended
        tuning = FineTuning(search, inherit)
        said = tuning.run(Limits(timeout=self.timeout - (time.monotonic() - begin)))
        for line in compared(tuning.tuned()):
            say(line)
        return said if said == "interrupted" else f"the search ended as {ended}, the fine-tuning as {said},"


class FineTuning(Search):
    """Trains the front of a supernet's search from the weights it has there, the most accurate network first."""

    def __init__(self, search: Search, evaluator: Evaluator) -> None:
        progress = Progress(search.stored, search.progress.reporter)  # at a pace of its own
        progress.timings = search.progress.timings  # what the run spent is told at its end
        super().__init__(search.stored, search.feasible, search.sampler, evaluator, progress)

    def tuned(self) -> list[tuple[Candidate, Candidate]]:
        """(as the supernet had it, fine-tuned) of each network that was."""
        candidates = self.stored.candidates()
        by_number = {c.number: c for c in candidates}
        return [(by_number[c.refines], c) for c in candidates if c.refines is not None and c.settled]

    def next(self) -> Candidate | None:
        """The most accurate network of the supernet's front that was not fine-tuned."""
        candidates, done = self.stored.candidates(), {before.number for before, _ in self.tuned()}
        front = pareto([c for c in candidates if c.refines is None])
        return next((c for c in reversed(front) if c.number not in done), None)

    def _trial(self) -> None:
        if found := self.next():
            params = self.feasible.space.params(found.arch)
            self.study.enqueue_trial(params, user_attrs={FROM: found.number})
        super()._trial()

    def _claim(self, trial: Trial, arch: Arch, about: dict[str, Any]) -> str:
        return Loop._claim(self, trial, arch, about)  # that it was seen before is the point

    def _reached(self) -> str:
        return "the front is fine-tuned" if self.next() is None else super()._reached()


def compared(tuned: list[tuple[Candidate, Candidate]]) -> list[str]:
    """A line on each fine-tuned network: what it had in the supernet, and what short training made of that."""
    return [
        f"trial {before.number}: {before.accuracy:.4f} in the supernet, {after.accuracy:.4f} fine-tuned "
        f"(trial {after.number}), {short(after.cost.flops)}FLOPs"
        for before, after in tuned
        if after.accuracy is not None
    ]
