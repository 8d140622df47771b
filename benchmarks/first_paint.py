"""What a person waits for: each page in a real Chromium, from the address to its figures, and the bytes on the way.

Makes the study of `dashboard_speed.py`, or takes a storage, and serves it. `cold`: a browser that was never there;
`warm`: the same browser once more, which kept what it may keep. Told are the bytes on the wire until nothing was
loaded for a second, headers included, the first contentful paint, and when the page's figures (on the front page every
trained network) were drawn. The server has answered each page once before. Medians of n browsers.

    python benchmarks/first_paint.py --trials 5000
    python benchmarks/first_paint.py --storage sqlite:///results/nas.db --n 5
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from dashboard_speed import Growing, served
from large_study import parser

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.dashboard.browser import Browser

PAGES = ("/", "/trials", "/networks", "/scaling", "/space", "/live")
DRAWN = {"/": "document.querySelectorAll('#front-figure .scatterlayer .point').length >= {points}"}
FIGURE = "!!document.querySelector('main .js-plotly-plot .main-svg .plot, main .ag-row')"
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
CALM_S = 1.0


@dataclass(frozen=True)
class Seen:
    """One opening of a page: bytes on the wire, and milliseconds from the address on."""

    size: int
    paint_ms: float
    drawn_ms: float


def main() -> int:
    options = parser(__doc__, storage="it is only read", n=3, rounds="browsers")
    options.add_argument("--page", action="append", choices=PAGES, help="(default: all)")
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storage = args.storage or f"sqlite:///{folder}/nas.db"
        study = Growing(storage, args.study, args.seed)
        if not args.storage:
            study.grow(args.trials)
        points = round(0.9 * len(study))  # some failed: one in twenty of those that were made here
        print(f"{len(study):,} trials, seed {args.seed}, n = {args.n}, medians")
        with served(storage, folder) as url:
            asyncio.run(told(url, args.page or PAGES, points, args.n))
    return 0


async def told(url: str, pages: tuple[str, ...], points: int, n: int) -> None:
    """Open every page n times in a browser of its own, twice in each."""
    for page in pages:
        drawn = DRAWN.get(page, FIGURE).format(points=points)
        await opened(url + page, drawn)  # the server reads, and compresses its scripts
        rounds = [await opened(url + page, drawn) for _ in range(n)]
        for i, name in enumerate(("cold", "warm")):
            seen = [both[i] for both in rounds]
            size, paint, ready = (median(getattr(s, what) for s in seen) for what in ("size", "paint_ms", "drawn_ms"))
            print(f"{page:10s} {name}: {size / 1000:7.1f} KB, first paint {paint:5.0f} ms, drawn {ready:5.0f} ms")
        sys.stdout.flush()


async def opened(url: str, drawn: str) -> tuple[Seen, Seen]:
    """Cold and warm."""
    async with Browser() as page:
        return await _once(page, url, drawn), await _once(page, url, drawn)


async def _once(page: Browser, url: str, drawn: str) -> Seen:
    await page.open("about:blank")
    before, begin = page.bytes, time.perf_counter()
    await page.open(url)
    await page.until(drawn)
    drawn_ms = 1000 * (time.perf_counter() - begin)
    last, since = page.bytes, time.perf_counter()
    while time.perf_counter() - since < CALM_S:
        await asyncio.sleep(0.1)
        if page.bytes - last > 3_000:  # more than what a page asks every two seconds
            last, since = page.bytes, time.perf_counter()
    return Seen(page.bytes - before, await page.run(PAINT), drawn_ms)


if __name__ == "__main__":
    raise SystemExit(main())
