"""A folder of images, decoded and read from the cache: seconds of both, and their ratio.

The folder's own cache is left alone; this one lies in a temporary folder.

    python benchmarks/reading.py --data cifar10/
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from nas import data
from nas.cli import Help, positive, run


def main() -> int:
    args = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAS_CACHE"] = folder
        decoded, first = timed(args.data, args.size)
        again = [timed(args.data, args.size) for _ in range(args.n)]
        kept = sum(path.stat().st_size for path in Path(folder).iterdir())
    read = min(seconds for seconds, _ in again)
    found = {"images": first[1], "decoded_s": decoded, "read_s": read, "ratio": decoded / read, "kept_bytes": kept}
    assert all(fingerprint == first for _, fingerprint in again)
    text = f"{first[1]} images: decoded in {decoded:.1f} s, read in {read:.2f} s: {decoded / read:.0f} times as fast"
    print(json.dumps(found, indent=1) if args.json else f"{text}; {kept / 1e6:.0f} MB are kept")
    return 0


def timed(folder: str, size: int) -> tuple[float, tuple[str, int]]:
    """Seconds of reading a folder as a command does, fingerprint included; what was read, and how many images."""
    begin = time.perf_counter()
    found = data.load(folder, size=size)
    fingerprint = found.fingerprint
    return time.perf_counter() - begin, (fingerprint, sum(map(len, found.splits.values())))


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    result.add_argument("--data", required=True, metavar="DIR", help="a folder of images")
    result.add_argument("--size", type=positive, default=64, metavar="PX", help="side that they are brought to")
    result.add_argument("--n", type=positive, default=3, metavar="N", help="readings, of which the fastest counts")
    result.add_argument("--json", action="store_true")
    return result


if __name__ == "__main__":
    run(main)
