"""The command line of what is timed on a large study: one that is made for it, or one that there is."""

from __future__ import annotations

import argparse


def parser(description: str | None, *, storage: str, n: int, rounds: str) -> argparse.ArgumentParser:
    """Options of the study, of repetitions and of the seed.

    storage: what happens to a storage that is given. n: how often to repeat. rounds: what is repeated.
    """
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--trials", type=int, default=5000, help="of the study that is made")
    result.add_argument("--storage", help=f"take this one; {storage}")
    result.add_argument("--study", default="large", help="its name")
    result.add_argument("--n", type=int, default=n, help=f"{rounds}; medians are told")
    result.add_argument("--seed", type=int, default=0)
    return result
