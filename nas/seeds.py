"""Known networks as a search's first trials, where they lie in its space and budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nas.errors import UserError
from nas.space import stranger
from nas.store import Stored, open_study
from search_spaces import zoo
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible
from search_spaces.space import Space


def check(spec: str, storage: str) -> None:
    """Raise `UserError` for a spec that names no network or no study, before a study is made for them."""
    kind, names = _read(spec)
    if kind == "study":
        open_study(storage, names)
        return
    for name in names.split(","):
        zoo.find(name.strip())


def enqueue(stored: Stored, feasible: Feasible, spec: str) -> list[str]:
    """Queue the networks of `zoo:NAME,NAME` or `study:NAME` once a study; return lines for people.

    Raise `UserError` for a spec that names no network.
    """
    kind, names = _read(spec)
    if kind == "zoo":
        return _of_zoo(stored, feasible, names.split(","))
    from nas.earlier import tell

    return tell(stored, feasible, names)


def _read(spec: str) -> tuple[str, str]:
    kind, _, names = spec.partition(":")
    if kind in ("zoo", "study") and names:
        return kind, names
    raise UserError(
        "seeds are networks of the zoo or of an earlier study, as in zoo:mobilenet_v2,mnasnet1_0 or study:NAME, "
        f"but got {spec!r}"
    )


def _of_zoo(stored: Stored, feasible: Feasible, names: list[str]) -> list[str]:
    """A network may differ from the space in dropout, which costs nothing, and in resolution."""
    study: Any = stored.study
    there = {t.user_attrs.get("seeded_from") for t in study.get_trials(deepcopy=False)}
    lines = []
    for name in names:
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
    for variant, change in variants(space, arch):
        if variant in space:
            if not feasible.fits(variant):
                return None, f"{feasible.cost(variant).flops / 1e6:.1f}MFLOPs and the budget is {feasible.budget}"
            return variant, change
    return None, str(stranger(space, arch))


def variants(space: Space, arch: Arch) -> list[tuple[Arch, str]]:
    """The network itself, then at the space's largest resolution, then each without dropout."""
    side = space.resolutions[-1]
    found = [(arch, ""), (arch.at(side), f" at {side} px")]
    if getattr(arch.head, "dropout", 0):
        head: Any = arch.head  # whichever head has the field
        bare = replace(head, dropout=0.0)
        found += [(replace(a, head=bare), f"{change} without its dropout") for a, change in list(found)]
    return found
