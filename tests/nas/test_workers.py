"""Workers: nobody's proposal is another's, no trial too many, and no death takes more than one candidate along."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from optuna.trial import TrialState

from nas import device
from nas.candidates import UNFINISHED, pareto
from nas.errors import UserError
from nas.progress import UNDER_WAY, Limits
from nas.recovery import bury, me, revive
from nas.state_dicts import best
from nas.storage import shared
from nas.store import Stored, connect
from nas.workers import Process, _opened
from search_spaces import Arch
from tests.nas.commands import DEADLINE_S, eventually, gone, opened, searching, workers_of
from tests.nas.searching import Oracle, search
from tests.nas.test_search_command import SPACE
from tests.postgres import Server, postgres

__all__ = ["postgres"]


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'nas.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.fresh()


# ------------------------------------------------------------------------------------------ claims


def test_an_architecture_goes_to_one_worker_alone(
    storage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four workers reach for the same texts at the same moments: each text is one's, and each asked gets an answer."""
    workers = [search(tmp_path, "random", storage=storage) for _ in range(4)]
    together = Barrier(len(workers))

    def reach(worker: int) -> list[str]:
        study = workers[worker].study
        answers = []
        for text in "abcdef":
            trial = study.ask()
            together.wait(60)
            answers.append(shared(study).claim(trial._trial_id, text))
        return answers

    with ThreadPoolExecutor(len(workers)) as pool:
        answers = list(pool.map(reach, range(len(workers))))
    for column in zip(*answers, strict=True):
        assert Counter(column) == {"": 1, "taken": len(workers) - 1}
    assert not capsys.readouterr().err  # nobody found the database locked


def test_a_waiting_trial_goes_to_one_worker_alone(storage: str, tmp_path: Path) -> None:
    """Optuna alone lets several take it up on SQLite, where no row can be locked."""
    workers = [search(tmp_path, "random", storage=storage) for _ in range(4)]
    for _ in range(12):
        workers[0].study.enqueue_trial({"stem.width": 8})
    together = Barrier(len(workers))

    def pop(worker: int) -> list[int]:
        together.wait(60)
        return [workers[worker].study.ask().number for _ in range(3)]

    with ThreadPoolExecutor(len(workers)) as pool:
        numbers = [number for own in pool.map(pop, range(len(workers))) for number in own]
    assert sorted(numbers) == list(range(12))


def test_no_more_trials_begin_than_are_wanted(storage: str, tmp_path: Path) -> None:
    run = search(tmp_path, "random", storage=storage)
    held = shared(run.study)
    ids = [run.study.ask()._trial_id for _ in range(5)]
    assert [held.claim(i, text, most=2) for i, text in zip(ids, "abc", strict=False)] == ["", "", "enough"]
    assert held.claim(ids[0], "a", most=2) == ""  # asked again, as the answer was lost
    held.note(ids[0], {"reason": "worker died"})
    held.set_trial_state_values(ids[0], TrialState.FAIL)
    assert held.claim(ids[3], "a", again=set(), most=2, unless=UNFINISHED) == "taken"
    assert held.claim(ids[3], "a", again={0}, most=2, unless=UNFINISHED) == ""
    assert held.claim(ids[4], "d", most=2, unless=UNFINISHED) == "enough"


def test_workers_in_threads_share_a_study_without_a_repeat_or_a_trial_too_many(storage: str, tmp_path: Path) -> None:
    workers = [search(tmp_path, "tpe", storage=storage) for _ in range(3)]
    with ThreadPoolExecutor(len(workers)) as pool:
        ended = list(pool.map(lambda worker: worker.run(Limits(trials=12)), workers))
    candidates = workers[0].stored.candidates()
    assert [c.state for c in candidates] == ["complete"] * 12
    assert len({str(c.arch) for c in candidates}) == 12
    assert "12 trials are done" in ended
    assert all(said in ("12 trials are done", f"12 trials are {UNDER_WAY}") for said in ended)


def test_weights_that_another_worker_deletes_meanwhile_stop_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see that a candidate left the front and that its weights are there; then one of them is quicker."""
    run = search(tmp_path, "random")
    looked = Path.is_file

    def gone_after_a_look(path: Path) -> bool:
        there = looked(path)
        if path.suffix == ".safetensors":
            path.unlink(missing_ok=True)
        return there

    monkeypatch.setattr(Path, "is_file", gone_after_a_look)
    run.run(Limits(trials=8))
    candidates = run.stored.candidates()
    assert [c.state for c in candidates] == ["complete"] * 8
    assert run.dropped
    with pytest.raises(UserError, match="weights"):
        best(run.stored, pareto(candidates)[0])


def test_a_worker_that_was_taken_for_dead_gives_way(tmp_path: Path) -> None:
    """Another worker fails its trial and queues it again while it trains: it goes on with the next."""
    run = search(tmp_path, "random")
    oracle = Oracle()

    def steal(arch: Arch) -> None:
        if len(oracle.seen) == 1:
            (trial,) = run.study.get_trials(states=(TrialState.RUNNING,))
            assert bury(run.study, trial)
            assert not bury(run.study, trial)  # by a third worker, which was slower

    oracle.before = steal
    run.evaluator = oracle  # type: ignore[assignment]
    run.run(Limits(trials=2))
    candidates = run.stored.candidates()
    assert [c.state for c in candidates] == ["failed", "complete", "complete"]
    assert candidates[1].arch == candidates[0].arch


def test_a_queued_trial_whose_worker_died_before_it_began_is_queued_again(tmp_path: Path) -> None:
    first = search(tmp_path, "random")
    first.run(Limits(trials=1))
    (params,) = (t.params for t in first.study.trials)
    other = search(tmp_path, "random", seed=9)
    other.study.enqueue_trial(params)
    popped = other.study.ask()
    popped.set_user_attr("worker", me() | {"pid": 2**22 + 1})
    assert revive(other.study) == [1]
    assert other.study.get_trials()[2].system_attrs["fixed_params"] == params


def test_a_worker_on_another_host_is_given_up_when_its_time_is_over(tmp_path: Path) -> None:
    run = search(tmp_path, "random")
    for until in (None, time.time() + 60, time.time() - 1):
        run.study.ask().set_user_attr("worker", me() | {"host": "elsewhere", "until": until})
    assert revive(run.study) == [2]


def test_workers_that_begin_at_once_make_one_storage(storage: str) -> None:
    """Machines that join at the same moment: each finds the tables missing, one makes them."""
    together = Barrier(6)

    def join(_: int) -> int:
        together.wait(60)
        return len(connect(storage).get_all_studies())

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(join, range(6))) == [0] * 6


# ----------------------------------------------------------------------------- shares of the machine


def test_the_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cores", lambda: 8)
    assert [share.threads for share in device.shares("cpu", 3, None, None)] == [2, 2, 2]
    assert [share.threads for share in device.shares("cpu", 16, None, None)] == [1] * 16
    assert [share.threads for share in device.shares("cpu", None, None, None)] == [8]
    assert device.shares("cpu", 2, None, 5)[1].environment == {"OMP_NUM_THREADS": "5"}
    with pytest.raises(UserError, match="--workers-per-gpu needs a GPU, but the device is cpu"):
        device.shares("cpu", None, 2, None)


@pytest.mark.parametrize(
    ("name", "workers", "per_gpu", "visible", "seen"),
    [
        ("cuda", None, None, None, ["0", "1"]),
        ("cuda", None, 2, None, ["0", "1", "0", "1"]),
        ("cuda", 3, None, "4,7", ["4", "7", "4"]),
        ("cuda:1", None, None, None, ["1"]),
        ("cuda:1", 2, None, "GPU-a,GPU-b", ["GPU-b", "GPU-b"]),
    ],
)
def test_a_worker_sees_its_own_gpu_alone(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    workers: int | None,
    per_gpu: int | None,
    visible: str | None,
    seen: list[str],
) -> None:
    monkeypatch.setattr(device, "pick", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = device.shares(name, workers, per_gpu, None)
    assert [share.environment["CUDA_VISIBLE_DEVICES"] for share in found] == seen
    assert {share.device for share in found} == {"cuda"}


# ---------------------------------------------------------------------------------- real processes


DEADLY = "import os, sys\nif 'nas.workers' in sys.orig_argv:\n    print('no luck', flush=True)\n    os.abort()\n"


def command(folder: Path, trials: int, steps: int = 2, space: str = SPACE) -> AbstractContextManager[Any]:
    """The search with two workers."""
    return searching(folder, "--workers", "2", "--trials", str(trials), "--steps", str(steps), space=space)


def struck(folder: Path, begun: AbstractContextManager[Any]) -> tuple[Stored, int, str]:
    """The study of a search that ended well though a worker was killed; that worker; and what the search said."""
    with begun as process:
        stored = eventually(lambda: opened(folder))
        (victim, *_) = eventually(lambda: workers_of(stored))
        os.kill(victim, signal.SIGKILL)
        said = process.communicate(timeout=DEADLINE_S)[1]
    assert process.returncode == 0, said
    return stored, victim, said


def test_a_killed_worker_is_replaced_and_its_candidate_tried_again(tmp_path: Path) -> None:
    # enough steps that the others are not done before it has started: on a quick machine that was so
    stored, victim, said = struck(tmp_path, command(tmp_path, trials=8, steps=400))
    assert "a worker ended by signal SIGKILL and is replaced" in said
    assert "8 trials are done" in said
    candidates = stored.candidates()
    complete = [c for c in candidates if c.state == "complete"]
    assert len(complete) == len({str(c.arch) for c in complete}) == 8
    (broken,) = (c for c in candidates if c.state == "failed")
    assert (broken.reason, broken.attrs["worker"]["pid"]) == ("worker died", victim)
    assert [c.arch for c in complete if c.attrs.get("retry_of") == broken.number] == [broken.arch]
    assert len({c.attrs["worker"]["pid"] for c in candidates}) == 3


def test_workers_climb_rungs_together_though_one_is_killed(tmp_path: Path) -> None:
    """Of 9 candidates 3 go on, and 1 of them to the end, whoever trained the rung before."""
    rungs = ("--workers", "2", "--rungs", "3", "--reduction", "3", "--trials", "9", "--steps", "52")
    stored, _, said = struck(tmp_path, searching(tmp_path, *rungs))
    assert "9 trials are done" in said
    settled = [c for c in stored.candidates() if c.settled]
    assert len({str(c.arch) for c in settled}) == len(settled) == 9
    assert Counter(c.rung for c in settled) == {0: 6, 1: 2, 2: 1}
    assert all(len(c.rungs) == (c.rung or 0) + 1 for c in settled)
    assert [c.curve[-1]["samples"] for c in settled if c.rung == 2] == [52 * 16]


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_command(tmp_path: Path, blow: signal.Signals) -> None:
    """Killed, it leaves no orphans; interrupted, it lets the workers queue what they had in hand."""
    with command(tmp_path, trials=50, steps=10_000) as process:
        stored = eventually(lambda: opened(tmp_path))
        pids = eventually(lambda: workers_of(stored) if len(workers_of(stored)) == 2 else [])
        process.send_signal(blow)
        process.communicate(timeout=DEADLINE_S)
        eventually(lambda: all(map(gone, pids)))
    again = search(tmp_path, "random", storage=stored.storage)  # another study in the same storage changes nothing
    again.run(Limits(trials=1))
    refused = ("taken", "enough")  # two workers may have thought of one network at first
    states = [t.state for t in stored.study.get_trials() if t.user_attrs.get("reason") not in refused]
    if blow == signal.SIGINT:
        assert process.returncode == 130
        assert states == [TrialState.FAIL, TrialState.FAIL, TrialState.WAITING, TrialState.WAITING]
        assert {c.reason for c in stored.candidates()} - {*refused} == {"interrupted"}
    else:
        assert states == [TrialState.RUNNING, TrialState.RUNNING]


def test_workers_that_cannot_live_end_the_search_with_a_sentence(tmp_path: Path) -> None:
    with command(tmp_path, trials=4, space=DEADLY + SPACE) as process:
        said = process.communicate(timeout=DEADLINE_S)[1]
    assert process.returncode == 2
    assert "Traceback" not in said
    assert "in a row did not, the last ended by signal SIGABRT and said: no luck" in said.splitlines()[-1]


def test_a_worker_that_dies_in_silence_is_not_quoted_with_the_last_ones_words(tmp_path: Path) -> None:
    (log := tmp_path / "0.log").write_text("12 trials are done\n")
    with _opened(log) as out:
        silent = subprocess.Popen(["false"], stdout=out)
        worker = Process("silent", silent, log, out.tell())
    silent.wait()
    ending = worker.ended()
    assert ending is not None
    assert ending.said.startswith("nothing")
