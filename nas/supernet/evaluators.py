"""Accuracies from a supernet: as they are, or after short training that starts from its weights."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from nas.auxiliary import WithAuxiliaries
from nas.batches import Images
from nas.evaluate import Checkpoint, Evaluation, Evaluator, large_enough
from nas.recipe import Recipe
from nas.supernet.network import Supernet
from nas.supernet.training import State
from nas.training import Point, Trained, recalibrate, validate
from search_spaces.arch import Arch

VALIDATED = 1_000  # images of the validation split that a network of the supernet is judged by


class SupernetEvaluator(Evaluator):
    """A network's accuracy with the weights that it has in the supernet; its batch norms are set anew before.

    What it returns looks like short training's: one point of a curve, after the images that the whole supernet
    saw, and the network's own weights.
    """

    def __init__(self, supernet: Supernet, state: State, recipe: Recipe, images: Images) -> None:
        super().__init__(recipe, images)
        self.supernet, self.state = supernet, state

    def _evaluate(
        self,
        arch: Arch,
        seed: int,
        deadline: float,
        on_point: Callable[[Point], None],
        rung: int,
        checkpoint: Checkpoint | None,
    ) -> Evaluation:
        start = time.perf_counter()
        pixels = self.recipe.pixels(arch.resolution)
        with large_enough(pixels):
            network = self.supernet.select(arch, pixels).eval()
        built = time.perf_counter()
        recalibrate(network, self.images, pixels, self.recipe)
        accuracy = validate(network, self.images, "val", pixels, self.recipe.precision, VALIDATED)
        weights = {name: value.detach().cpu().clone().contiguous() for name, value in network.state_dict().items()}
        timings = {"build": built - start, "training": 0.0, "validation": time.perf_counter() - built}
        point = Point(self.state.samples, 0.0, accuracy, timings["validation"])
        on_point(point)
        return Evaluation(accuracy, Trained([point], 0.0, timings["validation"]), pixels, timings, weights)


class InheritEvaluator(Evaluator):
    """Short training as ever, but from the weights that the network has in the supernet."""

    def __init__(
        self, supernet: Supernet, recipe: Recipe, images: Images, candidate_timeout: float = float("inf")
    ) -> None:
        super().__init__(recipe, images, candidate_timeout)
        self.supernet = supernet

    def _evaluate(
        self,
        arch: Arch,
        seed: int,
        deadline: float,
        on_point: Callable[[Point], None],
        rung: int,
        checkpoint: Checkpoint | None,
    ) -> Evaluation:
        inherited = checkpoint or Checkpoint(self._inherited(arch, seed, rung), Trained())
        return super()._evaluate(arch, seed, deadline, on_point, rung, inherited)

    def _inherited(self, arch: Arch, seed: int, rung: int) -> dict[str, Tensor]:
        """The supernet's weights; auxiliary classifiers, which it has none of, begin anew."""
        pixels = self.recipe.pixels(arch.resolution, rung)
        with large_enough(pixels):
            network = self.supernet.extract(arch, pixels)
        if not any(stage.aux for stage in arch.stages):
            return network.state_dict()
        torch.manual_seed(seed)
        channels, classes = self.images.channels, self.num_classes
        return WithAuxiliaries(network, arch.at(pixels), channels, classes).state_dict()
