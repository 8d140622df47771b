"""Known networks as a search's first trials, where they lie in its space and budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nas.errors import UserError
from nas.space import stranger
from nas.store import Stored
from search_spaces import zoo
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible
from search_spaces.space import Space

PREFIX = "zoo:"


def enqueue(stored: Stored, feasible: Feasible, spec: str) -> list[str]:
    """Queue the networks of `zoo:name,name` once a study; return a line on each.

    Raise `UserError` for a spec that names no network. A network may differ from the space in dropout, which
    costs nothing, and in resolution.
    """
    if not spec.startswith(PREFIX):
        raise UserError(f"seeds are networks of the zoo, as in zoo:mobilenet_v2,mnasnet1_0, but got {spec!r}")
    study: Any = stored.study
    there = {t.user_attrs.get("seeded_from") for t in study.get_trials(deepcopy=False)}
    lines = []
    for name in spec.removeprefix(PREFIX).split(","):
        network = zoo.find(name.strip())
        if network.name in there:
            lines.append(f"seed {network.name}: in the study already")
            continue
        arch, why = placed(feasible, network.arch)
        if arch is None:
            lines.append(f"seed {network.name}: left out, {why}")
            continue
        study.enqueue_trial(feasible.space.params(arch), user_attrs={"seeded_from": network.name})
        lines.append(f"seed {network.name}: queued{why}")
    return lines


def placed(feasible: Feasible, arch: Arch) -> tuple[Arch | None, str]:
    """The network as the space has it and what that changed, or None and why it cannot be a seed."""
    space = feasible.space
    for variant, change in _variants(space, arch):
        if variant in space:
            if not feasible.fits(variant):
                return None, f"{feasible.cost(variant).flops / 1e6:.1f}MFLOPs and the budget is {feasible.budget}"
            return variant, change
    return None, str(stranger(space, arch))


def _variants(space: Space, arch: Arch) -> list[tuple[Arch, str]]:
    """The network itself, then at the space's largest resolution, then each without dropout."""
    side = space.resolutions[-1]
    found = [(arch, ""), (arch.at(side), f" at {side} px")]
    if getattr(arch.head, "dropout", 0):
        head: Any = arch.head  # whichever head has the field
        bare = replace(head, dropout=0.0)
        found += [(replace(a, head=bare), f"{change} without its dropout") for a, change in list(found)]
    return found
