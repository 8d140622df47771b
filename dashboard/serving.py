"""How the pages reach a browser: who may ask, compression, downloads, a production server."""

from __future__ import annotations

import gzip
import hmac
import sys
from functools import lru_cache
from pathlib import Path
from traceback import extract_tb
from typing import Any

from flask import Flask, Response, abort, redirect, request, send_file
from werkzeug.exceptions import HTTPException

from dashboard.site import Site

LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "nas-token"
OWN = ("dashboard", "pages", "parts", "figures", "nas", "search_spaces")  # folders of what may be at fault
SMALLEST = 1000  # bytes that are worth compressing
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
            answer = redirect(request.path)
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

    @server.after_request
    def finish(answer: Response) -> Response:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return compressed(answer)


def _place(error: Exception) -> str:
    """An error in a line, with the innermost place of this project's where it was raised."""
    frames = [f for f in extract_tb(error.__traceback__) if Path(f.filename).parent.name in OWN]
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {str(error)[:200]!r}{where}"


def _host() -> str:
    """The name that the browser asked for, which a foreign page cannot forge (DNS rebinding)."""
    host = request.host
    return host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host


def compressed(answer: Response) -> Response:
    """The answer as gzip, where the browser takes it and it is worth it."""
    wanted = "gzip" in request.headers.get("Accept-Encoding", "") and answer.status_code == 200
    if not wanted or not (answer.mimetype or "").startswith(TEXTS) or "Content-Encoding" in answer.headers:
        return answer
    answer.direct_passthrough = False
    body = answer.get_data()
    if len(body) < SMALLEST:
        return answer
    static = request.path.startswith(("/_dash-component-suites/", "/assets/"))
    answer.set_data(_kept(request.full_path, body) if static else gzip.compress(body, 4))
    answer.headers["Content-Encoding"] = "gzip"
    answer.headers.add("Vary", "Accept-Encoding")
    return answer


@lru_cache(maxsize=64)
def _kept(path: str, body: bytes) -> bytes:
    """Scripts and styles never change while the server runs."""
    return gzip.compress(body, 6)


def serve(server: Flask, host: str, port: int) -> None:
    """Answer until Ctrl-C."""
    from waitress import serve as run

    run(server, host=host, port=port, threads=8, ident="nas-explorer", clear_untrusted_proxy_headers=True)
