"""What an earlier study of the same space says to a later one: with another budget, recipe or data set.

Its best networks are the first trials, trained anew like all others. And its accuracies, the last `MOST` of them, are
kept in the later study, where the sampler `known_cost` makes a model of them whose opinion is an input of its own: how
far old accuracies tell new ones is learned from the trials, so an earlier study that misleads is seen through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.believed import of_study
from nas.candidates import EARLIER, Candidate
from nas.errors import UserError
from nas.pareto import layers
from nas.seeds import variants
from nas.store import Stored, open_study
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible

SEEDS = 8  # networks of an earlier study that are trained first
MOST = 320  # of which accuracies are kept


def tell(stored: Stored, feasible: Feasible, name: str) -> list[str]:
    """Let a study know of an earlier one of its storage, once a study; return lines for people.

    Raise `UserError` where there is no such study, or no network of it lies in the space.
    """
    if name == stored.name:
        raise UserError(f"an earlier study must be another one, but got {name}: --study NAME begins a new one")
    if f"{EARLIER}{name}" in stored.notes:
        return [f"earlier study {name}: told already"]
    earlier = open_study(stored.storage, name)
    done = earlier.complete()
    told = {arch: c for c in done if (arch := _here(feasible, c.arch))}
    if not told:
        raise UserError(
            f"an earlier study needs finished networks of the space {feasible.space.name}, but {name} has "
            f"{len(done)}, of which none lies in it"
        )
    study: Any = stored.study
    queued = any(t.user_attrs.get("seeded_from") == name for t in study.get_trials(deepcopy=False))
    taken = {c.arch for c in stored.candidates()}
    seeds = [arch for arch in _best(earlier, feasible, told) if arch not in taken][:SEEDS]
    for arch in [] if queued else seeds:  # where a command that died had queued them
        study.enqueue_trial(feasible.space.params(arch), user_attrs={"seeded_from": name})
    kept = list(told.items())[-MOST:]
    study.set_user_attr(f"{EARLIER}{name}", [[str(arch), c.accuracy] for arch, c in kept])
    outside = f", {len(done) - len(told)} lie outside the space" if len(done) > len(told) else ""
    return [f"earlier study {name}: {len(kept)} networks known to known_cost{outside}; {len(seeds)} of the best queued"]


def _here(feasible: Feasible, arch: Arch) -> Arch | None:
    """The network as the space has it, whatever it costs."""
    return next((variant for variant, _ in variants(feasible.space, arch) if variant in feasible.space), None)


def _best(earlier: Stored, feasible: Feasible, told: dict[Arch, Candidate]) -> list[Arch]:
    """Those that fit the budget, the best first by what their accuracies say together."""
    worth = of_study(earlier, feasible.space)
    fitting = [arch for arch in told if feasible.fits(arch)]
    return [fitting[i] for i in in_turn([(worth[told[arch].number], feasible.cost(arch).flops) for arch in fitting])]


def in_turn(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of (accuracy, cost): the front, the front of the rest, and so on.

    Each from its dearest on, then by halves: however few are taken, they lie evenly over the cost.
    """
    found: list[int] = []
    for layer in layers(points):
        ordered = sorted(layer, key=lambda i: -points[i][1])
        step = 1 << len(ordered).bit_length()
        while step := step // 2:
            found += [i for i in ordered[::step] if i not in found]
    return found
