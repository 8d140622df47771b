"""Filling a table: time the few networks that show every part, part by part while the whole network runs.

A block timed alone keeps its weights and maps in the nearest cache, which in a network it cannot; so each is timed
where it stands, as a multiple of a reference network's time just then (`nas.latency.pace`). What whole networks take
beside their parts, what tracing adds, and how far single entries are believed, is fitted on some timed untraced.
"""

from __future__ import annotations

import platform
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from statistics import median, quantiles

from nas.latency import rates
from nas.latency.backends import Backend, find
from nas.latency.cover import cover
from nas.latency.measure import Noisy, Plan, Timing, measure, passes
from nas.latency.pace import Pace
from nas.latency.predictor import Predictor
from nas.latency.setting import Setting, Subject, processor
from nas.latency.table import Table, Whole, now
from search_spaces.arch import Arch
from search_spaces.space import Space

EACH = Plan(warmup=3, repeats=16, seconds=4.0, rounds=3, spread=0.1)
WHOLE = 24  # networks timed whole, beside those of the cover
ODD = 0.2  # parts and whole networks differ by less, or one of both was disturbed
TRIES = 3  # times as many are tried on a noisy machine
ENOUGH = 4  # undisturbed passes, to leave out the disturbed
EVERY = 10  # networks, after which a table that grows is kept
TRUSTS = (1.0, 0.75, 0.5, 0.25, 0.0)  # of single entries against rates, tried on the whole networks
Note = Callable[[str], None]


@dataclass(frozen=True)
class Deployed:
    """A space, and how its networks are deployed."""

    space: Space
    in_channels: int = 3
    num_classes: int = 1000

    def subject(self, arch: Arch) -> Subject:
        """A network of it, to be timed."""
        return Subject.of(arch, self.in_channels, self.num_classes)

    def cover(self, known: set[str], seed: int) -> list[tuple[Arch, set[str]]]:
        """Networks that show every part that is not known."""
        lattice = self.space.lattice(self.in_channels, self.num_classes)
        return list(cover(lattice, self.num_classes, known, Random(seed)))


def new_table(setting: Setting, plan: Plan = EACH) -> Table:
    """An empty table of this machine."""
    return Table(setting, machine(setting, find(setting)), now(), {}, clock=plan.clock)


def machine(setting: Setting, backend: Backend) -> dict[str, str]:
    """What results depend on: the processor or GPU, the backend's release, Python."""
    said = {"processor": processor(), "backend": backend.version(), "python": platform.python_version()}
    if setting.device != "cpu":
        from nas import device as devices

        said["processor"] = devices.describe(devices.pick(setting.device))
    return said | {"system": f"{platform.system()} {platform.machine()}"}


def pace_of(table: Table, backend: Backend, deployed: Deployed, plan: Plan) -> tuple[Pace, Whole]:
    """The table's reference network, ready to be timed; one of the space for a table that has none."""
    network = table.reference or Whole(
        str(deployed.space.sample(Random("reference"))), deployed.in_channels, deployed.num_classes, 0.0
    )
    subject = Subject.of(Arch.parse(network.arch), network.in_channels, network.num_classes)
    run = backend.prepare(subject, table.setting)
    return Pace(run, plan, table.setting.own_thread, network.ms or None), network


def extended(table: Table, deployed: Deployed, seed: int, plan: Plan = EACH, note: Note = print) -> Iterator[Table]:
    """The table with the parts that it lacks; one comes now and then, so that an interruption costs little."""
    backend, found = find(table.setting), defaultdict[str, list[float]](list)
    pace, reference = pace_of(table, backend, deployed, plan)
    planned = deployed.cover(set(table.parts), seed)
    note(f"{sum(len(new) for _, new in planned)} parts to time, in {len(planned)} networks")

    def grown() -> Table:
        parts = {key: round(median(times) * pace.usual_ms, 6) for key, times in found.items()}
        spaces = tuple(dict.fromkeys((*table.spaces, deployed.space.name)))
        kept = replace(reference, ms=round(pace.usual_ms, 6))
        parts = dict(sorted((parts | table.parts).items()))
        return replace(table, parts=parts, reference=kept, spaces=spaces, date=now())

    for done, subject, relative in _timed(backend, table.setting, deployed, planned, pace, plan, note):
        for key, times in zip(subject.keys, relative, strict=True):
            found[key].append(times)
        if done % EVERY == 0:
            note(f"{done} of {len(planned)} networks")
            yield grown()
    whole = grown()
    yield calibrated(replace(whole, rates=_rates(whole, deployed, seed)), backend, deployed, seed, plan, note)


def _timed(
    backend: Backend,
    setting: Setting,
    deployed: Deployed,
    planned: list[tuple[Arch, set[str]]],
    pace: Pace,
    plan: Plan,
    note: Note,
) -> Iterator[tuple[int, Subject, list[float]]]:
    """How many are done, and a network with the time of each part as a multiple of the reference's.

    Those that were disturbed are tried again when the others are done; raise `Noisy` when the first is again and again.
    """
    waiting, done = deque((arch, TRIES) for arch, _ in planned), 0
    while waiting:
        arch, tries = waiting.popleft()
        subject = deployed.subject(arch)
        try:
            ms, reference_ms = pace.around(partial(parts_ms, backend, subject, setting, plan))
        except Noisy as error:
            if tries > 1:
                waiting.append((arch, tries - 1))
            elif not done:
                raise
            else:
                note(f"left to estimates: {error}")
            continue
        done += 1
        yield done, subject, [each / reference_ms for each in ms]


def _rates(table: Table, deployed: Deployed, seed: int) -> dict[str, float]:
    """Rates of all parts of the space that the table knows."""
    placed = {
        key: (part, shape)
        for arch, _ in deployed.cover(set(), seed)
        for key, part, shape in deployed.subject(arch).placed()
    }
    return rates.fit([(*placed[key], ms) for key, ms in table.parts.items() if key in placed and ms > 0])


def parts_ms(backend: Backend, subject: Subject, setting: Setting, plan: Plan = EACH) -> list[float]:
    """The median of each part's milliseconds over the undisturbed passes of a traced run; raise `Noisy` if few are.

    With the CPU clock, on a machine that is never quiet, all passes count and the lower quartile is taken: a
    disturbance only adds, and it hits few of a pass's parts. That is rougher, most of all for long parts.
    """
    runner, quiet = backend.prepare(subject, setting, trace=True), list[bool]()
    for _ in range(plan.warmup):
        runner()
    while len(quiet) < plan.repeats:
        done = passes(runner, replace(plan, clock="wall", repeats=plan.repeats - sum(quiet)), setting.own_thread)
        quiet += [not one.disturbed for one in done]
        if plan.clock == "wall":
            break
    traced = runner.parts_ms()[plan.warmup :]
    kept = [ms for ms, counts in zip(traced, quiet, strict=True) if counts]
    if len(kept) >= ENOUGH:
        return [median(each) for each in zip(*kept, strict=True)]
    if plan.clock == "wall":
        raise Noisy(
            f"parts are timed in {ENOUGH} undisturbed passes, but of {len(quiet)} only {len(kept)} were: close "
            "other programs, or read the thread's own clock by --clock cpu"
        )
    return [quantiles(each, n=4, method="inclusive")[0] for each in zip(*traced, strict=True)]


def whole(backend: Backend, subject: Subject, setting: Setting, plan: Plan) -> Timing:
    """A network timed untraced."""
    return measure(backend.prepare(subject, setting), plan, setting.own_thread)


def wholes(
    backend: Backend, setting: Setting, deployed: Deployed, count: int, rng: Random, plan: Plan, pace: Pace
) -> Iterator[Whole]:
    """So many random networks of a space, timed whole, in ms at the reference's usual pace.

    Those that are never quiet are passed over; raise `UserError` when most are.
    """
    done = 0
    for _ in range(TRIES * count):
        if done == count:
            return
        arch = deployed.space.sample(rng)
        try:
            timing, reference_ms = pace.around(partial(whole, backend, deployed.subject(arch), setting, plan))
        except Noisy as error:
            refused = error
            continue
        done += 1
        ms = timing.median_ms / reference_ms * pace.usual_ms
        yield Whole(str(arch), deployed.in_channels, deployed.num_classes, round(ms, 6))
    if done < count:
        raise refused


def calibrated(
    table: Table, backend: Backend, deployed: Deployed, seed: int, plan: Plan = EACH, note: Note = print
) -> Table:
    """The table with more whole networks, and the trust, scale and constant that fit them all."""
    note(f"timing {WHOLE} whole networks")
    pace, _ = pace_of(table, backend, deployed, plan)
    timed = wholes(backend, table.setting, deployed, WHOLE, Random(seed), plan, pace)
    networks = (*table.networks, *timed)
    best = min((fitted(replace(table, networks=networks, trust=trust)) for trust in TRUSTS), key=_error)
    if abs(best.scale - 1) > ODD:
        note(
            f"a network takes {best.scale:.2f} times the sum of its parts: the machine was not quiet, build the "
            "table again"
        )
    return replace(best, date=now())


def fitted(table: Table) -> Table:
    """The table with the scale and constant that fit its whole networks."""
    plain = Predictor(replace(table, scale=1.0, constant_ms=0.0))
    points = [(plain(Arch.parse(n.arch), n.in_channels, n.num_classes).ms, n.ms) for n in table.networks]
    scale, constant_ms = line(points)
    return replace(table, scale=scale, constant_ms=constant_ms)


def _error(table: Table) -> float:
    """The median relative error on the table's own whole networks."""
    predictor = Predictor(table)
    return median(
        abs(predictor(Arch.parse(n.arch), n.in_channels, n.num_classes).ms / n.ms - 1) for n in table.networks
    )


def line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Slope and intercept, not below 0, through (x, y): the median of all pairs' slopes (Theil 1950, Sen 1968)."""
    slopes = [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[:i] if x1 != x2]
    slope = median(slopes) if slopes else 1.0
    constant = median(y - slope * x for x, y in points)
    if constant < 0 or slope <= 0:  # no network takes less than nothing
        slope, constant = median(y / x for x, y in points), 0.0
    return slope, constant
