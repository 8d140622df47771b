"""One candidate: built, counted by fvcore, trained by the recipe, validated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from nas import device as devices
from nas.auxiliary import WithAuxiliaries
from nas.batches import Images
from nas.build import build
from nas.profile import flops
from nas.recipe import Recipe
from nas.training import Failed, Point, Trained, train, validate
from nas.watchdog import overseen
from search_spaces.arch import Arch
from search_spaces.cost import cost
from search_spaces.errors import ArchError


@dataclass
class Checkpoint:
    """What the next rung goes on from: all weights, those of auxiliary classifiers too, and the curve so far."""

    weights: dict[str, Tensor] = field(repr=False)
    trained: Trained


@dataclass
class Evaluation:
    """What is known of a candidate after training. Times in seconds; `weights` is the state dict, on the CPU.

    trained: from the first image on. timings: what this evaluation took, so without what the checkpoint brought.
    """

    accuracy: float
    trained: Trained
    pixels: int
    timings: dict[str, float] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict, repr=False)
    checkpoint: Checkpoint | None = field(default=None, repr=False)


class Evaluator:
    """Short training of architectures on one data set and device, by one recipe.

    The network is the deployed one but for its classifier, as wide as the data have classes, and
    the size of its images.
    """

    def __init__(self, recipe: Recipe, images: Images, candidate_timeout: float = float("inf")) -> None:
        self.recipe, self.images, self.candidate_timeout = recipe, images, candidate_timeout

    @property
    def num_classes(self) -> int:
        return len(self.images.data.classes)

    def evaluate(
        self,
        arch: Arch,
        seed: int | None = None,
        on_point: Callable[[Point], None] = lambda point: None,
        rung: int | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Evaluation:
        """Train `arch` to the end of a rung (the last by default) and validate it; raise `Failed` with the reason.

        It goes on from the checkpoint of the rung before; without one, the rungs before are trained anew, to the
        same weights.
        """
        seed = self.recipe.seed if seed is None else seed
        rung = self.recipe.last_rung if rung is None else rung
        deadline = time.monotonic() + self.candidate_timeout
        done: list[Evaluation] = []
        try:
            with overseen(self.candidate_timeout):
                for each in range(rung if checkpoint else 0, rung + 1):
                    done.append(self._evaluate(arch, seed, deadline, on_point, each, checkpoint))
                    checkpoint = done[-1].checkpoint
        except (RuntimeError, MemoryError) as error:
            if not devices.out_of_memory(error):
                raise
            devices.release(self.images.device)
            raise Failed("out of memory", str(error).splitlines()[0][:200]) from None
        timings = {name: sum(each.timings[name] for each in done) for name in done[-1].timings}
        return replace(done[-1], timings=timings)

    def test(self, arch: Arch, evaluation: Evaluation) -> float:
        """Accuracy of a trained network on the test split: to be asked once, of the network that is reported."""
        network = build(arch.at(evaluation.pixels), self.images.channels, self.num_classes)
        network.load_state_dict(evaluation.weights)
        devices.place(network, self.images.device)
        return validate(network, self.images, "test", evaluation.pixels, self.recipe.precision)

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
        pixels = self.recipe.pixels(arch.resolution, rung)
        torch.manual_seed(seed + rung)
        with large_enough(pixels):
            network = build(arch.at(pixels), self.images.channels, self.num_classes)
        if rung == 0:  # the others train the same network
            self._count(network, arch.at(pixels))
        trainee: nn.Module = network
        if any(stage.aux for stage in arch.stages):
            trainee = WithAuxiliaries(network, arch.at(pixels), self.images.channels, self.num_classes)
        if checkpoint:
            trainee.load_state_dict(checkpoint.weights)
        devices.place(trainee, self.images.device)
        built, before = time.perf_counter(), checkpoint.trained if checkpoint else Trained()
        trained = train(
            network, self.images, pixels, self.recipe, seed,
            rung=rung, so_far=before, trainee=trainee, deadline=deadline, on_point=on_point,
        )  # fmt: skip
        timings = {
            "build": built - start,
            "training": trained.training_s - before.training_s,
            "validation": trained.validation_s - before.validation_s,
        }
        whole = _on_cpu(trainee)
        weights = whole if trainee is network else _on_cpu(network)
        return Evaluation(trained.accuracy, trained, pixels, timings, weights, Checkpoint(whole, trained))

    def _count(self, network: torch.nn.Module, arch: Arch) -> None:
        """Hold the exact cost against fvcore's count of the very module that is trained."""
        exact = cost(arch, self.images.channels, self.num_classes)
        counted = flops(network, self.images.channels, arch.resolution)
        params = sum(p.numel() for p in network.parameters())
        if (counted, params) != (exact.flops, exact.params):
            raise Failed("miscounted", f"fvcore says {counted} FLOPs, {params} params; the exact cost is {exact}")


@contextmanager
def large_enough(pixels: int) -> Iterator[None]:
    """Building for images of so many px; a network that they do not suffice for fails with this reason."""
    try:
        yield
    except ArchError as error:
        raise Failed("too small", f"{pixels} px do not reach the head: {error}") from None


def _on_cpu(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
