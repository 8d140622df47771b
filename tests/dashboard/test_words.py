"""What figures show is said in a sentence each, and numbers can be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.dashboard.asking import Client
from tests.dashboard.test_callbacks import VERSION, said

TOLD: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("front-growth", "front-about.children", {"front_metric": "flops"}, "networks"),
    ("trials-lines", "trials-lines.figure", {}, "38 networks"),
    ("trials-matters", "trials-lines.figure", {}, "explains most"),
    ("live-pace", "live-facts.children", {}, "On average 180 trials an hour"),
    ("space-coverage", "space-part.options", {"space_part": "stem"}, "taken most"),
    ("scaling-family", "scaling-costs.children", {"scaling_network": "zoo/mobilenet_v2"}, "B0"),
)


@pytest.mark.parametrize(("figure", "callback", "values", "words"), TOLD, ids=[figure for figure, *_ in TOLD])
def test_figures_are_told_to_who_does_not_see_them(
    client: Client, figure: str, callback: str, values: dict[str, Any], words: str
) -> None:
    told = client(callback, version=VERSION, **values)[f"{figure}-said"]["children"]
    assert words in told
    assert len(told) < 400


@pytest.mark.parametrize(("figure", "callback", "values", "words"), TOLD, ids=[figure for figure, *_ in TOLD])
def test_without_a_study_nothing_is_made_up(
    client: Client, figure: str, callback: str, values: dict[str, Any], words: str
) -> None:
    told = client(callback, version={}, **values)[f"{figure}-said"]["children"]
    assert (told == "") == (figure != "scaling-family")


def test_a_chosen_trial_is_announced_by_its_heading_alone(client: Client) -> None:
    answer = client("detail.children", picked={"study": "toy", "trial": 3})
    assert answer["detail-said"]["children"] == "Trial 3 of toy, complete."
    page = json.dumps(client("content.children", ready="/", version=VERSION))
    (live,) = [part for part in page.split("{") if '"id": "detail-said"' in part]
    (panel,) = [part for part in page.split("{") if '"id": "detail"' in part]
    assert "aria-live" in live
    assert "aria-live" not in panel


def test_the_space_tells_what_is_exact_and_what_is_bounded(client: Client) -> None:
    words = said(client("space-about.children", version=VERSION))
    assert "between 41.75 and 42.13 %" in words
    assert "counted to within" in words
    assert "Size, cheapest and dearest are exact" in words


def test_a_long_number_stays_in_one_line(client: Client) -> None:
    words = said(client("space-about.children", version=VERSION))
    assert '{"children": "270,826,551,115,776", "className": "whole"}' in words
