"""How the pages reach a browser: who may ask, compression, downloads, a production server."""

from __future__ import annotations

import gc
import gzip
import hmac
import re
import sys
from functools import lru_cache
from pathlib import Path
from traceback import extract_tb
from typing import Any
from urllib.parse import urlencode

import brotli
from flask import Flask, Response, abort, redirect, request, send_file
from werkzeug.exceptions import HTTPException

from dashboard.loading import VENDORED, vendored_address
from dashboard.site import Site

LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "nas-token"
OWN = ("dashboard", "pages", "parts", "figures", "nas", "search_spaces")  # folders of what may be at fault
SMALLEST = 1000  # bytes that are worth compressing
BROTLI, GZIP = "br", "gzip"
QUICKLY = {BROTLI: 4, GZIP: 4}  # for answers that are made anew each time
BEST, WELL = {BROTLI: 11, GZIP: 9}, {BROTLI: 6, GZIP: 6}
LARGE = 400_000  # bytes of a script that is compressed well, which takes a quarter of a second, but not best: seconds
TEXTS = ("text/", "application/json", "application/javascript", "image/svg")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:",
}
"""A page that may ask nothing of another host. plotly.js makes functions and styles while it runs."""


def guard(server: Flask, site: Site, token: str = "") -> None:
    """Check every request, compress every answer, and offer the downloads."""

    @server.before_request
    def admit() -> Any:
        if not token:
            return None if _host() in LOOPBACK else abort(403, "this dashboard answers on this machine only")
        if hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), token.encode()):
            return None
        if hmac.compare_digest(request.args.get("token", "").encode(), token.encode()):
            kept = urlencode([(name, value) for name, value in request.args.items(multi=True) if name != "token"])
            answer = redirect(f"{request.path}?{kept}" if kept else request.path)
            answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
            return answer
        return abort(401, "this dashboard needs its token: open the address that it printed when it began")

    @server.route("/export/<name>")
    def export(name: str) -> Response:
        path = site.files.get(name)
        if path is None or not path.is_file():
            abort(404, "there is no such export: prepare it once more")
        return send_file(path.resolve(), as_attachment=True, download_name=path.name)

    @server.errorhandler(Exception)
    def refuse(error: Exception) -> Any:
        """A request that no page makes: a sentence for whoever asked, and a line for who reads the terminal."""
        if isinstance(error, HTTPException):
            return error
        print(f"a request to {request.path} was refused: {_place(error)}", file=sys.stderr)
        return Response("this request could not be answered: reload the page", 500, mimetype="text/plain")

    @server.route(vendored_address())
    def vendored() -> Response:
        answer = Response(VENDORED.read_bytes(), mimetype="application/javascript")
        answer.headers["Content-Encoding"] = BROTLI
        return answer

    @server.after_request
    def finish(answer: Response) -> Response:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if _static() and answer.status_code == 200:
            answer.headers["Cache-Control"] = "private, max-age=31536000, immutable"
        return encoded(answer)


def _place(error: Exception) -> str:
    """An error in a line, with the innermost place of this project's where it was raised."""
    frames = [f for f in extract_tb(error.__traceback__) if Path(f.filename).parent.name in OWN]
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {str(error)[:200]!r}{where}"


def _host() -> str:
    """The name that the browser asked for, which a foreign page cannot forge (DNS rebinding)."""
    host = request.host
    return host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host


def _static() -> bool:
    """Whether the address is of a script or a style, and changes with its content: a browser may keep it."""
    suites, assets = request.path.startswith("/_dash-component-suites/"), request.path.startswith("/assets/")
    return suites or request.path == vendored_address() or (assets and "m" in request.args)


def encoded(answer: Response) -> Response:
    """The answer as the browser takes it: by Brotli, by gzip or plain."""
    taken = [part.partition(";")[0].strip() for part in request.headers.get("Accept-Encoding", "").split(",")]
    if answer.headers.get("Content-Encoding") == BROTLI and BROTLI not in taken:
        answer.set_data(brotli.decompress(answer.get_data()))
        del answer.headers["Content-Encoding"]
    kind = next((kind for kind in (BROTLI, GZIP) if kind in taken), "")
    text = (answer.mimetype or "").startswith(TEXTS)
    if not kind or not text or answer.status_code != 200 or "Content-Encoding" in answer.headers:
        return answer
    answer.direct_passthrough = False
    body = answer.get_data()
    if len(body) < SMALLEST:
        return answer
    answer.set_data(_kept(kind, body) if _static() else _packed(kind, body, QUICKLY[kind]))
    answer.headers["Content-Encoding"] = kind
    answer.headers.add("Vary", "Accept-Encoding")
    return answer


@lru_cache(maxsize=64)
def _kept(kind: str, body: bytes) -> bytes:
    """Scripts and styles never change while the server runs: each is compressed once, and well."""
    return _packed(kind, body, (WELL if len(body) > LARGE else BEST)[kind])


def _packed(kind: str, body: bytes, quality: int) -> bytes:
    packed: bytes = brotli.compress(body, quality=quality) if kind == BROTLI else gzip.compress(body, quality)
    return packed


def prepare(server: Flask, token: str = "") -> None:
    """Compress every script that a browser may ask for, before one does: seconds that nobody then waits for."""
    asking = {"Host": LOOPBACK[0], "Accept-Encoding": BROTLI, "Cookie": f"{COOKIE}={token}"}
    http = server.test_client(use_cookies=False)
    page = brotli.decompress(http.get("/", headers=asking).data).decode()
    for address in re.findall(r'"(/(?:_dash-component-suites|assets)/[^"]+)"', page):
        http.get(address, headers=asking).close()


def freeze() -> None:
    """Leave what is there now, all that was imported above all, out of later garbage collections.

    Going through it takes some 150 ms, which now and then an answer would have to wait for.
    """
    gc.collect()
    gc.freeze()


def serve(server: Flask, host: str, port: int) -> None:
    """Answer until Ctrl-C."""
    from waitress import serve as run

    freeze()
    run(server, host=host, port=port, threads=8, ident="nas-explorer", clear_untrusted_proxy_headers=True)
