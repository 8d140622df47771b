"""1 to 1,024 workers, simulated: where does the sampler's or the database's time begin to matter, and what then?

    python benchmarks/many_workers.py --plot many.html
    python benchmarks/many_workers.py --durations sqlite:///results/nas.db --macro nas-bench-macro_cifar10.json

What goes in is measured first, on this machine: how long a sampler takes to propose after n trials, how long a trial
holds the database for writing and how long a worker takes to read one trial of another (both by the real loop, on an
SQLite file and, where PostgreSQL is installed, on a server). Durations of training are those of a study, or lognormal.

What is simulated: each worker reads what is new (its own time), proposes (its own time), writes
(the database's; one at a time on SQLite, `--cores` at a time on PostgreSQL) and trains. Left out: networks, and that a
database grows slower with its tables. Efficiency is training over all of the workers' time.

`batched` proposes for several trials at once and writes them in one transaction; `proxied` lets one process read for
all, as Optuna's gRPC proxy does. Both are models of a remedy that this project does not have: they say what it would be
worth. With a table (NAS-Bench-Macro) a second reading tells what parallel proposals cost in quality: the missing
hypervolume after `--evaluations`, of which each knows only those that had ended.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.trial import TrialState, create_trial
from tables import Table, macro

from nas import samplers
from nas.budgeted import BudgetedSampler
from nas.figures import template, write
from nas.known_cost.belief import Known, Options
from nas.known_cost.proposal import propose
from nas.progress import Limits
from nas.samplers.from_optuna import distribution
from nas.store import open_study
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.spaces import find

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the tests' database server and toy search are used

DASHES = ("solid", "dash", "dot", "dashdot")  # of durations
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SIZES = (50, 200, 1000)  # trials in a study, at which proposing is timed
OTHERS = 40  # trials by which reading is timed


@dataclass(frozen=True)
class Costs:
    """Seconds of everything but training. proposing: by trials in the study, read between and beyond by straight lines.

    write_s: that a trial holds the database. read_s: of a worker, for one trial of another. servers: writers at once.
    """

    proposing: tuple[tuple[int, float], ...]
    write_s: float
    read_s: float
    servers: int
    batch: int = 1
    proxied: bool = False

    def propose_s(self, trials: int) -> float:
        if trials <= self.proposing[0][0]:
            return self.proposing[0][1] / self.batch
        (n, a), (m, b) = next((pair for pair in pairwise(self.proposing) if trials <= pair[1][0]), self.proposing[-2:])
        return max(0.0, a + (b - a) * (trials - n) / (m - n)) / self.batch


# -------------------------------------------------------------------------------------- measuring


def proposing(name: str) -> tuple[tuple[int, float], ...]:
    """Median seconds of a proposal in `mobile` within 300MFLOPs, by the number of trials before."""
    fits = Feasible(find("mobile").at(224), Budget.parse("300MFLOPs"), 3, 1000)
    gate = BudgetedSampler(samplers.find(name), fits, 0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=gate)
    space, rng, rows = fits.space, Random(0), []
    holes = {path: distribution(hole) for path, hole in space.holes.items()}
    for size in SIZES:
        while len(study.get_trials(deepcopy=False)) < size:
            arch, cost = fits.draw(rng)
            params = space.params(arch)
            attrs = {"arch": str(arch), "cost": asdict(cost)}
            value = 0.7 + 0.05 * math.log10(cost.flops / 1e8) + rng.gauss(0, 0.01)
            study.add_trial(
                create_trial(
                    state=TrialState.COMPLETE, values=[value, float(cost.flops)], params=params,
                    distributions={path: holes[path] for path in params}, user_attrs=attrs,
                )
            )  # fmt: skip
        taken = []
        for _ in range(3):
            trial = study.ask()
            begin = time.perf_counter()
            gate.decide(study, study.get_trials(deepcopy=False)[trial.number])
            taken.append(time.perf_counter() - begin)
            study.tell(trial, state=TrialState.FAIL)
        rows.append((size, statistics.median(taken)))
    return tuple(rows)


def writing(storage: str, folder: Path) -> tuple[float, float]:
    """Seconds that a trial writes, and that a worker takes to read one of another's, by the real loop."""
    from tests.nas.searching import search

    first, other = (search(folder, "random", storage=storage, seed=seed) for seed in (0, 1))
    first.run(Limits(trials=2))
    begin = time.perf_counter()
    first.run(Limits(trials=2 + OTHERS))
    own = (time.perf_counter() - begin) / OTHERS
    begin = time.perf_counter()
    other.stored.candidates()
    read = (time.perf_counter() - begin) / (2 + OTHERS)
    return own, read


def measured(names: Sequence[str], cores: int) -> dict[str, Costs]:
    """What each sampler and database takes here."""
    found: dict[str, Costs] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        storages = {"SQLite": (f"sqlite:///{folder / 'nas.db'}", 1)}
        from tests.postgres import binaries, launched

        if programs := binaries():
            storages["PostgreSQL"] = (stack.enter_context(launched(programs)).fresh(), cores)
        taken = {name: writing(url, folder / name) for name, (url, _) in storages.items()}
        for sampler in names:
            times = proposing(sampler)
            for name, (_, servers) in storages.items():
                found[f"{sampler}, {name}"] = Costs(times, *taken[name], servers)
    return found


def known(path: Path) -> dict[str, Costs]:
    """What an earlier run measured."""
    said = json.loads(path.read_text())["costs"]
    made = {name: Costs(**each | {"proposing": tuple(map(tuple, each["proposing"]))}) for name, each in said.items()}
    return {name: each for name, each in made.items() if not each.proxied}


# -------------------------------------------------------------------------------------- simulating


def efficiency(costs: Costs, workers: int, durations: Sequence[float], trials: int, seed: int = 0) -> dict[str, float]:
    """Shares of the workers' time in a search of so many trials."""
    rng = Random(seed)
    servers = [0.0] * costs.servers  # when each is free
    queue = [(rng.random() * statistics.mean(durations), worker) for worker in range(workers)]
    heapq.heapify(queue)
    known, spent, done, end = [0] * workers, {"training": 0.0, "proposing": 0.0, "reading": 0.0, "writing": 0.0}, 0, 0.0
    begun = 0
    while begun < trials:
        now, worker = heapq.heappop(queue)
        new = done - known[worker]
        known[worker] = done
        read, ask = costs.read_s * (new / workers if costs.proxied else new), costs.propose_s(done)
        ready = now + read + ask
        free = heapq.heappop(servers)
        began = max(free, ready)
        wrote = began + costs.write_s / costs.batch
        heapq.heappush(servers, wrote)
        trained = rng.choice(durations)
        for name, seconds in (("reading", read), ("proposing", ask), ("writing", wrote - ready), ("training", trained)):
            spent[name] += seconds
        heapq.heappush(queue, (wrote + trained, worker))
        begun, done, end = begun + 1, max(0, begun + 1 - workers), max(end, wrote + trained)
    total = sum(spent.values())
    return {name: seconds / total for name, seconds in spent.items()} | {"trials_a_minute": 60 * trials / end}


def lognormal(median_s: float) -> list[float]:
    """Seconds of training around a median (σ 0.4)."""
    rng = Random(0)
    return [median_s * math.exp(rng.gauss(0, 0.4)) for _ in range(1000)]


def recorded(storage: str) -> list[float]:
    """Seconds of training of a study's candidates."""
    return [c.seconds for c in open_study(storage).complete() if c.seconds]


def missing(table: Table, workers: int, evaluations: int, seed: int) -> float:
    """Percent of the front's hypervolume missing when as many proposals are always under way as there are workers."""
    rng, done, going = Random(seed), list[tuple[int, float]](), list[tuple[float, int]]()
    clock = 0.0
    while len(done) + len(going) < evaluations or going:
        while len(going) < workers and len(done) + len(going) < evaluations:
            running = [one for _, one in going]
            (one, *_) = propose(table, Known(done, running), seed * 100_003 + len(done) + len(going), Options())
            heapq.heappush(going, (clock + table.flops[one] * math.exp(rng.gauss(0, 0.2)), one))
        clock, one = heapq.heappop(going)
        done.append((one, rng.choice(table.runs[one])))
    return table.missing(one for one, _ in done)


# -------------------------------------------------------------------------------------- telling


def drawn(rows: dict[str, dict[int, dict[str, float]]]) -> go.Figure:
    """Efficiency by workers: a colour a sampler and database (the name up to its last comma), a dash a duration."""
    carriers = list(dict.fromkeys(name.rpartition(", ")[0] for name in rows))
    durations = list(dict.fromkeys(name.rpartition(", ")[2] for name in rows))
    look = template()
    figure = go.Figure(layout={"template": look, "title": {"text": "How many workers one study carries"}})
    for name, points in rows.items():
        carrier, _, duration = name.rpartition(", ")
        colours = look.layout.colorway
        line = {
            "color": colours[carriers.index(carrier) % len(colours)],
            "dash": DASHES[durations.index(duration) % len(DASHES)],
        }
        shares = [100 * p["training"] for p in points.values()]
        figure.add_scatter(x=list(points), y=shares, name=name, mode="lines+markers", line=line)
    figure.update_xaxes(type="log", title="Workers", tickvals=WORKERS, ticktext=[f"{n:,}" for n in WORKERS])
    figure.update_yaxes(title="Training, % of all workers' time", range=[0, 103])
    return figure


def limit(points: dict[int, dict[str, float]], least: float = 0.9) -> str:
    """The first number of workers below an efficiency, what takes the time there, and the efficiency of the most."""
    last = f"{points[max(points)]['training']:.0%} at {max(points)} workers"
    for workers, shares in points.items():
        if shares["training"] < least:
            rest = {name: shares[name] for name in ("proposing", "reading", "writing")}
            most = max(rest, key=lambda name: rest[name])
            return f"below {least:.0%} at {workers} workers, by {most} ({rest[most]:.0%}); {last}"
    return f"{least:.0%} or more; {last}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samplers", default="known_cost,tpe,evolution,random")
    parser.add_argument("--durations", metavar="STORAGE", help="of this study's candidates (default: lognormal)")
    parser.add_argument("--medians", default="10,60", metavar="S,…", help="of lognormal durations")
    parser.add_argument("--each", type=int, default=8, metavar="N", help="trials of each worker, 1,000 in all at least")
    parser.add_argument("--cores", type=int, default=4, help="of the PostgreSQL server: writers at once")
    parser.add_argument("--batch", type=int, default=16, help="trials proposed at once, where that is the remedy")
    parser.add_argument("--macro", type=Path, metavar="FILE.json", help="NAS-Bench-Macro, for the quality")
    parser.add_argument("--evaluations", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--costs", type=Path, metavar="FILE", help="what an earlier run measured (its --json)")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    costs = known(args.costs) if args.costs else measured(args.samplers.split(","), args.cores)
    first = next(name for name in reversed(costs) if name.startswith(args.samplers.split(",")[0]))
    costs[f"{first}, proxied"] = replace(costs[first], proxied=True)
    costs[f"{first}, proxied and batched"] = replace(costs[first], proxied=True, batch=args.batch)
    drawn_from = [lognormal(float(median)) for median in args.medians.split(",")]
    lengths = [recorded(args.durations)] if args.durations else drawn_from
    rows: dict[str, dict[int, dict[str, float]]] = {}
    for name, own in costs.items():
        asks = ", ".join(f"{1e3 * seconds:.1f} ms after {size}" for size, seconds in own.proposing)
        database = f"writing {1e3 * own.write_s:.1f} ms, reading {1e3 * own.read_s:.2f} ms a trial"
        print(f"{name}: proposing {asks}; {database}")
        for durations in lengths:
            about = f"{name}, {statistics.median(durations):.0f} s"
            rows[about] = {w: efficiency(own, w, durations, max(1000, args.each * w)) for w in WORKERS}
            print(f"    training of {statistics.median(durations):.0f} s: {limit(rows[about])}", flush=True)
    said: dict[str, Any] = {"costs": {n: asdict(c) for n, c in costs.items()}, "shares": rows}
    if args.macro:
        said["missing"] = quality(macro(args.macro), args.evaluations, args.seeds)
    if args.plot:
        write(drawn(rows), args.plot)
    if args.json:
        args.json.write_text(json.dumps(said, indent=1))


def quality(table: Table, evaluations: int, seeds: int) -> dict[int, list[float]]:
    """Print and return what is missing, by workers and seed, with `known_cost`'s proposals."""
    found = {}
    for workers in (w for w in (1, 4, 16, 64, 256) if w <= evaluations):
        found[workers] = [missing(table, workers, evaluations, seed) for seed in range(seeds)]
        values = ", ".join(f"{value:.1f}" for value in found[workers])
        print(f"{workers} workers: {values} % of hypervolume missing after {evaluations} evaluations", flush=True)
    return found


if __name__ == "__main__":
    main()
