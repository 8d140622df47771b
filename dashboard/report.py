"""A study on one page that needs no server and no network, or its figures as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from dashboard.figures import PLAIN, curves, drawing, front, hypervolume, importance
from dashboard.metrics import percent
from dashboard.parts import trusted
from dashboard.studies import Studies, Study
from nas.errors import UserError
from nas.figures import write as write_figure
from nas.words import short

STYLE = """
body { font: 14px/1.5 system-ui, "Segoe UI", Roboto, Arial, sans-serif; color: #1f2933; background: #f4f5f7;
  margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px; }
section { background: #fff; border: 1px solid #e3e6ea; border-radius: 12px; padding: 16px 18px; margin-bottom: 16px; }
h1 { font-size: 22px; margin: 0 0 4px; }
h2 { font-size: 16px; margin: 0 0 8px; } p { color: #5f6b78; margin: 0 0 16px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid #e3e6ea; }
th:first-child, td:first-child { text-align: left; } .scroll { overflow-x: auto; }
pre { overflow-x: auto; background: #f6f7f9;
  padding: 10px 12px; border-radius: 8px; font-size: 12.5px; }
"""


def write(studies: Studies, names: Sequence[str] | None, page: Path | None, folder: Path | None) -> int:
    """Write the page, the figures or both; return the exit code of the command."""
    studies.demand(names or ())
    chosen = studies.get(names or list(studies.look()))
    drawn = figures(chosen)
    try:
        if page:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(document(chosen, drawn), encoding="utf-8")
            print(page)
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            _draw(drawn, folder)
    except OSError as error:
        raise UserError(f"a report must be written, but {error.filename or page} says: {error.strerror}") from None
    return 0


def _draw(drawn: dict[str, tuple[str, str, Any]], folder: Path) -> None:
    """Every figure as PNG."""
    for name, (_, _, figure) in drawn.items():
        figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", margin={"l": 64, "r": 32, "t": 64, "b": 64})
        write_figure(figure, folder / f"{name}.png")
        print(folder / f"{name}.png")


def figures(studies: Sequence[Study]) -> dict[str, tuple[str, str, Any]]:
    """Every figure of the report: file name → (heading, what it shows, figure)."""
    found = {
        "front": ("Accuracy against FLOPs", "", front.plot(front.data(studies))),
        "growth": ("Growth of the front", hypervolume.about(studies), hypervolume.plot(hypervolume.data(studies))),
    }
    for i, study in enumerate(studies):
        row = study.best
        if row is None:
            continue
        mark, meta = f"-{i + 1}" if len(studies) > 1 else "", study.meta
        blocks = drawing.data(row.arch, meta["in_channels"], meta["num_classes"])
        found[f"best{mark}"] = (f"{study.name}: the best network, trial {row.number}", "", drawing.plot(blocks))
        candidate = study.candidate(row.number)
        field = [c.curve for c in study.stored.candidates() if c.curve]
        if candidate and candidate.curve:
            shown = curves.plot(curves.data({f"trial {row.number}": candidate.curve}, field))
            found[f"curve{mark}"] = (f"{study.name}: its learning curve", "", shown)
        choices = importance.data(study.rows)
        if choices:
            found[f"matters{mark}"] = (f"{study.name}: what matters at equal FLOPs", "", importance.plot(choices))
    return found


def document(studies: Sequence[Study], drawn: dict[str, tuple[str, str, Any]]) -> str:
    """The page, with plotly.js in it once."""
    title = escape(", ".join(study.name for study in studies))
    first = True
    parts = []
    for heading, about, figure in drawn.values():
        body = figure.to_html(full_html=False, include_plotlyjs=first, include_mathjax=False, config=PLAIN)
        parts.append(f"<section><h2>{escape(heading)}</h2>{f'<p>{escape(about)}</p>' if about else ''}{body}</section>")
        first = False
    tables = "".join(f"<section><h2>{escape(s.name)}: front</h2>{_table(s)}</section>{_trust(s)}" for s in studies)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body><main><h1>{title}</h1><p>{_about(studies)}</p>{parts[0]}{tables}{''.join(parts[1:])}</main></body></html>\n"
    )


def _about(studies: Sequence[Study]) -> str:
    said = [f"{s.about}: {len(s.trained):,} trained networks" for s in studies]
    return escape("; ".join(said))


def _table(study: Study) -> str:
    columns, cells = study.columns("flops"), []
    for row in (columns.rows[i] for i in reversed(columns.front)):
        numbers = (percent(row.accuracy), short(row.cost.flops), short(row.cost.macs), short(row.cost.params))
        cells.append(
            f"<tr><td>trial {row.number}</td>{''.join(f'<td>{n}</td>' for n in numbers)}</tr>"
            f'<tr><td colspan="5"><pre>{escape(str(row.arch))}</pre></td></tr>'
        )
    return _tabulated(("Network", "Accuracy", "FLOPs", "MACs", "Params"), cells)


def _trust(study: Study) -> str:
    """What became of the networks that were trained longer, the best first; nothing where none was."""
    if not study.trust:
        return ""
    cells = [
        f"<tr><td>trial {pair.number}</td><td>{percent(pair.short)}</td><td>{percent(pair.long)}</td></tr>"
        for pair in trusted.ranked(study)
    ]
    said = f"<p>{escape(trusted.sentence(study))}.</p>"
    return f"<section><h2>{escape(study.name)}: trust</h2>{said}{_tabulated(trusted.HEADS, cells)}</section>"


def _tabulated(names: Sequence[str], rows: Sequence[str]) -> str:
    heads = "".join(f"<th>{name}</th>" for name in names)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
