"""Fuzz the readers with atheris, which watches what code each text reaches and keeps those that reach more.

    pip install -e '.[fuzz]'
    python -m tests.fuzz --target architecture --seconds 120
    python -m tests.fuzz --seconds 60          # each of them, in a process of its own

A defect ends the run with its text and traceback; findings are then an example in tests/test_bad_input.py.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["search_spaces", "nas", "dashboard"]):
        from tests.fuzz.targets import TARGETS, dashboard_bodies

    chosen = TARGETS[name]
    corpus = Path(tempfile.mkdtemp(prefix=f"corpus-{name}-"))
    for i, seed in enumerate(chosen.seeds or dashboard_bodies()):
        (corpus / str(i)).write_bytes(seed)

    def once(data: bytes) -> None:
        chosen.read(data)

    limits = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=4096", "-max_len=20000"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={tempfile.gettempdir()}/", str(corpus)], once)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", metavar="NAME", help="(default: all but those that run what they read)")
    parser.add_argument("--seconds", type=int, default=60, help="of each")
    args = parser.parse_args()
    if args.target:
        fuzz(args.target, args.seconds)
        return 0
    from tests.fuzz.targets import TARGETS

    failed = []
    for each in TARGETS.values():
        if not each.runs:
            line = [sys.executable, "-m", "tests.fuzz", "--target", each.name, "--seconds", str(args.seconds)]
            done = subprocess.run(line, capture_output=True, text=True)
            said = [row for row in done.stderr.splitlines() if row.startswith(("Done", "stat::", "==", "#"))][-1:]
            print(each.name, "found something" if done.returncode else "ok", *said, flush=True)
            if done.returncode:
                print(done.stderr[-3000:] + done.stdout[-3000:])
                failed.append(each.name)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
