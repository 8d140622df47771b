"""Put faults into real searches at random moments, and count what was lost.

    python -m benchmarks.faults --rounds 3 --seed 0
    python -m benchmarks.faults --only kill_worker,full_disk --rounds 10

Each round is a search of tiny networks by the real command, in processes of its own. After the fault, and after the
same command has gone on to the end, these must hold: what was finished is there as it was; the wanted number of
trials is settled, none twice; no process is left; no export is half written; nobody saw a traceback.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.faults import judging, kinds
from benchmarks.faults.scene import Scene, Unfit, scene


def judged(stage: Scene, name: str) -> dict[str, Any]:
    """Strike, go on, and say what came of it."""
    wrong: list[str] = []
    try:
        kinds.FAULTS[name](stage)
        wrong += judging.lost(stage.before, stage.settled())
        wrong += judging.half_written(stage.results / "s" / "best")
        stage.undo.close()
        stage.run(stage.search(), 0)
        wrong += judging.lost(stage.before, stage.settled())
        wrong += judging.unfinished(stage)
        wrong += judging.half_written(stage.results / "s" / "best")
        wrong += judging.tracebacks(stage)
    except AssertionError as error:
        wrong.append(str(error))
    return {"injected": stage.injected, "wrong": wrong, "left_aside": judging.left_aside(stage)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of faults, with commas")
    parser.add_argument("--rounds", type=int, default=1, help="of each fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(kinds.FAULTS)
    if unknown := sorted(set(names) - set(kinds.FAULTS)):
        print(f"error: faults are {', '.join(kinds.FAULTS)}, but got {', '.join(unknown)}", file=sys.stderr)
        return 2
    rows: list[dict[str, Any]] = []
    for name in names:
        for repeat in range(args.rounds):
            begin, row = time.monotonic(), {"fault": name, "round": repeat}
            folder = Path(tempfile.gettempdir()) / f"faults-{name}-{args.seed}-{repeat}-{time.time_ns()}"
            with scene(folder, f"{args.seed}/{name}/{repeat}") as stage:
                try:
                    row |= judged(stage, name)
                except Unfit as why:
                    row |= {"injected": 0, "wrong": [], "left_aside": 0, "unfit": str(why)}
                row["settled_before"] = len(stage.before)
            row["seconds"] = round(time.monotonic() - begin, 1)
            rows.append(row)
            print(row, flush=True, file=sys.stderr if args.json else sys.stdout)
    said = {"injected": sum(r["injected"] for r in rows), "rounds": len(rows)}
    said |= {"rounds_with_something_wrong": sum(bool(r["wrong"]) for r in rows)}
    said |= {"finished_trials_at_risk": sum(r["settled_before"] for r in rows)}
    said |= {"unfit": sorted({r["fault"] for r in rows if "unfit" in r})}
    print(json.dumps(said | {"rows": rows}, indent=2) if args.json else said)
    return int(said["rounds_with_something_wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
