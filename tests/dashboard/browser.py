"""A real browser, driven by its own protocol: open, look, click, and everything it complains about."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import choreographer

PATIENCE_S = 60.0
HARMLESS = ("GL Driver Message", "GroupMarkerNotSet")


class Browser:
    """`async with Browser() as page: await page.open(url)`."""

    def __init__(self, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self.width, self.height, self.dark = width, height, dark
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.bytes = 0

    async def __aenter__(self) -> Browser:
        self.browser = choreographer.Browser(headless=True, enable_sandbox=False)
        await self.browser.open()
        tab = await self.browser.create_tab("about:blank")
        self.session: Any = await tab.create_session()
        listeners = {
            "Runtime.exceptionThrown": self._threw, "Runtime.consoleAPICalled": self._said,
            "Log.entryAdded": self._logged,
            "Network.requestWillBeSent": self._asked, "Network.loadingFinished": self._loaded,
        }  # fmt: skip
        for name, listener in listeners.items():
            self.session.subscribe(name, listener)
        for domain in ("Runtime", "Log", "Page", "Network"):
            await self.send(f"{domain}.enable")
        size = {"width": self.width, "height": self.height, "deviceScaleFactor": 1, "mobile": self.width < 600}
        await self.send("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if self.dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.browser.close()

    async def send(self, method: str, **params: Any) -> Any:
        answer = await self.session.send_command(method, params=params)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    async def open(self, url: str) -> None:
        await self.send("Page.navigate", url=url)

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    async def until(self, condition: str) -> Any:
        """Wait until an expression is true, and return it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_S
        while not (found := await self.run(condition)):
            assert loop.time() < end, f"{condition} is not so after {PATIENCE_S} s: {self.complaints}"
            await asyncio.sleep(0.1)
        return found

    async def press(self, key: str, code: int, times: int = 1) -> None:
        """Press a key; `code` is its virtual key code."""
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                await self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    async def click(self, place: str) -> None:
        """Click with the mouse in the middle of the element that an expression finds."""
        await self.run(f"{place}.scrollIntoView({{block: 'center'}})")
        box = await self.run(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({place}.getBoundingClientRect())")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            pressed = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            await self.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], **pressed)

    async def downloads_to(self, folder: Path) -> None:
        """Keep what the page downloads in a folder."""
        await self.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    async def picture(self, path: Path) -> None:
        """A screenshot of what is in view."""
        shot = await self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    async def _threw(self, event: Any) -> None:
        self.complaints.append(json.dumps(event["params"]["exceptionDetails"])[:500])

    async def _said(self, event: Any) -> None:
        if event["params"]["type"] in ("error", "assert"):
            self.complaints.append(json.dumps(event["params"]["args"])[:500])

    async def _logged(self, event: Any) -> None:
        entry = event["params"]["entry"]
        if entry["level"] == "error" or (entry["level"] == "warning" and not any(h in entry["text"] for h in HARMLESS)):
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    async def _asked(self, event: Any) -> None:
        self.addresses.append(event["params"]["request"]["url"])

    async def _loaded(self, event: Any) -> None:
        self.bytes += int(event["params"]["encodedDataLength"])
