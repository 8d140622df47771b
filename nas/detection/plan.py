"""What a detector is made of, checked, before torchvision makes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.detection.backbone import Maps
from nas.errors import UserError

POOLED = 7  # RoIs are pooled to 7×7 (Girshick 2015)


@dataclass(frozen=True, eq=False)
class Plan:
    """The arguments of `detector`, with nothing left open. Sizes are in px."""

    maps: Maps
    num_classes: int
    min_size: int
    max_size: int
    mean: list[float]
    std: list[float]
    channels: int
    head_width: int
    options: Mapping[str, Any]


def made(model: Callable[..., Any], options: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    """Call torchvision; raise `UserError` for options that it does not know, as it would swallow them."""
    known = [name for name in inspect.signature(model).parameters if name not in ("backbone", "kwargs")]
    for name in options:
        if name not in known:
            listed = ", ".join(known)
            raise UserError(f"options must be arguments of torchvision's {model.__name__} ({listed}), but got {name!r}")
    return model(**{**arguments, **options})
