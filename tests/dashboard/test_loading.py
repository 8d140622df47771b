"""Scripts that come with a page: whatever its address looks like, and when one does not come."""

from __future__ import annotations

import asyncio
from pathlib import Path
from shutil import which

import pytest

from tests.dashboard.browser import Browser
from tests.dashboard.test_browser import journey, served

pytestmark = pytest.mark.skipif(which("chromium") is None, reason="needs chromium")
__all__ = ["served"]
ROWS = "document.querySelectorAll('main .ag-row').length > 0"
SETTLED = "!!document.querySelector('main h1') && !document.querySelector('._dash-loading-callback')"
LINK = "[...document.querySelectorAll('nav a')].find(a => a.textContent == '{}').click()"


@pytest.mark.parametrize("path", ["/trials/", "//trials", "/trials//"])
def test_slashes_at_an_addresss_end_change_nothing(served: tuple[str, Path], path: str) -> None:
    async def steps(page: Browser) -> None:
        await page.open(served[0] + "/live")
        await page.until(SETTLED)  # without this it failed on a busy machine; why was not found
        await page.run(f"history.pushState(null, '', '{served[0]}{path}'); dispatchEvent(new Event('popstate'))")
        await page.until(ROWS)

    journey(steps, "slashes")


def test_a_script_that_does_not_come_is_told_and_asked_for_again(served: tuple[str, Path]) -> None:
    browser = Browser()

    async def go() -> None:
        async with browser as page:
            await page.open(served[0] + "/live")
            await page.until("!!document.querySelector('main h1')")
            await page.send("Network.setBlockedURLs", urls=["*dash_ag_grid*"])
            await page.run(LINK.format("Trials"))
            await page.until("document.querySelector('main [role=alert]')?.textContent.includes('could not be loaded')")
            await page.run(LINK.format("Live"))
            await page.until("document.querySelector('main h1')?.textContent == 'Live'")
            await page.send("Network.setBlockedURLs", urls=[])
            await page.run(LINK.format("Trials"))
            await page.until(ROWS)
            assert not await page.run("document.querySelector('main [role=alert]')")

    asyncio.run(go())
    assert not [said for said in browser.complaints if "ag_grid" not in said and "ag-grid" not in said]
