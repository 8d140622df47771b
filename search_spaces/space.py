"""A search space: an architecture with holes, a name, and rules for what is valid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from random import Random
from typing import Any

from search_spaces.arch import Arch
from search_spaces.cost import head_cost, stage_cost, stem_cost
from search_spaces.errors import ArchError, SpaceError
from search_spaces.holes import Chooser, Hole, Label, OneOf, count, fill, fillings, holes, match
from search_spaces.latency import Latency
from search_spaces.lattice import CountTable, Lattice, Rule, assemble, kept, path_of
from search_spaces.layers import Shape
from search_spaces.rules import identity

TRIES = 64


@dataclass(frozen=True, eq=False)
class Space:
    """The networks that fill the holes of `template` and keep the `rules`.

    A rule takes a stage and the shape that reaches it, and says whether the stage may stand there:
    `lambda stage, shape: stage.width >= shape.channels` forbids narrowing. Rules see one stage at a
    time, so that a space can be counted and sampled exactly. `about` is one sentence. What is valid is so for
    images of `in_channels` and for `num_classes`.
    """

    name: str
    template: Arch
    rules: tuple[Rule, ...] = ()
    about: str = ""
    in_channels: int = 3
    num_classes: int = 1000

    # --------------------------------------------------------------------------------- reading it

    @cached_property
    def holes(self) -> dict[str, Hole]:
        """Every hole by its path, alternatives' own holes included: `stage2.block.fire.squeeze`."""
        return dict(holes(self.template))

    @cached_property
    def fingerprint(self) -> str:
        """Hash that two spaces share when they have the same holes, and rules that `identity` cannot tell apart.

        With rules it holds for one version of Python, whose bytecode is in it.
        """
        said = repr((self.template, [identity(rule) for rule in self.rules]))
        return sha256(said.encode()).hexdigest()[:16]

    @lru_cache(maxsize=8)  # noqa: B019 - spaces are few and live as long as the program
    def lattice(self, in_channels: int = 3, num_classes: int = 1000, latency: Latency | None = None) -> Lattice:
        """Every filling of every stage with its cost, and its latency where asked; sizes and draws follow from it."""
        if latency is not None:
            return self.lattice(in_channels, num_classes).timed(latency, num_classes)
        return Lattice.of(self.template, self.rules, in_channels, num_classes)

    def size(self) -> int:
        """Number of distinct valid networks, exactly."""
        return self.lattice(self.in_channels, self.num_classes).size()

    @cached_property
    def resolutions(self) -> tuple[int, ...]:
        """The resolutions on offer, ascending."""
        return tuple(sorted(fillings(self.template.resolution)))

    def at(self, low: int, high: int | None = None) -> Space:
        """This space at one resolution, or at those it offers from `low` to `high`."""
        if high is None:
            return replace(self, template=self.template.at(low))
        kept = tuple(r for r in self.resolutions if low <= r <= high)
        if not kept:
            offered = ", ".join(map(str, self.resolutions))
            raise SpaceError(
                f"a range must hold a resolution that {self.name} offers ({offered}), but got {low}-{high}"
            )
        return self.at(kept[0]) if len(kept) == 1 else replace(self, template=self.template.at(OneOf(*kept)))

    @lru_cache(maxsize=8)  # noqa: B019 - as lattice
    def deployed(self, in_channels: int, num_classes: int) -> Space:
        """This space for images of other channels and other classes."""
        if (in_channels, num_classes) == (self.in_channels, self.num_classes):
            return self
        return replace(self, in_channels=in_channels, num_classes=num_classes)

    # ---------------------------------------------------------------------------------- drawing

    @cached_property
    def _uniform(self) -> CountTable:
        lattice = self.lattice(self.in_channels, self.num_classes)
        return CountTable(lattice, "flops", lattice.extreme("flops", -1)[1].flops, bins=1)

    def sample(self, rng: Random) -> Arch:
        """A uniform draw among all valid networks."""
        return assemble(self._uniform.draw(rng)[0], self.template.eps)

    # --------------------------------------------------------- to and from parameters (and Optuna)

    def build(self, choose: Chooser) -> Arch:
        """Fill the holes by `choose(path, hole) -> label`; the way in for samplers such as Optuna's."""
        return fill(self.template, choose)

    def arch(self, params: dict[str, Label]) -> Arch:
        """The network of a full assignment; raise `SpaceError` when a hole is left open."""

        def choose(path: str, hole: Hole) -> Label:
            if path not in params:
                raise SpaceError(f"parameters must fill every open hole, but {path} is missing")
            return params[path]

        return self.build(choose)

    def params(self, arch: Arch) -> dict[str, Label]:
        """The choices that make `arch`, by path; raise `SpaceError` when it does not lie in the space."""
        nodes, found = self._nodes, path_of(arch)
        if len(nodes) == len(found) and arch.eps == self.template.eps:
            labels = [self._labels(i, filling) for i, filling in enumerate(found)]
            if None not in labels:
                return {path: label for some in labels if some for path, label in some.items()}
        raise SpaceError(f"an architecture must lie in the space {self.name}, but got {arch}")

    def __contains__(self, arch: Arch) -> bool:
        try:
            self.params(arch)
        except SpaceError:
            return False
        return self.valid(arch)

    def valid(self, arch: Arch) -> bool:
        """Whether every layer fits the shape that reaches it and every rule holds."""
        try:
            shape, _ = stem_cost(arch.stem, Shape(self.in_channels, arch.resolution, arch.resolution))
            for stage in arch.stages:
                if not kept(self.rules, stage, shape):
                    return False
                shape, _ = stage_cost(stage, shape)
            head_cost(arch.head, shape, self.num_classes)
        except ArchError:
            return False
        return True

    # -------------------------------------------------------------------------------- moving in it

    def neighbours(self, arch: Arch) -> Iterator[Arch]:
        """Every valid network that differs in one choice.

        When the choice is a block, holes that open take the value that the same field had, where it
        is on offer, and else their first.
        """
        path = path_of(arch)
        for i, filling in enumerate(path):
            for other in self._near(i, filling):
                neighbour = assemble((*path[:i], other, *path[i + 1 :]), arch.eps)
                if self.valid(neighbour):
                    yield neighbour

    def mutate(self, arch: Arch, rng: Random) -> Arch:
        """A valid network with one or a few choices redrawn: each with chance 1/holes, at least one."""
        params = self.params(arch)
        free = [path for path in params if len(self.holes[path].options) > 1]
        if not free:
            return arch
        for _ in range(TRIES):
            redrawn = {path for path in free if rng.random() < 1 / len(free)} or {rng.choice(free)}
            child = self.build(_redraw(params, redrawn, rng))
            if child != arch and self.valid(child):
                return child
        return arch

    def crossover(self, one: Arch, other: Arch, rng: Random) -> Arch:
        """A valid network that takes each choice from one of two parents."""
        parents = (self.params(one), self.params(other))

        def choose(path: str, hole: Hole) -> Label:
            known = [params[path] for params in parents if path in params]
            return rng.choice(known) if known else weighted(hole, rng)

        for _ in range(TRIES):
            child = self.build(choose)
            if self.valid(child):
                return child
        return one

    def distance(self, one: Arch, other: Arch) -> tuple[int, float]:
        """(choices that differ, sum of their steps): a numeric step counts as its part of the range."""
        a, b = self.params(one), self.params(other)
        differing = [path for path in a.keys() | b.keys() if a.get(path) != b.get(path)]
        return len(differing), sum(_step(self.holes[path], a.get(path), b.get(path)) for path in differing)

    # ------------------------------------------------------------------------------------ features

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names of `features`: a path for numbers, `path=label` for each option of the rest."""
        names: list[str] = []
        for path, hole in self.holes.items():
            names += [path] if hole.ordered else [f"{path}={label}" for label in hole.labels]
        return tuple(names)

    def features(self, arch: Arch) -> list[float]:
        """One vector a network, of one length: numbers scaled to [0, 1], one-hot words.

        Holes of an alternative that was not taken are 0.5 (numbers) or all 0 (words).
        """
        params = self.params(arch)
        vector: list[float] = []
        for path, hole in self.holes.items():
            label = params.get(path)
            if not hole.ordered:
                vector += [float(label == other) for other in hole.labels]
            elif label is None:
                vector.append(0.5)
            else:
                low, high = min(hole.options), max(hole.options)
                vector.append((float(label) - low) / (high - low) if high > low else 0.5)
        return vector

    # --------------------------------------------------------------------- slots, read once and kept

    @cached_property
    def _nodes(self) -> tuple[Any, ...]:
        return path_of(self.template)

    @cached_property
    def _slot_names(self) -> tuple[str, ...]:
        return ("resolution", "stem", *(f"stage{i}" for i in range(1, len(self.template.stages) + 1)), "head")

    @lru_cache(maxsize=65_536)  # noqa: B019 - as lattice
    def _labels(self, slot: int, filling: Any) -> dict[str, Label] | None:
        return match(self._nodes[slot], filling, self._slot_names[slot])

    @lru_cache(maxsize=65_536)  # noqa: B019 - as lattice
    def _near(self, slot: int, filling: Any) -> tuple[Any, ...]:
        """Fillings of a slot that differ from `filling` in one choice."""
        labels = self._labels(slot, filling)
        if labels is None:
            raise SpaceError(
                f"{self._slot_names[slot]} of an architecture must lie in the space {self.name}, but got {filling}"
            )
        found: dict[Any, None] = {}
        for path, label in labels.items():
            for other in self.holes[path].labels:
                if other != label:
                    moved = fill(self._nodes[slot], _carry(labels | {path: other}), self._slot_names[slot])
                    found[moved] = None
        found.pop(filling, None)
        return tuple(found)


def weighted(hole: Hole, rng: Random) -> Label:
    """A label drawn in proportion to the fillings behind it: uniform over fillings."""
    return rng.choices(hole.labels, [count(option) for option in hole.options])[0]


def _redraw(params: dict[str, Label], redrawn: set[str], rng: Random) -> Chooser:
    """Keep `params`, but draw the `redrawn` ones, and any that open, anew."""

    def choose(path: str, hole: Hole) -> Label:
        if path not in params:
            return weighted(hole, rng)
        if path in redrawn:
            return rng.choice([label for label in hole.labels if label != params[path]])
        return params[path]

    return choose


def _carry(labels: dict[str, Label]) -> Chooser:
    """Keep `labels`; holes that open take the value of the field of the same name, else their first option."""
    by_field = {path.rsplit(".", 1)[-1]: label for path, label in labels.items()}

    def choose(path: str, hole: Hole) -> Label:
        if path in labels:
            return labels[path]
        same = by_field.get(path.rsplit(".", 1)[-1])
        return same if same is not None and same in hole.labels else hole.labels[0]

    return choose


def _step(hole: Hole, one: Label | None, other: Label | None) -> float:
    if one is None or other is None or not hole.ordered:
        return 1.0
    span = max(hole.options) - min(hole.options)
    return float(abs(float(one) - float(other)) / span)
