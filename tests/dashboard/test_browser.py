"""The journeys of a person, in a real browser: an error in the page or in a callback fails them.

`DASHBOARD_PICTURES=folder` keeps what was seen.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from shutil import which
from threading import Thread

import pytest
from optuna.trial import TrialState
from waitress.server import create_server

from dashboard import pages
from dashboard.app import create
from dashboard.studies import Studies
from nas.words import short
from search_spaces import Arch, cost, zoo
from search_spaces.scaling import compound
from tests.dashboard.browser import PATIENCE_S, Browser
from tests.dashboard.studying import grow, make, running

pytestmark = pytest.mark.skipif(which("chromium") is None, reason="needs chromium")
NARROW = "document.documentElement.scrollWidth <= window.innerWidth"
POINTS = "document.querySelectorAll('#front-figure .scatterlayer .point').length"
WHOLE = (
    "document.querySelector('#detail .ledger') && document.querySelector('#detail .js-plotly-plot .barlayer path')"
    f" && {POINTS} > 0"
)

AT_HOME = """
import sys, torch
sys.modules |= dict.fromkeys(("nas", "search_spaces", "dashboard"))  # None: importing any of them fails
sys.path.insert(0, sys.argv[1])
from network import load
network = load().eval()
print(network(torch.zeros(2, 3, 64, 64)).shape[1], sum(p.numel() for p in network.parameters()))
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a dashboard on a study of its own, and the study's folder."""
    make(tmp_path, 24)
    app = create(Studies([f"sqlite:///{tmp_path / 'nas.db'}"]), tmp_path / "exports")
    server = create_server(app.server, host="127.0.0.1", port=0, threads=8)

    def serve() -> None:
        with suppress(OSError):  # closing the server takes its sockets away from under the loop
            server.run()

    Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}", tmp_path
    server.close()


def journey(steps: Callable[[Browser], Awaitable[None]], name: str, **looks: int | bool) -> Browser:
    """Go it, take a picture at its end, and insist that the browser had nothing to complain of."""
    browser = Browser(**looks)  # type: ignore[arg-type]

    async def go() -> None:
        async with browser as page:
            await steps(page)
            if folder := os.environ.get("DASHBOARD_PICTURES"):
                await page.picture(Path(folder) / f"{name}.png")

    asyncio.run(go())
    assert browser.complaints == []
    return browser


def test_open_choose_axes_pick_a_network_and_take_it_home(served: tuple[str, Path], tmp_path: Path) -> None:
    """What was downloaded is imported by a fresh process that cannot import this project, and run there."""
    url, folder = served
    home = tmp_path / "home"
    home.mkdir()

    async def steps(page: Browser) -> None:
        await page.downloads_to(home)
        await page.open(url)
        await page.until(WHOLE)
        assert await page.run("document.title") == "Front – nas-explorer"
        await page.click("document.querySelector('#front-metric label:nth-of-type(3)')")
        await page.until("document.querySelector('#front-figure .xtitle').textContent == 'Parameters (millions)'")
        await page.until(
            "document.querySelector('#front-figure-said').textContent.includes('Parameters')"
        )  # the list too
        last = "[...document.querySelectorAll('#front-list .pick')].at(-1)"
        name = await page.run(f"(last => (last.focus(), last.click(), last.textContent))({last})")
        await page.until(f"document.querySelector('#detail h2').textContent == '{name}'")
        await page.click(
            "[...document.querySelectorAll('.export .button')].find(b => b.textContent == 'Python module')"
        )
        await page.until("!!document.querySelector('.export a')")
        await until(lambda: list(home.glob("*.zip")), "the download")

    browser = journey(steps, "front")
    assert all(address.startswith((url, "data:", "blob:", "about:")) for address in browser.addresses)
    assert list((folder / "exports").rglob("network.py"))
    (packed,) = home.glob("*.zip")
    zipfile.ZipFile(packed).extractall(home / "network")
    spec = json.loads((home / "network" / "network.json").read_text(encoding="utf-8"))
    ran = subprocess.run([sys.executable, "-I", "-c", AT_HOME, str(home / "network")], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    logits, params = ran.stdout.split()
    assert int(logits) == spec["num_classes"]
    assert int(params) == cost(Arch.parse(spec["arch"]), spec["in_channels"], spec["num_classes"]).params


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something outside the page."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not come within {PATIENCE_S} s"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(("width", "height", "dark"), [(1280, 900, False), (390, 844, True)])
def test_every_page_stands_in_light_and_dark_and_on_a_phone(
    served: tuple[str, Path], width: int, height: int, dark: bool
) -> None:
    async def steps(page: Browser) -> None:
        for at in pages.pages():
            await page.open(served[0] + at.PATH)
            await page.until("!!document.querySelector('main h1')")
            await page.until("!!document.querySelector('main .js-plotly-plot .main-svg, main .ag-row, main .empty')")
            assert await page.run(NARROW), f"{at.PATH} is wider than {width} px"
            theme = await page.run("document.documentElement.getAttribute('data-theme')")
            assert theme == ("dark" if dark else "light")
            if folder := os.environ.get("DASHBOARD_PICTURES"):
                await asyncio.sleep(3)
                await page.picture(Path(folder) / f"{at.LABEL}-{width}-{theme}.png")

    journey(steps, f"last-{width}", width=width, height=height, dark=dark)


def test_a_point_is_clicked_and_new_ones_keep_the_zoom(served: tuple[str, Path]) -> None:
    url, folder = served
    graph = "document.querySelector('#front-figure .js-plotly-plot')"

    async def steps(page: Browser) -> None:
        await page.open(url)
        await page.until(WHOLE)
        number = await page.run(f"{graph}.data[0].customdata[4].split(':')[1]")
        click = (
            f"{graph}.emit('plotly_click', {{points: [{{customdata: {graph}.data[0].customdata[4], curveNumber: 0}}]}})"
        )
        await page.run(f"({click}, 1)")
        await page.until(f"document.querySelector('#detail h2').textContent == 'Trial {number}'")
        await page.run(f"Plotly.relayout({graph}, {{'yaxis.range': [60, 80]}}).then(() => 1)")
        before = await page.run(f"{graph}.data[0].x.length")
        grow(make(folder, 0), range(24, 27), Random(3))
        await page.until(f"{graph}.data[0].x.length == {before + 3}")
        assert await page.run(f"{graph}.layout.yaxis.range.join()") == "60,80"

    journey(steps, "grown")


def test_the_keyboard_reaches_the_page_and_skips_the_menu(served: tuple[str, Path]) -> None:
    async def steps(page: Browser) -> None:
        await page.open(served[0])
        await page.until(WHOLE)
        await page.press("Tab", 9)
        assert await page.run("document.activeElement.className") == "skip"
        unnamed = (  # a menu's button is reached through an input before it, which only hands the focus on
            "[...document.querySelectorAll('button, a, input:not([type=hidden], .dash-dropdown-focus-target)')]"
            ".filter(e => e.offsetParent && (e.tabIndex >= 0 || e.matches('.dash-dropdown')) && !e.closest('.modebar')"
            " && !((e.matches('.dash-dropdown') ? '' : e.textContent.trim()) || e.title || e.labels?.length"
            " || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML)"
        )
        assert await page.run(unnamed) == []
        assert await page.run("document.documentElement.lang") == "en"
        assert await page.run("document.querySelector('nav a[aria-current=page]').textContent") == "Front"

    journey(steps, "keyboard")


def test_a_network_is_chosen_a_slider_moved_and_its_cost_follows(served: tuple[str, Path]) -> None:
    costs = "document.querySelector('#scaling-costs dd')?.textContent"
    marker = "document.querySelector('#scaling-contours .js-plotly-plot')?.data?.[3]?.x?.[0]"

    async def steps(page: Browser) -> None:
        await page.open(served[0] + "/scaling")
        await page.until(f"{costs} == '401.7M 1.00×'")
        await page.click("document.querySelector('#scaling-network')")
        option = "[...document.querySelectorAll('.dash-dropdown-option')].find(e => e.textContent == 'mobilenet_v2')"
        await page.until(f"!!{option}")
        await page.run(f"{option}.click()")  # wherever the list has scrolled to by now
        await page.until(f"{costs} == '314.2M 1.00×'")
        await page.until(f"{marker} == 1")
        sliders = "[...document.querySelectorAll('input[type=range]')]"
        names = await page.run(f"{sliders}.map(e => e.labels[0].textContent)")
        assert names == ["Compound φ", "Depth", "Width", "Resolution"]
        await page.run(f"{sliders}[0].focus()")
        await page.press("ArrowRight", 39, 10)
        grown = cost(compound(zoo.find("mobilenet_v2").arch, 1))
        await page.until(f"{costs}?.startsWith('{short(grown.flops)} ')")
        assert await page.run("document.querySelector('#scaling-depth-said').textContent") == "1.20×"
        assert await page.run(f"{sliders}[1].value") == "1.2"
        await page.until(f"{marker} == 1.2")
        await page.run(f"{sliders}[2].focus()")
        await page.press("ArrowRight", 39)
        await page.until("document.querySelector('#scaling-phi-said').textContent == '1.1'")
        await page.run("document.querySelector('#scaling-reset').click()")
        await page.until(f"{costs} == '314.2M 1.00×'")

    journey(steps, "scaling")


@pytest.mark.parametrize("path", ["/scaling", "/networks"])
def test_a_chosen_trial_is_still_chosen_after_a_reload(served: tuple[str, Path], path: str) -> None:
    menu = f"document.querySelector('{'#scaling-network' if path == '/scaling' else '#networks-chosen'}')"
    trial = "[...document.querySelectorAll('.dash-dropdown-option')].find(e => e.textContent.startsWith('trial '))"

    async def steps(page: Browser) -> None:
        await page.open(served[0] + path)
        await page.until(f"!!{menu}")
        await page.click(menu)
        await page.until(f"!!{trial}")
        await page.run(f"{trial}.click()")
        await page.until(f"{menu}.textContent.includes('trial ')")
        await page.open(served[0] + path)
        await page.until(f"{menu}?.textContent.includes('trial ')")

    journey(steps, f"reloaded{path.replace('/', '-')}")


def test_a_search_is_watched_as_it_runs(served: tuple[str, Path]) -> None:
    """A trial begins, is told with its curve, and ends; nothing is reloaded."""
    url, folder = served
    stored = make(folder, 0)

    async def steps(page: Browser) -> None:
        await page.open(f"{url}/live")
        await page.until("document.querySelector('#live-running')?.textContent == 'No trial is running.'")
        await page.run("window.same = true")
        number = running(stored, Random(5), points=2)
        await page.until(f"document.querySelector('#live-running table')?.textContent.includes('Trial {number}')")
        lines = "document.querySelector('#live-curves .js-plotly-plot')?.data?.map(t => t.name)"
        await page.until(f"{lines}.includes('trial {number}')")
        stored.study.tell(number, state=TrialState.FAIL)
        await page.until(f"document.querySelector('#live-latest table').textContent.includes('Trial {number}')")
        await page.until("document.querySelector('#live-running').textContent == 'No trial is running.'")
        assert await page.run("window.same") is True

    journey(steps, "watched")


def test_the_theme_is_changed_and_kept(served: tuple[str, Path]) -> None:
    theme, shown = "document.documentElement.dataset.theme", "getComputedStyle(document.querySelector('.card'))"

    async def steps(page: Browser) -> None:
        await page.open(served[0])
        await page.until(WHOLE)
        assert await page.run(theme) == "light"
        light = await page.run(f"{shown}.backgroundColor")
        await page.click("document.querySelector('#theme')")
        assert await page.run(theme) == "dark"
        assert await page.run(f"{shown}.backgroundColor") != light
        await page.open(served[0] + "/live")
        await page.until("!!document.querySelector('#live-running')")
        assert await page.run(theme) == "dark"

    journey(steps, "dark")
