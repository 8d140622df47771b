"""Callbacks as a browser calls them: over HTTP, by the names of their outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dash import Dash

HEADERS = {"Host": "127.0.0.1:8050"}


class Client:
    """`client("front-figure.figure", version={…}, …)` posts what a page would, and returns what it would get."""

    def __init__(self, app: Dash) -> None:
        self.http = app.server.test_client()
        self.callbacks: list[dict[str, Any]] = self.http.get("/_dash-dependencies", headers=HEADERS).json

    def __call__(self, output: str, trigger: str = "", **values: Any) -> dict[str, Any]:
        """Values are by id, with _ for -, or by `id.property`; what is not given is None."""
        found = next(c for c in self.callbacks if output in c["output"])
        given = {name.replace("__", ".").replace("_", "-"): value for name, value in values.items()}
        inputs, state = (self._filled(found[kind], given) for kind in ("inputs", "state"))
        body = {
            "output": found["output"],
            "outputs": self._outputs(found["output"]),
            "inputs": inputs,
            "state": state,
            "changedPropIds": [trigger] if trigger else [],
        }
        answer = self.http.post("/_dash-update-component", json=body, headers=HEADERS)
        assert answer.status_code in (200, 204), answer.text
        response: dict[str, Any] = json.loads(answer.text)["response"] if answer.status_code == 200 else {}
        return response

    @staticmethod
    def _filled(wanted: list[dict[str, Any]], given: dict[str, Any]) -> list[Any]:
        filled: list[Any] = []
        for one in wanted:
            name, prop = one["id"], one["property"]
            if name.startswith("{"):
                filled.append(given.get("each", []))
                continue
            value = given.get(f"{name}.{prop}", given.get(name))
            filled.append({"id": name, "property": prop, "value": value})
        return filled

    @staticmethod
    def _outputs(text: str) -> Any:
        several = text.startswith("..")
        parts = [part.rpartition(".") for part in text.strip(".").split("...")]
        named = [{"id": name, "property": prop.partition("@")[0]} for name, _, prop in parts]
        return named if several else named[0]


def every(kind: str, answer: Any) -> Iterator[Any]:
    """Components of a kind, from the top of an answer to its bottom."""
    if isinstance(answer, dict) and answer.get("type") == kind:
        yield answer
    inner = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else ()
    for one in inner:
        yield from every(kind, one)


def words(answer: Any) -> str:
    """What is read of a component."""
    if isinstance(answer, dict):
        return words(answer["props"].get("children"))
    return "".join(map(words, answer)) if isinstance(answer, list) else "" if answer is None else str(answer)


def pairs(answer: Any) -> dict[str, str]:
    """Names and values of the facts that an answer tells."""
    names, values = (map(words, every(kind, answer)) for kind in ("Dt", "Dd"))
    return dict(zip(names, values, strict=True))


def lines(answer: Any, label: str) -> list[list[str]]:
    """The cells of a table's rows, the heads' first."""
    (table,) = (one for one in every("Table", answer) if label in json.dumps(one))
    return [[words(cell) for cell in row["props"]["children"]] for row in every("Tr", table)]
