"""How fast does the dashboard answer, beside optuna-dashboard on the same study?

Makes a study of N trials that cost no training (uniform draws of `mobile` within 300MFLOPs, accuracy a law plus noise;
one in twenty failed), or takes a storage that holds one. Both servers run, warm, on this machine; a request is timed
from the client until its last byte, and bytes are those on the wire. `first` is the answer with all data: for ours
every callback that the front page calls when it opens, for the other the one request that its page makes. `update` is
the same after one new trial, for the other what its page asks for (the trials after those it has). Medians of n rounds.
Last, the front and the hypervolume's history of 100,000 random trials in this process, beside the plain ones of the
engine (`nas.pareto`, whose hypervolume is that of the end alone).

    pip install optuna-dashboard
    python benchmarks/dashboard_speed.py --trials 5000
    python benchmarks/dashboard_speed.py --storage sqlite:///results/nas.db --study NAME  # adds n trials to it!
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from importlib.util import find_spec
from math import log10
from random import Random
from socket import socket
from statistics import median
from typing import Any

from large_study import parser

BUDGET = "300MFLOPs"
PATIENCE_S = 300.0
FRESH_S = 0.6  # our server reads a study at most every half second
POINTS = 100_000
MANY = 100  # trials that are written by hand


def main() -> int:
    args = parser(__doc__, storage="n trials are added to it", n=5, rounds="rounds").parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storage = args.storage or f"sqlite:///{folder}/nas.db"
        study = Growing(storage, args.study, args.seed)
        if not args.storage:
            study.grow(args.trials)
        print(f"{len(study):,} trials, seed {args.seed}, n = {args.n}, medians")
        ours = measured(served(storage, folder), Ours(args.study), study, args.n)
        print(line("ours", ours), flush=True)
        if find_spec("optuna_dashboard") is None:
            print("optuna-dashboard is not installed: no comparison")
        else:
            theirs = measured(other(storage), Theirs(study.number), study, args.n)
            print(line("optuna-dashboard", theirs))
            for name in ("first", "update"):
                (time_s, size), (their_s, their_size) = ours[name], theirs[name]
                print(f"{name}: {their_s / time_s:.1f} times as fast, {their_size / size:.1f} times fewer bytes")
    print(fronts(args.seed, args.n))
    return 0


# -------------------------------------------------------------------------------------------- the study


class Growing:
    """A study that grows by trials that were never trained."""

    def __init__(self, storage: str, name: str, seed: int) -> None:
        import optuna

        from nas.store import create_study
        from search_spaces.budget import Budget
        from search_spaces.feasible import Feasible
        from search_spaces.spaces import find

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        meta = {
            "space": "mobile", "resolution": None, "budget": BUDGET, "in_channels": 3, "num_classes": 1000,
            "recipe": {"steps": 200, "resolution": 32, "epochs": 0}, "data": "fashion-subset", "data_classes": 10,
            "folder": name, "sampler": "random", "seed": seed,
        }  # fmt: skip
        self.storage, self.name = storage, name
        try:
            self.study = self._opened()
        except KeyError:
            self.study = create_study(storage, name, meta, optuna.samplers.RandomSampler(seed)).study
        self.space, self.rng = find("mobile").at(224), Random(seed)
        self.fits = Feasible(self.space, Budget.parse(BUDGET))

    def _opened(self) -> Any:
        import optuna

        return optuna.load_study(study_name=self.name, storage=self.storage)

    def __len__(self) -> int:
        return len(self.study.get_trials(deepcopy=False))

    @property
    def number(self) -> int:
        """By which a storage knows the study."""
        return int(self.study._study_id)

    def grow(self, trials: int) -> None:
        """Add finished trials, one by one; many go in by one transaction, as Optuna takes 60 ms for each."""
        first = len(self)
        if trials < MANY:
            for number in range(first, first + trials):
                self.study.add_trial(self._trial(number))
            return
        write(self.storage, self.number, first, [self._trial(number) for number in range(first, first + trials)])
        self.study = self._opened()

    def _trial(self, number: int) -> Any:
        from optuna.trial import TrialState, create_trial

        from nas.samplers.from_optuna import distribution

        arch, cost = self.fits.draw(self.rng)
        value = round(0.55 + 0.09 * log10(cost.flops / 5e7) + 0.006 * arch.depth + self.rng.gauss(0, 0.012), 4)
        failed, params = number % 20 == 7, self.space.params(arch)
        attrs: dict[str, Any] = {"arch": str(arch), "cost": asdict(cost), "seed": number, "proposals": {"proposed": 1}}
        if failed:
            attrs |= {"reason": "diverged", "detail": "loss nan within 640 samples"}
        else:
            shares = ((0.25, 0.6), (0.5, 0.82), (0.75, 0.94), (1.0, 1.0))
            attrs["curve"] = [
                {"samples": 12000 * at, "loss": 2.3 - 1.6 * part, "accuracy": value * part, "seconds": 15 * at}
                for at, part in shares
            ]
        made = create_trial(
            state=TrialState.FAIL if failed else TrialState.COMPLETE,
            values=None if failed else [value, float(cost.flops)],
            params=params,
            distributions={path: distribution(self.space.holes[path]) for path in params},
            user_attrs=attrs,
        )
        made.datetime_start = datetime(2026, 1, 5, 9) + timedelta(seconds=20 * number)
        made.datetime_complete = made.datetime_start + timedelta(seconds=18)
        return made


def write(storage: str, study: int, first: int, trials: list[Any]) -> None:
    """Finished trials in Optuna's tables, as it would have written them; they are numbered from `first` on."""
    from optuna.distributions import distribution_to_json
    from optuna.storages._rdb import models
    from sqlalchemy import create_engine, func, insert, select

    engine, rows = create_engine(storage), defaultdict(list)
    finite = models.TrialValueModel.TrialValueType.FINITE
    with engine.begin() as connection:
        last = connection.execute(select(func.max(models.TrialModel.trial_id))).scalar() or 0
        for place, trial in enumerate(trials):
            at = {"trial_id": last + 1 + place}
            whole = {"number": first + place, "study_id": study, "state": trial.state}
            when = {"datetime_start": trial.datetime_start, "datetime_complete": trial.datetime_complete}
            rows[models.TrialModel].append(at | whole | when)
            for name, held in trial.distributions.items():
                value = {"param_name": name, "param_value": held.to_internal_repr(trial.params[name])}
                rows[models.TrialParamModel].append(at | value | {"distribution_json": distribution_to_json(held)})
            for name, value in trial.user_attrs.items():
                rows[models.TrialUserAttributeModel].append(at | {"key": name, "value_json": json.dumps(value)})
            for i, value in enumerate(trial.values or ()):
                rows[models.TrialValueModel].append(at | {"objective": i, "value": value, "value_type": finite})
        for model, values in rows.items():
            connection.execute(insert(model), values)
    engine.dispose()


# ------------------------------------------------------------------------------------------ the servers


@contextmanager
def started(command: list[str], port: int, path: str) -> Iterator[str]:
    """A server as a process of its own, from the moment it answers."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_S
    try:
        while True:
            try:
                fetch(url + path)
                break
            except (urllib.error.URLError, ConnectionError):
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"{' '.join(command[:3])} did not start") from None
                time.sleep(0.3)
        yield url
    finally:
        process.terminate()
        process.wait()


def served(storage: str, folder: str) -> Any:
    port = free()
    command = [sys.executable, "-m", "dashboard", "--storage", storage, "--port", str(port), "--exports", folder]
    return started(command, port, "/")


def other(storage: str) -> Any:
    port = free()
    program = "from optuna_dashboard._cli import main; main()"
    return started([sys.executable, "-c", program, storage, "--port", str(port)], port, "/api/studies")


def free() -> int:
    """A port that nothing listens on."""
    with socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def fetch(url: str, body: Any = None) -> tuple[bytes, float, int]:
    """The answer as text, the seconds until its last byte, and the bytes on the wire."""
    import gzip

    import brotli

    headers = {"Accept-Encoding": "gzip, br", "Content-Type": "application/json"}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    begin = time.perf_counter()
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        raw, packed = answer.read(), answer.headers.get("Content-Encoding")
    seconds = time.perf_counter() - begin
    return {"gzip": gzip.decompress, "br": brotli.decompress, None: bytes}[packed](raw), seconds, len(raw)


Round = Callable[[str], tuple[float, int]]
Figures = dict[str, tuple[float, int]]
"""Seconds and bytes of `first` and `update`."""


class Ours:
    """The front page: what it asks for when it opens, and after one new trial."""

    LOOK, FIGURE, TELL = "chosen.options", "front-figure.figure", "front-about.children"
    DETAIL = "detail.children"

    def __init__(self, study: str) -> None:
        self.study, self.state = study, dict[str, Any]()
        self.callbacks: list[dict[str, Any]] = []

    def first(self, url: str) -> tuple[float, int]:
        self.callbacks = self.callbacks or json.loads(fetch(f"{url}/_dash-dependencies")[0])
        self.state = {"chosen.value": [self.study], "front-metric.value": "flops", "front-backdrop.value": []}
        return self._ask(url, self.LOOK, self.FIGURE, self.TELL, self.DETAIL)

    def update(self, url: str) -> tuple[float, int]:
        return self._ask(url, self.LOOK, self.FIGURE, self.TELL)

    def _ask(self, url: str, *outputs: str) -> tuple[float, int]:
        seconds, size = 0.0, 0
        for output in outputs:
            found = next(c for c in self.callbacks if output in c["output"])
            several = found["output"].startswith("..")
            names = [part.rpartition(".") for part in found["output"].strip(".").split("...")]
            places = [{"id": name, "property": prop.partition("@")[0]} for name, _, prop in names]
            given = {kind: [self._filled(one) for one in found[kind]] for kind in ("inputs", "state")}
            body = {
                "output": found["output"], "outputs": places if several else places[0],
                "changedPropIds": ["version.data"], **given,
            }  # fmt: skip
            text, took, sent = fetch(f"{url}/_dash-update-component", body)
            seconds, size = seconds + took, size + sent
            for name, props in (json.loads(text)["response"] if text else {}).items():
                self.state |= {f"{name}.{prop}": value for prop, value in props.items() if prop == "data"}
        return seconds, size

    def _filled(self, one: dict[str, Any]) -> dict[str, Any]:
        name = f"{one['id']}.{one['property']}"
        picked = {"study": self.study, "trial": 0} if name == "picked.data" else None
        return {"id": one["id"], "property": one["property"], "value": self.state.get(name, picked)}


class Theirs:
    """Its study page: all trials at first, then those after the ones that it has."""

    def __init__(self, number: int) -> None:
        self.number, self.has = number, 0

    def first(self, url: str) -> tuple[float, int]:
        return self._ask(url, 0)

    def update(self, url: str) -> tuple[float, int]:
        return self._ask(url, self.has)

    def _ask(self, url: str, after: int) -> tuple[float, int]:
        text, seconds, size = fetch(f"{url}/api/studies/{self.number}?after={after}")
        self.has = after + len(json.loads(text)["trials"])
        return seconds, size


def measured(server: Any, page: Ours | Theirs, study: Growing, n: int) -> Figures:
    """Medians over n rounds of a warm server; before each update the study grows by one trial."""
    with server as url:
        for _ in range(3):  # until it has read the study
            page.first(url)
            time.sleep(3 * FRESH_S)
        first = [page.first(url) for _ in range(n)]
        update = []
        for _ in range(n):
            study.grow(1)
            time.sleep(FRESH_S)
            update.append(page.update(url))
    found = {"first": first, "update": update}
    return {name: (median(s for s, _ in runs), round(median(b for _, b in runs))) for name, runs in found.items()}


def line(name: str, figures: Figures) -> str:
    said = (f"{what} {1000 * seconds:,.0f} ms, {size:,} bytes" for what, (seconds, size) in figures.items())
    return f"{name}: {'; '.join(said)}"


def fronts(seed: int, n: int) -> str:
    """The front and the history of the hypervolume of many random trials."""
    import numpy as np

    from dashboard.fronts import front, history
    from nas import pareto

    rng = np.random.default_rng(seed)
    costs = rng.uniform(5e7, 3e8, POINTS)
    accuracies = 0.55 + 0.09 * np.log10(costs / 5e7) + rng.normal(0, 0.012, POINTS)
    both: list[float] = []
    for _ in range(n):
        begin = time.perf_counter()
        on, grown = front(accuracies, costs), history(accuracies, costs, (0.0, 3e8))
        both.append(time.perf_counter() - begin)
    points = list(zip(accuracies.tolist(), costs.tolist(), strict=True))
    begin = time.perf_counter()
    pareto.hypervolume(points, (0.0, 3e8))
    plain = time.perf_counter() - begin
    return (
        f"front ({len(on)} networks) and hypervolume ({len(grown)} times grown) of {POINTS:,} random trials: "
        f"{1000 * median(both):.1f} ms (seed {seed}, n = {n}, from {1000 * min(both):.1f} to {1000 * max(both):.1f}); "
        f"the engine's takes {1000 * plain:.0f} ms for the last hypervolume alone, {plain / median(both):.1f} times"
    )


if __name__ == "__main__":
    raise SystemExit(main())
