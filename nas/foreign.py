"""What a study says is checked before it is believed: it may come from a stranger, or from another tool.

Everything in it is text and numbers, and nothing of it is run; what is of the wrong kind is told in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from nas.errors import UserError
from nas.recipe import Recipe
from search_spaces.part import MAX_CHANNELS

MOST = 10**9  # of anything counted
LONGEST = 100_000  # characters of a text


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**63


def _text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def _count(most: int) -> Callable[[object], bool]:
    return lambda value: _whole(value) and 1 <= value <= most  # type: ignore[operator]  # a whole number by then


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _numbers(value: object) -> bool:
    return isinstance(value, list) and all(map(_number, value))


def _named_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_number, value.values()))


def _points(*names: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(_named_numbers(p) and set(names) <= p.keys() for p in value)


def _optional(rule: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or rule(value)


def _longer(value: object) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == LONGER
        and _named_numbers(value)
        and _whole(value["number"])
        and 0 <= value["long"] <= 1
    )


def _worker(value: object) -> bool:
    return (
        isinstance(value, dict)
        and _text(value.get("host"))
        and _count(2**31)(value.get("pid"))
        and _text(value.get("started"))
        and _optional(_number)(value.get("until"))
    )


def _scores(value: object) -> bool:
    return isinstance(value, dict) and all(map(_optional(_number), value.values()))


def _accuracies(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(row, list) and len(row) == 2 and _text(row[0]) and _number(row[1]) and 0 <= row[1] <= 1
        for row in value
    )


Rules = dict[str, tuple[Callable[[object], bool], str]]
TEXT = (_text, "text")
NUMBER = (_number, "a number")
REQUIRED: Rules = {
    "recipe": (lambda value: isinstance(value, dict), "a recipe"),
    "in_channels": (_count(MAX_CHANNELS), f"a whole number from 1 to {MAX_CHANNELS}"),
    "num_classes": (_count(10**6), "a whole number from 1 to 1000000"),
    "folder": (lambda value: _text(value) and "\0" not in str(value), "a path"),
    "space": TEXT,
}
STUDY: Rules = REQUIRED | {
    "budget": TEXT,
    "data": TEXT,
    "data_classes": (_count(10**6), "a whole number from 1 to 1000000"),
    "data_fingerprint": TEXT,
    "classes": (_texts, "texts"),
    "mean": (_numbers, "numbers"),
    "std": (_numbers, "numbers"),
    "seed": (_whole, "a whole number"),
    "schema": (_whole, "a whole number"),
    "resolution": (_optional(_text), "text"),
    "sampler": TEXT,
    "prefilter": TEXT,
    "evaluator": TEXT,
    "latency_table": TEXT,
    "device": TEXT,
    "licence": TEXT,
}
TRIAL: Rules = {
    "arch": TEXT,
    "curve": (_points("samples", "accuracy"), "points of samples, loss, accuracy and seconds"),
    "rungs": (_points("samples", "accuracy", "seconds"), "rungs of samples, accuracy and seconds"),
    "timings": (_named_numbers, "seconds by name"),
    "proposals": (_named_numbers, "counts by name"),
    "proxies": (_scores, "scores by name"),
    "reason": TEXT,
    "detail": TEXT,
    "seed": (_optional(_whole), "a whole number"),
    "pixels": (_optional(_count(MOST)), f"a whole number from 1 to {MOST}"),
    "before_s": (_optional(_number), "seconds"),
    "latency_ms": (lambda value: _number(value) and 0 < value < inf, "a number above 0"),  # type: ignore[operator]
    "retry_of": (_whole, "a trial's number"),
    "promotes": (_whole, "a trial's number"),
    "from": (_whole, "a trial's number"),
    "repeat": (_whole, "a whole number"),
    "worker": (_worker, "a host, a process and when it started"),
}
LONGER = {"number", "long", "samples", "seconds"}
TRAINING: Rules = {
    "test_accuracy": NUMBER,
    "test_std": NUMBER,
    "kept_test_accuracy": NUMBER,
    "accuracy": NUMBER,
    "pixels": (_optional(_count(MOST)), f"a whole number from 1 to {MOST}"),
    "weights": TEXT,
    "recipe": (lambda value: isinstance(value, dict), "a recipe"),
    "runs": (_points("seed", "accuracy", "test_accuracy", "seconds"), "runs of seed, accuracies and seconds"),
}
NOTES: Rules = {
    "earlier": (_accuracies, "architectures and accuracies"),
    "longer": (_longer, "a trial's number, its accuracy from 0 to 1, samples and seconds"),
    "limits": (
        lambda value: isinstance(value, dict) and all(value[name] is None or _number(value[name]) for name in value),
        "trials and times",
    ),
}


UNSAID: dict[str, Any] = {"budget": "", "data": "unknown data", "classes": [], "seed": 0, "sampler": "unknown"}
"""What is taken where a study does not say it; nothing goes on with such a study, for it differs from any command."""


def check_study(name: str, meta: object) -> dict[str, Any]:
    """What a study says of itself; raise `UserError` when that is of the wrong kind, or something is missing."""
    if not isinstance(meta, dict):
        raise UserError(f"a study must say what it is about, but {name} says {str(meta)[:80]!r}")
    for wanted in REQUIRED:
        if wanted not in meta:
            raise UserError(f"a study must say its {wanted}, but {name} does not: it was not made by this tool")
    _check(f"study {name}", meta, STUDY)
    Recipe.from_json(meta["recipe"])
    return {**UNSAID, "data_classes": meta["num_classes"], **meta}


def check_trial(name: str, number: int, attrs: Mapping[str, Any]) -> None:
    """Raise `UserError` when what a trial says is of the wrong kind, or names a trial that cannot have come before."""
    _check(f"trial {number} of {name}", attrs, TRIAL)
    for link in ("retry_of", "promotes", "from"):
        if link in attrs and not 0 <= attrs[link] < number:
            raise UserError(
                f"a trial's {link} must be an earlier trial, but trial {number} of {name} has {attrs[link]}"
            )


def check_notes(name: str, attrs: Mapping[str, Any]) -> None:
    """Raise `UserError` when what a study keeps of later trainings and of its latest run is of the wrong kind."""
    for key, value in attrs.items():
        if key.startswith("trained:"):
            if not isinstance(value, dict) or "test_accuracy" not in value:
                raise UserError(f"a training must say its test_accuracy, but one of {name} says {str(value)[:80]!r}")
            _check(f"training of {name}", value, TRAINING)
        _check(f"study {name}", {key.partition(":")[0]: value}, NOTES)


def _check(whose: str, said: Mapping[str, Any], rules: Rules) -> None:
    for key, value in said.items():
        if key in rules and not rules[key][0](value):
            raise UserError(
                f"{key} of a {whose.split()[0]} must be {rules[key][1]}, but {whose} has {str(value)[:80]!r}"
            )
