"""Accuracy and cost of known networks on ImageNet, as published: the backdrop of accuracy-cost plots."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

TABLE = Path(__file__).parents[1] / "results" / "reference" / "published.csv"


@lru_cache(maxsize=1)
def published() -> pd.DataFrame:
    """One row a network: name, family, resolution, macs, params, top1 (percent), source; missing figures are NA.

    Raise `UserError` where the table did not come with the package (it lies in the repository's results/).
    """
    import pandas as pd

    if not TABLE.is_file():
        raise UserError(f"published figures are a table of the repository, but there is no {TABLE}")
    return pd.read_csv(TABLE).astype({"resolution": "Int64", "params": "Int64"})
