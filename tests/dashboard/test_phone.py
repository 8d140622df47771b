"""What stands on a narrow screen can be seen there."""

from __future__ import annotations

from pathlib import Path
from shutil import which

import pytest

from tests.dashboard.browser import Browser
from tests.dashboard.test_browser import NARROW, journey, served

pytestmark = pytest.mark.skipif(which("chromium") is None, reason="needs chromium")
__all__ = ["served"]


def test_the_whole_menu_is_in_view(served: tuple[str, Path]) -> None:
    inside = (
        "[...document.querySelectorAll('nav a')].every(a => (r => r.left >= 0 && r.right <= innerWidth)"
        "(a.getBoundingClientRect()))"
    )

    async def steps(page: Browser) -> None:
        await page.open(served[0] + "/live")
        await page.until("!!document.querySelector('main h1')")
        await page.until(inside)
        assert await page.run(NARROW)

    journey(steps, "menu", width=400, height=800)


def test_numbers_of_the_cost_stand_apart_with_published_networks(served: tuple[str, Path]) -> None:
    apart = (
        "(boxes => boxes.length > 2 && boxes.every((b, i) => !i || boxes[i - 1].right < b.left))"
        "([...document.querySelectorAll('#front-figure .xtick text')].map(t => t.getBoundingClientRect())"
        ".sort((a, b) => a.left - b.left))"
    )

    async def steps(page: Browser) -> None:
        await page.open(served[0])
        await page.until("!!document.querySelector('#front-figure .main-svg')")
        await page.click("document.querySelector('#front-backdrop input')")
        await page.until("!!document.querySelector('#front-figure .y2title')")
        await page.until(apart)

    journey(steps, "backdrop", width=400, height=800)
