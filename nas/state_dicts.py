"""State dicts: the best that there is of a study's network, and those in files, of which tensors alone are read."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from nas.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from nas.candidates import Candidate
    from nas.packaging.package import Accuracy
    from nas.store import Stored


def best(stored: Stored, candidate: Candidate) -> tuple[dict[str, Tensor], Accuracy]:
    """The weights of final training, else of longer training, else of the search, and what they are worth.

    A fine-tuned network's of the search may be better than those of longer training, which begins anew.
    """
    from nas.candidates import weights_name
    from nas.packaging.package import Accuracy

    report, data = candidate.trained or {}, stored.meta["data"]
    final = Path(report["weights"]) if report.get("weights") else None
    if final is not None and final.is_file():
        value = report.get("kept_test_accuracy", report["test_accuracy"])
        recipe = report.get("recipe", {})
        return _load(final), Accuracy(value, "test", data, report.get("pixels"), _epochs(recipe))
    tuned = candidate.accuracy or 0.0 if candidate.refines is not None else 0.0
    for row in stored.longer():
        longer = stored.folder / weights_name(candidate.number, row["samples"])
        if row["number"] == candidate.number and longer.is_file() and row["long"] >= tuned:
            return _load(longer), Accuracy(row["long"], "validation", data, candidate.pixels, samples=row["samples"])
    short = candidate.weights  # looked up once: a search that goes on may be deleting it
    if short is not None and candidate.accuracy is not None:
        samples = int(candidate.curve[-1].get("samples", 0)) if candidate.curve else 0
        epochs = _epochs(candidate.recipe)
        seen = Accuracy(candidate.accuracy, "validation", data, candidate.pixels, epochs, samples or None)
        return _load(short), seen
    raise UserError(
        f"an export needs weights, but trial {candidate.number} of {stored.name} has none: train it by "
        f"`python -m nas.train --study {stored.name} --trial {candidate.number}`, or add --untrained"
    )


def _epochs(recipe: dict[str, Any]) -> float | None:
    """Epochs, unless the recipe counts steps."""
    return None if recipe.get("steps") else recipe.get("epochs")


def read(path: Path) -> dict[str, Tensor]:
    """A state dict from a file, without unpickling anything but tensors."""
    if path.suffix == ".safetensors":
        return _load(path)
    import torch

    try:
        found: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise UserError(
            f"weights must be a safetensors file or a state dict of tensors, but {path} is neither"
        ) from None
    except Exception as error:  # torch's reader fails in as many ways as a file can be damaged
        raise UserError(f"weights must be a safetensors file or a state dict, but {path} says: {error!r}") from None
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise UserError(f"weights must be a state dict, names with tensors, but {path} holds something else")
    return found


def _load(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"weights must be a safetensors file, but {path} says: {error} (python -m nas.train makes new ones)"
        ) from None
    return weights
