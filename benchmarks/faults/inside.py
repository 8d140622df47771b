"""Faults from within a process that searches: the space file of a scene calls `arm`, which reads the environment.

NAS_FAULT_INSIDE is KIND:CHANCE:SEED, where CHANCE is that of each batch.
"""

from __future__ import annotations

import os
import time
from random import Random
from typing import Any

VARIABLE = "NAS_FAULT_INSIDE"


def arm() -> None:
    """Replace what makes batches by what also breaks some."""
    if VARIABLE not in os.environ:
        return
    from nas import batches, training

    kind, chance, seed = os.environ[VARIABLE].split(":")
    rng, whole = Random(f"{seed}/{os.getpid()}"), batches.augmented

    def broken(images: Any, *more: Any) -> Any:
        images = whole(images, *more)
        if rng.random() >= float(chance):
            return images
        if kind == "hang":
            time.sleep(1e6)  # as a loader that waits for a file server
        return images * float("nan")

    training.augmented = broken  # type: ignore[assignment, attr-defined]
