"""What dead workers leave: whose trials they are, that they are failed, and their candidates queued once more."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from nas.candidates import DIED, promotion
from nas.processes import place, runs, start_time
from nas.storage import shared

ORPHAN_S = 60.0  # a trial without a worker's name for this long was killed between two writes
GRACE_S = 900.0  # a trial on another host is given up so long after twice its time limit
NAME = "NAS_WORKER"  # environment variable: what the command that started a worker calls it


def me(candidate_timeout: float = math.inf) -> dict[str, Any]:
    """This process, as its trials name it: told apart from a later one of the same number by its start time.

    `until`: unix seconds after which other hosts may take it for dead, by the seconds a candidate may take.
    """
    found = {"host": place(), "pid": os.getpid(), "started": start_time(os.getpid()), "until": None}
    if candidate_timeout < math.inf:
        found["until"] = time.time() + 2 * candidate_timeout + GRACE_S
    return found | ({"name": os.environ[NAME]} if NAME in os.environ else {})


def revive(study: optuna.Study) -> list[int]:
    """Fail the trials whose worker is dead and queue each once more; return their numbers."""
    return [trial.number for trial in _running(study) if not _alive(trial) and bury(study, trial)]


def bury_all(study: optuna.Study, name: str) -> None:
    """Do so with the trials of the worker of that name, of which is known that it is dead."""
    for trial in _running(study):
        if trial.user_attrs.get("worker", {}).get("name") == name:
            bury(study, trial)


def bury(study: optuna.Study, trial: FrozenTrial) -> bool:
    """Fail a dead worker's trial and queue it once more, unless another worker does so at this moment."""
    storage = shared(study)
    try:
        storage.note(trial._trial_id, {"reason": DIED})
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False
    if not _deadly(study, trial):
        queue_again(study, trial)
    return True


def queue_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a broken trial's architecture once more."""
    queued = trial.system_attrs.get("fixed_params")  # of a trial that broke before it had an architecture
    if params := trial.params if "arch" in trial.user_attrs else queued:
        study.enqueue_trial(params, user_attrs={"retry_of": trial.number} | promotion(trial))


def earlier(study: optuna.Study, attrs: Mapping[str, Any], *links: str) -> Iterator[FrozenTrial]:
    """The trials that one with these attributes repeats (`retry_of`) or goes on from (`promotes`), to the first."""
    trials = study.get_trials(deepcopy=False)
    left, seen = [attrs], set[int]()
    while left:
        now = left.pop()
        numbers = {now[link] for link in links if link in now} - seen
        seen |= numbers
        yield from (found := [trials[number] for number in numbers])
        left += [trial.user_attrs for trial in found]


def _running(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _deadly(study: optuna.Study, trial: FrozenTrial) -> bool:
    """Whether a worker died of the same candidate before: an interrupted one did not."""
    return any(t.user_attrs.get("reason") == DIED for t in earlier(study, trial.user_attrs, "retry_of"))


def _alive(trial: FrozenTrial) -> bool:
    """Whether a running trial's worker is; one on another host, or in another container, is until it would be done."""
    worker = trial.user_attrs.get("worker")
    if worker is None:
        begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        return time.time() - begun < ORPHAN_S
    if worker["host"] != place():
        return time.time() < (worker.get("until") or math.inf)
    return runs(worker["pid"]) and bool(worker["started"] == start_time(worker["pid"]))
