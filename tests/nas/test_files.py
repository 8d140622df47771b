"""Files are whole or not there, and what a killed process left beside them goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas import processes
from nas.files import write_text, written_aside

KILLED = """
import os, signal, sys
from pathlib import Path
from nas.files import written_aside
with written_aside(Path(sys.argv[1])) as aside:
    aside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_wrote_aside_goes_with_the_next_file(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "one.txt")], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".one.txt.")
    assert left.read_text() == "half"

    write_text("whole", tmp_path / "other.txt")

    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_what_a_living_process_or_another_machine_writes_stays(tmp_path: Path) -> None:
    with written_aside(tmp_path / "one.txt") as aside:
        living = aside.with_suffix(f".{os.getppid()}")
        aside.write_text("")
    elsewhere = tmp_path / ".one.txt.another-machine.999999999"
    people = tmp_path / ".hidden.2026"
    for path in (living, elsewhere, people):
        path.write_text("")

    write_text("whole", tmp_path / "one.txt")

    assert {path.name for path in tmp_path.iterdir()} == {living.name, elsewhere.name, people.name, "one.txt"}


def test_what_a_container_of_the_same_hostname_writes_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = tmp_path / "namespace"
    namespace.write_text("")
    with monkeypatch.context() as other:
        other.setattr(processes, "NAMESPACE", namespace)
        with written_aside(tmp_path / "one.txt") as aside:
            theirs = aside.with_suffix(".999999999")  # a number of theirs, which nobody has here
            aside.write_text("")
    theirs.write_text("half")

    write_text("whole", tmp_path / "one.txt")

    assert theirs.read_text() == "half"


def test_a_place_is_one_word_also_without_a_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = processes.place()
    monkeypatch.setattr(processes, "NAMESPACE", tmp_path / "nowhere")
    assert here.startswith(processes.place())
    assert " " not in here
