"""Faults of the machine, each at a moment that is chosen: what `benchmarks.faults` does at random, and quickly."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch
from optuna.exceptions import StorageInternalError
from sqlalchemy import event
from sqlalchemy.exc import PendingRollbackError

from benchmarks.faults.judging import half_written, lost
from nas import files, patience, watchdog
from nas.exporters.python_module import export
from nas.loop import Search
from nas.packaging.sources import fresh
from nas.patience import Away, patiently
from nas.progress import Limits
from nas.storage import _passing, shared
from nas.training import Failed
from nas.workers import Log
from search_spaces import Arch
from tests.nas.searching import Oracle, search

TEXTS = ("r32 | conv_stem(width=8) | fire c16 | pool_head", "r32 | conv_stem(width=16) | fire c16 | pool_head")


def told(run: Search) -> list[tuple[str, str, float | None]]:
    return [(c.state, str(c.arch), c.accuracy) for c in run.stored.candidates()]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said while something is waited for, and no waiting."""
    said: list[str] = []
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(patience, "say", said.append)
    return said


def unbroken(folder: Path, trials: int) -> Search:
    folder.mkdir()
    run = search(folder, "random")
    run.run(Limits(trials=trials))
    return run


# --------------------------------------------------------------------------------------- Ctrl-C


@pytest.mark.parametrize("statement", range(1, 9))
@pytest.mark.parametrize("writes", [False, True])
def test_an_interrupted_transaction_holds_no_lock(tmp_path: Path, statement: int, writes: bool) -> None:
    """Ctrl-C falls after some statement of a call; while it is handled, other workers write at once."""
    storage = f"sqlite:///{tmp_path / 'nas.db'}"
    first, other = (search(tmp_path, "random", storage=storage) for _ in range(2))
    for _ in range(5):
        first.study.tell(first.study.ask(), [0.5, 1.0])
    trial, hasty, seen = first.study.ask(), shared(other.study), count(1)
    hasty.patience_s = 0.0
    hasty.engine.dispose()
    event.listen(hasty.engine, "connect", lambda made, _: made.execute("PRAGMA busy_timeout = 1000"))

    def interrupt(*_: object) -> None:
        if next(seen) == statement:
            raise KeyboardInterrupt

    event.listen(shared(first.study).engine, "after_cursor_execute", interrupt)
    call: Callable[[], object] = partial(trial.set_user_attr, "a", 1) if writes else first.study.get_trials
    try:
        for _ in range(statement):
            call()
        pytest.fail("nothing was interrupted")
    except KeyboardInterrupt:  # not after it: what held the lock would be gone by then
        other.study.ask().set_user_attr("b", 2)
    assert other.study.get_trials()[-1].user_attrs == {"b": 2}


# ------------------------------------------------------------------------------- disks that refuse


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO])
def test_weights_wait_for_a_disk_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: list[str], number: int
) -> None:
    whole, calls = files.save, []

    def refused(*args: object) -> None:
        calls.append(1)
        if len(calls) in (1, 2):
            raise OSError(number, os.strerror(number))
        whole(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "save", refused)
    run = search(tmp_path, "random")
    run.run(Limits(trials=3))
    assert told(run) == told(unbroken(tmp_path / "other", 3))
    assert " is not answering (" in heard[0]
    assert os.strerror(number) in heard[0]
    assert not list(tmp_path.rglob(".trial*"))


def test_a_disk_that_stays_full_ends_the_search_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: list[str]
) -> None:
    run = search(tmp_path, "random")
    run.run(Limits(trials=1))
    before = told(run)
    monkeypatch.setattr(files, "PATIENCE_S", -1.0)

    def refused(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "save", refused)
    run.evaluator = Oracle()  # type: ignore[assignment]
    with pytest.raises(Away, match=r"the disk of .* must answer, .* \(No space left on device\): the same command"):
        run.run(Limits(trials=9))
    assert told(run)[:1] == before
    assert told(run)[-1][0] == "running"  # the next start takes it up again: its worker is dead


@pytest.mark.parametrize(
    ("refuse", "allow", "said"),
    [
        ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", "database or disk is full"),
        ("PRAGMA query_only = 1", "PRAGMA query_only = 0", "readonly database"),
    ],
)
def test_a_database_on_a_disk_that_refuses_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: list[str], refuse: str, allow: str, said: str
) -> None:
    """SQLite's own errors, from the third candidate's training on until the search has noticed."""
    run, oracle, now = search(tmp_path, "random"), Oracle(), [allow]

    def told_of(text: str) -> None:
        heard.append(text)
        now[0] = allow

    @event.listens_for(shared(run.study).engine, "checkout")
    def _(connection: object, *_: object) -> None:
        connection.execute(now[0])  # type: ignore[attr-defined]

    def begin(arch: Arch) -> None:
        now[0] = refuse if len(oracle.seen) == 3 else now[0]

    monkeypatch.setattr(patience, "say", told_of)
    oracle.before = begin
    run.evaluator = oracle  # type: ignore[assignment]
    run.run(Limits(trials=5))
    assert said in heard[0]
    assert told(run) == told(unbroken(tmp_path / "other", 5))


def test_a_connection_that_broke_in_a_transaction_is_made_anew() -> None:
    """Found by restarting a server under two workers: SQLAlchemy says no more of it than that."""
    error = StorageInternalError("in the commit")
    error.__cause__ = PendingRollbackError("Can't reconnect until …")
    assert _passing(error) == "its connection broke"
    assert not _passing(StorageInternalError("of its own"))


def test_a_mistake_is_not_waited_for() -> None:
    def wrong() -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError):
        patiently(wrong, patience.disk_trouble, "it", 60.0)


def test_a_worker_whose_log_is_full_goes_on() -> None:
    """/dev/full is a disk without room."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space left"):
        os.write(descriptor, b"x")
    assert Log(descriptor).write(b"lost") == 4
    os.close(descriptor)


# ------------------------------------------------------------------------------------- exports


@pytest.mark.parametrize("renames", range(5))
def test_an_export_that_is_killed_is_whole_or_has_no_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """It replaces another, and ends before one of its four renames, or after all."""
    first, second = (fresh(Arch.parse(text), 3, 10) for text in TEXTS)
    export(first, tmp_path)
    whole, done = os.replace, []

    def replace(*paths: object) -> None:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(1)
        whole(*paths)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", replace)
    if renames < 4:
        with pytest.raises(KeyboardInterrupt):
            export(second, tmp_path)
    else:
        export(second, tmp_path)
    assert not list(half_written(tmp_path))
    assert (tmp_path / "network.py").is_file() == (renames == 4)
    assert not list(tmp_path.glob(".*"))


def test_the_judge_sees_an_export_of_two_networks(tmp_path: Path) -> None:
    for text, name in zip(TEXTS, ("one", "two"), strict=True):
        export(fresh(Arch.parse(text), 3, 10), tmp_path / name)
    (tmp_path / "two" / "network.json").write_text((tmp_path / "one" / "network.json").read_text())
    assert list(half_written(tmp_path / "two")) == [f"the export in {tmp_path / 'two'} has files of two networks"]
    (tmp_path / "one" / "network.safetensors").write_bytes(b"cut")
    assert "is not whole" in next(half_written(tmp_path / "one"))
    assert list(lost({1: ("complete",), 2: ("a",)}, {1: ("failed",)})) == [
        "trial 1 was ('complete',), now ('failed',)",
        "trial 2 is gone",
    ]


# -------------------------------------------------------------------------------- hangs and memory


def test_what_hangs_in_python_is_interrupted() -> None:
    begin = time.monotonic()
    with pytest.raises(Failed, match="timed out: it hung"), watchdog.overseen(0.05, soft_s=0.0):
        time.sleep(60)
    assert time.monotonic() - begin < 30
    with watchdog.overseen(0.05, soft_s=0.0):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0), "no alarm rings after the end"


def test_what_cannot_be_interrupted_ends_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """In another thread no signal arrives, as in code that never returns to Python."""
    ended, codes = threading.Event(), []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    monkeypatch.setattr(os, "_exit", end)

    def hang() -> None:
        with watchdog.overseen(0.02, soft_s=0.0, hard_s=0.05):
            ended.wait(60)

    thread = threading.Thread(target=hang)
    thread.start()
    thread.join(60)
    assert codes == [watchdog.HUNG]


LIMITED = """
import resource, torch
from nas import data
from nas.evaluate import Evaluator
from nas.recipe import QUICK
from nas.batches import Images
from nas.training import Failed
from search_spaces import Arch
torch.set_num_threads(1)
images = Images(data.load("fashion-subset"), 3, torch.device("cpu"))
recipe = QUICK.with_(steps=1, resolution=8, reference=64, batch_size=8, precision="fp32", glance=8, recalibration=8)
evaluator = Evaluator(recipe, images)
small = "r64 | conv_stem(width=8) | fire c{} | pool_head"
evaluator.evaluate(Arch.parse(small.format(16)))
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 200 * 2**20, resource.RLIM_INFINITY))
try:
    evaluator.evaluate(Arch.parse(small.format(32_000)))
except Failed as failure:
    print(failure.reason)
print(0 <= evaluator.evaluate(Arch.parse(small.format(24))).accuracy <= 1)
"""


def test_a_candidate_beyond_the_systems_limit_fails_and_the_next_one_trains() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["out", "of", "memory", "True"], done.stderr[-800:]


def test_nan_losses_fail_a_candidate_as_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    from nas import data, training
    from nas.batches import Images
    from nas.evaluate import Evaluator
    from nas.recipe import QUICK

    recipe = QUICK.with_(steps=2, resolution=8, reference=32, batch_size=8, precision="fp32", glance=8)
    evaluator = Evaluator(recipe, Images(data.load("fashion-subset"), 3, torch.device("cpu")))
    monkeypatch.setattr(training, "augmented", lambda images, *_: images * float("nan"))
    with pytest.raises(Failed, match="diverged"):
        evaluator.evaluate(Arch.parse(TEXTS[0]))
