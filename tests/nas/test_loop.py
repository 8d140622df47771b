"""The loop: what is recorded, what is lost when it breaks (nothing finished), and what is tried again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from nas.errors import UserError
from nas.evaluate import Evaluation
from nas.progress import Limits
from nas.recovery import GRACE_S, me, revive
from nas.store import Stored
from nas.training import Failed, Point
from search_spaces import Arch
from tests.nas.searching import Oracle, accuracy, search


def test_every_trial_is_recorded_whole(tmp_path: Path) -> None:
    run = search(tmp_path, "random")
    run.run(Limits(trials=5))
    for c in run.stored.candidates():
        assert c.accuracy == accuracy(c.arch)
        assert c.curve[-1]["accuracy"] == c.accuracy
        assert c.attrs["timings"]["training"] == 0.1
        assert c.attrs["worker"]["pid"] == os.getpid()
        assert c.attrs["cost"]["flops"] == c.cost.flops
        assert c.pixels == 32
        assert c.seed is not None
    frame = run.stored.frame()
    assert list(frame.flops) == [c.cost.flops for c in run.stored.candidates()]
    assert set(frame.state) == {"complete"}


def test_weights_are_kept_for_the_front_alone(tmp_path: Path) -> None:
    run = search(tmp_path, "random")
    run.run(Limits(trials=12))
    front = {c.number for c in run.stored.front()}
    kept = {int(path.stem.removeprefix("trial-")) for path in (run.stored.folder / "weights").iterdir()}
    assert kept == front
    assert len(front) < 12


def test_a_failed_candidate_is_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    def fail_the_deep(arch: Arch) -> None:
        if arch.depth >= 4:
            raise Failed("out of memory", "4 GiB asked")

    run = search(tmp_path, "random", oracle=Oracle(fail_the_deep))
    run.run(Limits(trials=12))
    candidates = run.stored.candidates()
    failed = [c for c in candidates if c.state == "failed"]
    assert failed
    assert all(c.reason == "out of memory" and c.arch.depth >= 4 and c.accuracy is None for c in failed)
    assert len(candidates) == 12
    assert run.stored.best().arch.depth < 4


def test_an_interrupted_candidate_comes_first_next_time(tmp_path: Path) -> None:
    oracle = Oracle()

    def interrupt(arch: Arch) -> None:
        if len(oracle.seen) == 3:
            raise KeyboardInterrupt

    oracle.before = interrupt
    assert search(tmp_path, "random", oracle=oracle).run(Limits(trials=6)) == "interrupted"
    again = search(tmp_path, "random")
    again.run(Limits(trials=6))
    candidates = again.stored.candidates()
    assert [c.state for c in candidates] == ["complete", "complete", "failed"] + ["complete"] * 4
    assert candidates[2].reason == "interrupted"
    assert candidates[3].arch == candidates[2].arch
    assert candidates[3].attrs["retry_of"] == 2


def test_a_bug_in_the_evaluator_is_not_swallowed(tmp_path: Path) -> None:
    def bug(arch: Arch) -> None:
        raise ZeroDivisionError("a bug")

    run = search(tmp_path, "random", oracle=Oracle(bug))
    with pytest.raises(ZeroDivisionError):
        run.run(Limits(trials=6))
    assert run.stored.candidates()[0].reason == "error"


DOOMED = """
import os, signal, sys
from pathlib import Path
from nas.progress import Limits
from tests.nas.searching import Oracle, search

oracle = Oracle()
def die(arch):
    if len(oracle.seen) == 3:
        print("in the third trial", flush=True)
        signal.pause()
oracle.before = die
search(Path(sys.argv[1]), "tpe", oracle=oracle).run(Limits(trials=6))
"""


def killed_in_mid_trial(folder: Path) -> None:
    """Run a search in another process and kill -9 it while it evaluates its third candidate."""
    process = subprocess.Popen([sys.executable, "-c", DOOMED, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "in the third trial\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def test_after_kill_9_nothing_finished_is_lost_and_the_broken_trial_is_tried_once_more(tmp_path: Path) -> None:
    killed_in_mid_trial(tmp_path)
    broken = search(tmp_path, "tpe")
    before = broken.stored.candidates()
    assert [c.state for c in before] == ["complete", "complete", "running"]
    broken.run(Limits(trials=6))
    after = broken.stored.candidates()
    assert [c.arch for c in after[:3]] == [c.arch for c in before]
    assert [c.accuracy for c in after[:2]] == [c.accuracy for c in before[:2]]
    assert (after[2].state, after[2].reason) == ("failed", "worker died")
    assert after[3].arch == after[2].arch
    assert after[3].attrs["retry_of"] == 2
    complete = [str(c.arch) for c in broken.stored.complete()]
    assert len(complete) == len(set(complete)) == 6


def test_a_trial_that_breaks_its_worker_twice_is_left_alone(tmp_path: Path) -> None:
    killed_in_mid_trial(tmp_path)
    run = search(tmp_path, "tpe")
    assert revive(run.study) == [2]
    trial = run.study.ask()
    run._note(trial, worker=me() | {"pid": 2**22 + 1}, arch="r32 | conv_stem(width=8) | pool_head")
    assert revive(run.study) == [3]
    assert revive(run.study) == []
    assert [t.state.name for t in run.study.trials] == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]


def test_a_living_worker_is_left_alone(tmp_path: Path) -> None:
    run = search(tmp_path, "random")
    trial = run.study.ask()
    trial.set_user_attr("worker", me())
    assert revive(run.study) == []


def test_a_running_trial_can_be_watched(tmp_path: Path) -> None:
    """Its curve so far, and when the run will stop, are in the study while it trains."""
    seen: list[tuple[str, list[dict[str, float]]]] = []
    run = search(tmp_path, "random")
    oracle = run.evaluator

    class Watched:
        num_classes, recipe = 10, oracle.recipe

        def evaluate(self, arch: Arch, seed: int, on_point: Callable[[Point], None]) -> Evaluation:
            on_point(Point(10, 2.0, 0.3, 1.0))
            trial = run.study.get_trials(deepcopy=False)[-1]
            seen.append((trial.state.name, trial.user_attrs["curve"]))
            return oracle.evaluate(arch, seed)

    run.evaluator = Watched()  # type: ignore[assignment]
    before = time.time()
    run.run(Limits(trials=1, timeout=60))
    assert seen == [("RUNNING", [{"samples": 10, "loss": 2.0, "accuracy": 0.3, "seconds": 1.0}])]
    limits = run.study.user_attrs["limits"]
    assert limits["trials"] == 1
    assert before <= limits["begun"] <= time.time()
    assert limits["until"] == limits["begun"] + 60


def test_a_run_ends_before_a_trial_that_would_pass_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], time=time.time)
    monkeypatch.setattr("nas.progress.time", clock)
    monkeypatch.setattr("nas.loop.time", clock)

    def ten_seconds(arch: Arch) -> None:
        now[0] += 10

    left: list[float | None] = []
    run = search(tmp_path, "random", oracle=Oracle(ten_seconds))
    run.progress.reporter.finished = lambda c, done, on_front, seconds: left.append(seconds)  # type: ignore[method-assign]
    assert run.run(Limits(trials=4, timeout=25)) == "the time limit of 25 s is reached"
    assert len(run.stored.complete()) == 2
    assert left == [15, 5]
    again = search(tmp_path, "random", oracle=Oracle(ten_seconds))
    again.progress.reporter.finished = lambda c, done, on_front, seconds: left.append(seconds)  # type: ignore[method-assign]
    assert again.run(Limits(trials=4)) == "4 trials are done"
    assert left[2:] == [10, 0]


def test_an_interrupt_says_nothing_of_a_candidate_however_often(tmp_path: Path) -> None:
    def stop(arch: Arch) -> None:
        raise KeyboardInterrupt

    for _ in range(3):
        assert search(tmp_path, "random", oracle=Oracle(stop)).run(Limits(trials=1)) == "interrupted"
    run = search(tmp_path, "random")
    run.run(Limits(trials=1))
    candidates = run.stored.candidates()
    assert [c.state for c in candidates] == ["failed"] * 3 + ["complete"]
    assert len({str(c.arch) for c in candidates}) == 1


def test_whether_a_worker_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = search(tmp_path, "random")
    for worker in (
        me(),
        me() | {"started": "1"},  # another process has its number by now
        me() | {"host": "elsewhere"},
        me() | {"host": "elsewhere", "until": time.time() - 1},
    ):
        run.study.ask().set_user_attr("worker", worker)
    run.study.ask()
    assert revive(run.study) == [1, 3]
    begun = time.time()
    monkeypatch.setattr("nas.recovery.time", SimpleNamespace(time=lambda: begun + 61))
    assert revive(run.study) == [4]  # without a worker's name for so long, it was killed between two writes
    assert me(candidate_timeout=10.0)["until"] == begun + 61 + 20 + GRACE_S


def test_a_machine_that_cannot_make_the_first_ones_folder_takes_its_own(tmp_path: Path) -> None:
    run = search(tmp_path, "random")
    run.run(Limits(trials=1))
    stored, made = run.stored, run.stored.folder
    made.rename(tmp_path / "gone")
    tmp_path.joinpath("file").touch()
    stored.meta["folder"] = str(tmp_path / "file" / "toy")  # below a file no folder can be made, by root either
    stored.settle(tmp_path / "mine")
    assert stored.folder == tmp_path / "mine" / "toy"
    run.run(Limits(trials=8))
    assert [*(tmp_path / "mine" / "toy" / "weights").iterdir()]
    tmp_path.joinpath("gone").rename(tmp_path / "toy")
    assert Stored(run.study, stored.storage).folder == made  # where they are brought to lie beside the database
    with pytest.raises(UserError, match="results need a folder that can be written"):
        stored.settle(tmp_path / "file")
