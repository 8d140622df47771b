"""The dashboard: studies and spaces in a browser. Reads; trains nothing; writes nothing but exports."""

from __future__ import annotations

import argparse
from pathlib import Path
from secrets import token_urlsafe
from threading import Thread
from urllib.parse import urlencode

from nas.cli import STORAGE, Help, add_blocks, run
from nas.errors import UserError

DESCRIPTION = """\
Look at studies in a browser: the front, every trial, the space, a search while it runs.

Binds to this machine alone. Under another address every request must bring the token that is printed.

examples:
  python -m dashboard
  python -m dashboard --storage sqlite:///results/nas.db --storage postgresql+psycopg://user@host/name
  python -m dashboard --export-html report.html     # a page that needs no server
"""
LAST_PORT = 65535


def port(text: str) -> int:
    """A TCP port."""
    if not text.isdecimal() or not 1 <= int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a whole number from 1 to {LAST_PORT}, but got {text!r}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m dashboard", description=DESCRIPTION, formatter_class=Help)
    about = "an Optuna storage, opened for reading only; may be given several times"
    result.add_argument("--storage", action="append", metavar="URL", help=f"{about} (default: {STORAGE})")
    add_blocks(result)
    about = "what is shown at first, or what a report is of; may be given several times"
    result.add_argument("--study", action="append", metavar="NAME", help=f"{about} (default: the latest, or all)")
    result.add_argument("--exports", type=Path, default=Path("results/exports"), metavar="DIR", help="where exports go")
    result.add_argument("--host", default="127.0.0.1", help="the address to bind to")
    result.add_argument("--port", type=port, default=8050, help="the port to bind to")
    result.add_argument("--token", metavar="TEXT", help="what every request must bring (default: made for other hosts)")
    result.add_argument("--export-html", type=Path, metavar="FILE", help="write a self-contained report and end")
    result.add_argument("--image", type=Path, metavar="DIR", help="write every figure of the report as PNG and end")
    return result


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    from dashboard.studies import Studies

    studies = Studies(args.storage or [STORAGE])
    if args.study:
        studies.demand(args.study)
    if args.export_html or args.image:
        from dashboard import report

        return report.write(studies, args.study, args.export_html, args.image)
    return _serve(args, studies)


def _serve(args: argparse.Namespace, studies: object) -> int:
    from dashboard.app import create
    from dashboard.serving import LOOPBACK, prepare, serve
    from dashboard.studies import Studies

    assert isinstance(studies, Studies)
    token = args.token or ("" if args.host in LOOPBACK else token_urlsafe(24))
    app = create(studies, args.exports, token)
    for ahead in (lambda: studies.get(list(studies.look())), lambda: prepare(app.server, token)):
        Thread(target=ahead, daemon=True).start()  # while the browser opens
    shown = f"[{args.host}]" if ":" in args.host else args.host
    query = urlencode([*([("token", token)] if token else []), *(("study", name) for name in args.study or ())])
    print(f"http://{shown}:{args.port}/{f'?{query}' if query else ''}  (Ctrl-C ends)", flush=True)
    try:
        serve(app.server, args.host, args.port)
    except OSError as error:
        raise UserError(f"the port must be free, but {args.host}:{args.port} says: {error.strerror}") from None
    return 0


if __name__ == "__main__":
    run(main)
