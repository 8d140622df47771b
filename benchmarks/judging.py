"""Scores of networks held against the accuracies that a table published: rank correlations on sets of networks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from macro_networks import Row
from scipy.stats import rankdata

from nas import data as datasets
from nas import device as devices
from nas.batches import Images
from nas.data.images import Split
from nas.ranking import interval, kendall, spearman

FEWEST = 4  # networks that a correlation is worth telling of


def images(folder: str, validation: int) -> Images:
    """A data set at 32 px on the CPU, with `validation` of its validation images, always the same."""
    data = datasets.load(folder, seed=0, size=32)
    few = torch.randperm(len(data.val), generator=torch.Generator().manual_seed(0))[:validation]
    return Images(replace(data, val=Split(data.val.images[few], data.val.labels[few])), 3, devices.pick("cpu"))


def known(path: Path) -> dict[str, dict[str, Any]]:
    """What a benchmark kept before, by the network's name in the table."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {row["choices"]: row for row in map(json.loads, lines)}


def correlations(
    names: Sequence[str],
    scores: Mapping[str, Sequence[float]],
    table: Mapping[str, Row],
    sets: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """For each set and score, how well it ranks the set's networks; `scores` hold a value for each of `names`."""
    found = {}
    for name, members in sets.items():
        here = [i for i, one in enumerate(names) if one in members]
        truth = [table[names[i]].accuracy for i in here]
        rows = {label: _judged([score[i] for i in here], truth) for label, score in scores.items()}
        found[name] = rows if len(here) >= FEWEST else {}
    return found


def mean_ranks(*scores: Sequence[float]) -> list[float]:
    """Scores joined without a weight to choose: the mean of a network's places."""
    return [float(place) for place in np.mean([rankdata(score) for score in scores], axis=0)]


def _judged(score: Sequence[float], truth: Sequence[float]) -> dict[str, Any]:
    low, high = interval(spearman, score, truth)
    said = {"n": len(truth), "spearman": spearman(score, truth), "low": low, "high": high}
    return said | {"kendall": kendall(score, truth)}


def as_lines(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """A table for people."""
    lines = ["set     score                n  spearman  (95 %)          kendall"]
    for name, rows in found.items():
        for label, one in rows.items():
            shown = f"{one['spearman']:+.2f}     ({one['low']:+.2f}, {one['high']:+.2f})  {one['kendall']:+.2f}"
            lines.append(f"{name:7s} {label:18s} {one['n']:3d}  {shown}")
    return lines
