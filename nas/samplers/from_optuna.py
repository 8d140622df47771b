"""Any sampler of Optuna's as a proposer: it fills the holes one by one, conditional ones included."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from nas.samplers import Proposer
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible
from search_spaces.holes import Hole, Label, Range


def distribution(hole: Hole) -> BaseDistribution:
    """Optuna's form of a hole: its labels as categories, or whole numbers with their step."""
    if isinstance(hole, Range):
        return IntDistribution(hole.low, hole.high, step=hole.step)
    return CategoricalDistribution(hole.labels)


def from_optuna(make: Callable[[int], BaseSampler]) -> Proposer:
    """A proposer that asks a fresh `make(seed)` for each trial.

    Fresh, because all that Optuna's samplers know is in the study: so a resumed search proposes what an
    unbroken one would have, and no draw is replayed.
    """

    def proposer(study: Study, trial: FrozenTrial, feasible: Feasible, seed: int) -> Callable[[], Arch]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = make(seed)
        space = feasible.space

        def propose() -> Arch:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of conditional parameters sampled independently, as they must be
                wanted = sampler.infer_relative_search_space(study, trial)
                together = sampler.sample_relative(study, trial, wanted)

                def choose(path: str, hole: Hole) -> Label:
                    label: Label
                    if together.get(path) in hole.labels:
                        label = together[path]
                    else:
                        label = sampler.sample_independent(study, trial, path, distribution(hole))
                    return label

                return space.build(choose)

        return propose

    return proposer
