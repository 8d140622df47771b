"""Workers on a real Ray cluster of two nodes on this machine, of which one is killed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas import cluster
from nas.errors import UserError
from nas.store import Stored
from tests.nas.commands import DEADLINE_S, eventually, gone, opened, searching

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster whose head and second node have one CPU each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = started(attempts=3)
    yield made
    made.shutdown()


def started(attempts: int) -> Any:
    """Ray gives a node 30 s to start, whatever else a machine has to do: again, then."""
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 80 * 2**20, "num_cpus": 1}
    made = Cluster()
    try:
        made.add_node(**memory, include_dashboard=False)
        made.second = made.add_node(**memory)
    except Exception as error:
        made.shutdown()
        if attempts == 1:
            pytest.skip(f"Ray's nodes did not start on this machine: {error}")
        return started(attempts - 1)
    return made


def running(stored: Stored) -> dict[int, int]:
    """The process that works on each running trial."""
    return {c.number: c.attrs["worker"]["pid"] for c in stored.candidates() if c.state == "running"}


def under(node: Any) -> set[int]:
    """Processes that a node's daemon started."""
    (daemon,) = (each.process.pid for each in node.all_processes["raylet"])
    said = subprocess.run(["ps", "-o", "pid=", "--ppid", str(daemon)], capture_output=True, text=True, check=True)
    return {int(pid) for pid in said.stdout.split()}


def test_a_search_outlives_a_node_and_ends_clean_on_ctrl_c(nodes: Any, tmp_path: Path) -> None:
    line = ["--engine", "ray", "--address", nodes.address, "--workers", "2", "--trials", "50", "--steps", "60"]
    with searching(tmp_path, *line) as process:
        stored = eventually(lambda: opened(tmp_path))
        both = eventually(lambda: found if len(found := running(stored)) == 2 else {})
        (victim,) = (number for number, pid in both.items() if pid in under(nodes.second))  # one on each node
        nodes.remove_node(nodes.second, allow_graceful=False)
        eventually(lambda: [c for c in stored.complete() if c.attrs.get("retry_of") == victim])
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=DEADLINE_S)[1]
        eventually(lambda: all(map(gone, both.values())))
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "a worker ended by " in said
    assert "and is replaced" in said
    candidates, failed = stored.candidates(), [c for c in stored.candidates() if c.state == "failed"]
    complete = [str(c.arch) for c in stored.complete()]
    assert len(complete) == len(set(complete)) >= 2
    assert [c.number for c in failed if c.reason == "worker died"] == [victim]
    assert not [c for c in candidates if c.state == "running"]
    waiting = [t for t in stored.study.get_trials() if t.state.name == "WAITING"]
    assert len(waiting) == sum(c.reason == "interrupted" for c in failed), "what was in hand is queued"


def fake(**resources: float) -> Any:
    """What `Tasks` asks of Ray."""
    asked: dict[str, Any] = {}

    def remote(**given: Any) -> Any:
        asked.update(given)
        return lambda function: SimpleNamespace(remote=lambda *args: None)

    nodes = [{"Alive": True, "NodeManagerAddress": f"10.0.0.{i}"} for i in range(2)]
    return SimpleNamespace(
        init=lambda **_: None, nodes=lambda: nodes, cluster_resources=lambda: resources, remote=remote, asked=asked
    )


@pytest.mark.parametrize(
    ("resources", "given", "places", "share"),
    [
        ({"GPU": 8.0, "CPU": 64.0}, (None, None, None), 8, {"num_gpus": 1.0, "num_cpus": 8}),
        ({"GPU": 8.0, "CPU": 64.0}, (None, 2, None), 16, {"num_gpus": 0.5, "num_cpus": 4}),
        ({"CPU": 64.0}, (None, None, 4), 2, {"num_gpus": 0, "num_cpus": 4}),
        ({"CPU": 64.0}, (16, None, None), 16, {"num_gpus": 0, "num_cpus": 4}),
    ],
)
def test_workers_ask_for_their_share(
    monkeypatch: pytest.MonkeyPatch, resources: dict[str, float], given: tuple[Any, ...], places: int, share: Any
) -> None:
    library = fake(**resources)
    monkeypatch.setattr(cluster, "ray_of", lambda: library)
    made = cluster.Tasks([], "auto", *given, "postgresql+psycopg://there/nas")
    assert made.places == places
    assert {name: library.asked[name] for name in share} == share
    assert made.device == ("cuda" if "GPU" in resources else "cpu")


def test_mistakes_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    library = fake(CPU=2.0)
    monkeypatch.setattr(cluster, "ray_of", lambda: library)
    with pytest.raises(UserError, match="--workers-per-gpu needs a GPU, but the cluster has none"):
        cluster.Tasks([], "auto", None, 2, None, "postgresql+psycopg://there/nas")
    with pytest.raises(UserError, match="workers on 2 machines need a database that each of them reaches"):
        cluster.Tasks([], "auto", None, None, None, "sqlite:///results/nas.db")

    def refused(**_: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nmore")

    library.init = refused
    with pytest.raises(UserError, match="needs a cluster at auto, but Ray says: Could not find any running"):
        cluster.Tasks([], "auto", None, None, None, "")
