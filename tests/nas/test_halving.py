"""A search in rungs: what the study keeps of it, and what is left when a worker is killed in between."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from optuna.trial import TrialState
from rich.console import Console

from nas import halving
from nas import search as search_command
from nas.batches import Images
from nas.candidates import DIED
from nas.evaluate import Checkpoint, Evaluation, Evaluator
from nas.halving import FOLDER, Halving
from nas.loop import Search
from nas.patience import Away
from nas.progress import Limits
from nas.recipe import Recipe
from nas.recovery import bury
from nas.report import Lines, rungs, stopped
from nas.rungs import Reached, ranked
from nas.samplers import known_cost
from nas.store import open_study
from nas.training import Failed, Point, Trained
from search_spaces import Arch
from tests.nas.searching import accuracy, search
from tests.nas.test_search_command import arguments, fails, here  # noqa: F401 - a fixture
from tests.nas.test_training import RECIPE, TINY, images  # noqa: F401 - a fixture

# -------------------------------------------------------------------------------------------- the worker


class Oracle:
    """Knows the answer on every rung: 0.1 more on each."""

    num_classes = 10

    def __init__(self, before: Callable[[Arch, int], None] = lambda arch, rung: None) -> None:
        self.recipe, self.before = Recipe(steps=90, rungs=3), before
        self.asked: list[tuple[str, int, bool]] = []

    def evaluate(
        self,
        arch: Arch,
        seed: int,
        on_point: Callable[[Point], None],
        rung: int = 2,
        checkpoint: Checkpoint | None = None,
    ) -> Evaluation:
        self.asked.append((str(arch), rung, checkpoint is not None))
        self.before(arch, rung)
        curve = list(checkpoint.trained.curve) if checkpoint else []
        for each in range(len(curve), rung + 1):
            value = accuracy(arch) - 0.1 * (2 - each)
            curve.append(Point(640 * 3**each, 1.0, value, 0.1 * 3**each))
            on_point(curve[-1])
        weights = {"seed": torch.tensor([seed])}
        if checkpoint:
            assert checkpoint.weights["seed"] == seed
        trained = Trained(curve, curve[-1].seconds)
        took = {"build": 0.0, "training": 0.1, "validation": 0.01}
        return Evaluation(curve[-1].accuracy, trained, 32, took, weights, Checkpoint(weights, trained))


def climbing(folder: Path, sampler: str = "random", oracle: Oracle | None = None) -> Halving:
    run = search(folder, sampler)
    return Halving(run.stored, run.feasible, run.sampler, oracle or Oracle())  # type: ignore[arg-type]


def finished(run: Search) -> Counter[int]:
    """How many candidates ended on each rung."""
    return Counter(c.rung for c in run.stored.candidates() if c.rung is not None)


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2", "evolution", "known_cost"])
def test_of_9_candidates_3_and_1_go_on_whichever_sampler_proposes(tmp_path: Path, sampler: str) -> None:
    oracle = Oracle()
    run = climbing(tmp_path, sampler, oracle)
    assert run.run(Limits(trials=9)) == "9 trials are done"
    assert finished(run) == {0: 6, 1: 2, 2: 1}
    assert len(run.study.trials) == 9 + 3 + 1
    everyone = run.stored.candidates()
    assert len({str(c.arch) for c in everyone}) == len(everyone) == run.progress.done() == 9
    assert Counter(oracle.asked).most_common(1)[0][1] == 1, "nothing is trained twice"
    assert all(resumed == (rung > 0) for _, rung, resumed in oracle.asked)
    for c in everyone:
        assert c.state == ("complete" if c.rung == 2 else "stopped")
        assert [p["samples"] for p in c.curve] == [640, 1920, 5760][: len(c.rungs)]
        assert [p["accuracy"] for p in c.curve] == [r["accuracy"] for r in c.rungs]
        assert c.accuracy == (accuracy(c.arch) if c.rung == 2 else None)
    assert {c.rung for c in run.stored.front()} == {2}
    frame = run.stored.frame()
    assert dict(frame.state.value_counts()) == {"stopped": 8, "complete": 1}
    assert Counter(frame.rung) == finished(run)


def test_with_one_rung_it_is_the_plain_search(tmp_path: Path) -> None:
    oracle = Oracle()
    oracle.recipe = Recipe(rungs=1)
    climbing(tmp_path / "rungs", oracle=oracle).run(Limits(trials=6))
    plain = search(tmp_path / "plain", "random")
    plain.run(Limits(trials=6))
    mine = open_study(f"sqlite:///{tmp_path / 'rungs' / 'nas.db'}").candidates()
    assert [(c.arch, c.state) for c in mine] == [(c.arch, c.state) for c in plain.stored.candidates()]


def test_the_best_for_their_cost_are_those_that_go_on(tmp_path: Path) -> None:
    run = climbing(tmp_path)
    run.run(Limits(trials=15))
    everyone = run.stored.candidates()
    first = ranked(Reached(c.number, c.rungs[0]["accuracy"], c.cost.flops) for c in everyone)
    went_on = {c.number for c in everyone if len(c.rungs) > 1}
    places_of = [i for i, one in enumerate(first) if one.number in went_on]
    assert sum(places_of) / len(places_of) < 14 / 2 - 2, "asynchronous, so not always the very best"


def test_checkpoints_are_kept_for_the_next_in_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving, "KEPT", 2)
    run = climbing(tmp_path)
    run.run(Limits(trials=9))
    left = {int(p.name.partition("-")[0]) for p in (run.stored.folder / FOLDER).iterdir()}
    assert 0 < len(left) <= 2 + 2, "two on each rung that candidates stop at"
    assert left <= {c.number for c in run.stored.candidates() if c.state == "stopped"}


def test_a_lost_checkpoint_is_trained_anew_and_nothing_else_changes(tmp_path: Path) -> None:
    oracle = Oracle()

    def lose(arch: Arch, rung: int) -> None:
        for path in (tmp_path / "lost" / "toy" / FOLDER).glob("*"):
            path.unlink()

    oracle.before = lose
    climbing(tmp_path / "lost", oracle=oracle).run(Limits(trials=9))
    kept = climbing(tmp_path / "kept")
    kept.run(Limits(trials=9))
    lost = open_study(f"sqlite:///{tmp_path / 'lost' / 'nas.db'}").candidates()
    assert [(c.arch, c.curve) for c in lost] == [(c.arch, c.curve) for c in kept.stored.candidates()]
    assert not all(resumed for _, rung, resumed in oracle.asked if rung)


def test_a_promotion_that_fails_for_a_reason_of_its_own_settles_its_candidate(tmp_path: Path) -> None:
    def diverge(arch: Arch, rung: int) -> None:
        if rung == 1:
            raise Failed("diverged", "loss nan")

    run = climbing(tmp_path, oracle=Oracle(diverge))
    run.run(Limits(trials=9))
    states = Counter((c.state, c.rung) for c in run.stored.candidates())
    assert states == {("failed", 0): 3, ("stopped", 0): 6}


def test_an_interrupted_promotion_comes_first_next_time(tmp_path: Path) -> None:
    def interrupt(arch: Arch, rung: int) -> None:
        if rung == 1:
            raise KeyboardInterrupt

    assert climbing(tmp_path, oracle=Oracle(interrupt)).run(Limits(trials=9)) == "interrupted"
    oracle = Oracle()
    again = climbing(tmp_path, oracle=oracle)
    again.run(Limits(trials=9))
    assert oracle.asked[0][1:] == (1, True)
    settled = [c for c in again.stored.candidates() if c.settled]
    assert len({str(c.arch) for c in settled}) == len(settled) == 9
    assert Counter(c.rung for c in settled) == {0: 6, 1: 2, 2: 1}


def test_a_promotion_that_kills_two_workers_leaves_its_candidate_where_it_stopped(tmp_path: Path) -> None:
    def die(arch: Arch, rung: int) -> None:
        if rung == 1:
            raise Away("as dead as can be: what it had in hand is not put down")

    for _ in range(2):
        run = climbing(tmp_path, oracle=Oracle(die))
        with pytest.raises(Away):
            run.run(Limits(trials=9))
        (left,) = run.study.get_trials(states=(TrialState.RUNNING,))
        assert bury(run.study, left)
    run = climbing(tmp_path)
    broken = [c for c in run.stored.candidates() if c.reason == DIED]
    assert len(broken) == 2
    stopped_at = broken[0].attrs["promotes"]
    assert [c.state for c in run.stored.candidates() if c.number == stopped_at] == ["stopped"]
    run.run(Limits(trials=9))
    assert [t.user_attrs.get("promotes") for t in run.study.trials].count(stopped_at) == 2


DOOMED = """
import signal, sys
from pathlib import Path
from nas.progress import Limits
from tests.nas.test_halving import Oracle, climbing

def die(arch, rung):
    if rung == 2:
        print("on the last rung", flush=True)
        signal.pause()
climbing(Path(sys.argv[1]), oracle=Oracle(die)).run(Limits(trials=9))
"""


def test_after_kill_9_on_a_rung_another_worker_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", DOOMED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "on the last rung\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    oracle = Oracle()
    run = climbing(tmp_path, oracle=oracle)
    broken = run.stored.candidates()[-1]
    assert (broken.state, broken.rung) == ("running", 1)
    run.run(Limits(trials=9))
    assert oracle.asked[0] == (str(broken.arch), 2, True)
    settled = [c for c in run.stored.candidates() if c.settled]
    assert len({str(c.arch) for c in settled}) == len(settled) == 9
    assert Counter(c.rung for c in settled) == {0: 6, 1: 2, 2: 1}
    assert [c.state for c in settled if c.arch == broken.arch] == ["complete"]


def test_two_workers_never_go_on_with_the_same_candidate(tmp_path: Path) -> None:
    """While one trains, the other does a whole trial: as processes would, but in a known order."""
    other = climbing(tmp_path)
    limits = Limits(trials=9)

    def meanwhile(arch: Arch, rung: int) -> None:
        other.progress.begin(limits)
        other.progress.read()
        if not other._reached():
            other._trial()

    one = climbing(tmp_path, oracle=Oracle(meanwhile))
    one.run(limits)
    settled = [c for c in one.stored.candidates() if c.settled]
    assert len({str(c.arch) for c in settled}) == len(settled)
    promotions = [t.user_attrs["promotes"] for t in one.study.trials if "promotes" in t.user_attrs]
    assert len(set(promotions)) == len(promotions) >= 3


def test_the_sampler_is_told_of_those_that_stopped(tmp_path: Path) -> None:
    run = climbing(tmp_path)
    run.run(Limits(trials=9))
    told = known_cost.known(run.study)
    assert dict(told.done) == pytest.approx({c.arch: accuracy(c.arch) for c in run.stored.candidates()})
    assert not told.running
    assert not told.failed


def test_the_report_says_what_stopped_where_and_what_that_saved(tmp_path: Path) -> None:
    run = climbing(tmp_path)
    with Lines(9, 0) as lines:
        run.progress.reporter, said = lines, io.StringIO()
        lines.console = Console(file=said, width=200)
        run.run(Limits(trials=9))
    assert said.getvalue().count("stopped at rung 1 of 3") == 9
    assert said.getvalue().count("stopped at rung 2 of 3") == 3
    rows = rungs(run.stored)
    assert [(r["finished"], r["stopped"]) for r in rows] == [(9, 6), (3, 2), (1, 0)]
    assert [r["spent_s"] for r in rows] == pytest.approx([9 * 0.11, 3 * 0.11, 0.11])
    assert [r["saved_s"] for r in rows] == pytest.approx([6 * 0.11 * 8, 2 * 0.22 * 2, 0])
    assert stopped(run.stored)[0].startswith("rung 1: 9 candidates finished it, 6 stopped there")
    plain = search(tmp_path / "plain", "random")
    plain.run(Limits(trials=2))
    assert stopped(plain.stored) == []


# --------------------------------------------------------------------------------------- real training


@pytest.mark.parametrize("resolutions", [(), (12, 16)])
def test_going_on_from_a_checkpoint_is_training_anew(images: Images, resolutions: tuple[int, ...]) -> None:  # noqa: F811
    recipe = RECIPE.with_(steps=18, rungs=3, rung_resolutions=resolutions, ema=0.9, augment=("flip", "shift"))
    evaluator = Evaluator(recipe, images)
    first = evaluator.evaluate(TINY, 5, rung=0)
    second = evaluator.evaluate(TINY, 5, rung=1, checkpoint=first.checkpoint)
    last = evaluator.evaluate(TINY, 5, rung=2, checkpoint=second.checkpoint)
    anew = evaluator.evaluate(TINY, 5)
    assert all(torch.equal(last.weights[name], weights) for name, weights in anew.weights.items())
    assert [(p.samples, p.accuracy) for p in last.trained.curve] == [
        (p.samples, p.accuracy) for p in anew.trained.curve
    ]
    assert last.trained.curve[-1].samples == 18 * 16
    seconds = [p.seconds for p in last.trained.curve]
    assert seconds == sorted(seconds)
    assert sum(e.timings["training"] for e in (first, second, last)) == pytest.approx(last.trained.training_s)


def test_a_rung_begins_with_the_weights_of_the_last(images: Images) -> None:  # noqa: F811
    recipe = RECIPE.with_(steps=12, rungs=2)
    first = Evaluator(recipe, images).evaluate(TINY, 5, rung=0)
    still = Evaluator(recipe.with_(lr=1e-9), images).evaluate(TINY, 5, rung=1, checkpoint=first.checkpoint)
    learned = [name for name in first.weights if name.endswith("weight")]
    assert all(torch.allclose(still.weights[name], first.weights[name], atol=1e-6) for name in learned)


def test_one_rung_is_the_training_that_there_was(images: Images) -> None:  # noqa: F811
    evaluation = Evaluator(RECIPE.with_(rungs=1), images).evaluate(TINY, 3)
    assert [p.samples for p in evaluation.trained.curve] == [160, 320, 480]
    assert evaluation.accuracy == 1.0


# ----------------------------------------------------------------------------------------- the command


def test_a_search_in_rungs_by_its_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    argv = [*arguments("--trials", "6", "--rungs", "2", "--reduction", "2"), "--steps", "4", "--no-export"]
    assert search_command.main(argv) == 0
    said = capsys.readouterr().err
    assert "they stop after 32 images, and the best 1 in 2 of each go on" in said.replace("\n", " ")
    assert "rung 1: 6 candidates finished it, 3 stopped there" in said
    stored = open_study("sqlite:///results/nas.db")
    assert Counter(c.state for c in stored.candidates()) == {"complete": 3, "stopped": 3}
    assert stored.meta["recipe"]["rungs"] == 2
    other = fails(lambda: search_command.main(arguments("--trials", "7", "--steps", "4")), capsys)
    assert "rungs 2, now 1" in other


def test_mistakes_are_said_before_anything_is_trained(here: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    few = fails(lambda: search_command.main(arguments("--trials", "8", "--rungs", "3", "--steps", "30")), capsys)
    assert "need --trials of 9 at least" in few
    assert "each rung must train for a step" in fails(lambda: search_command.main(arguments("--rungs", "4")), capsys)
    assert "reduction must be at least 2" in fails(
        lambda: search_command.main(arguments("--rungs", "2", "--reduction", "1")), capsys
    )
