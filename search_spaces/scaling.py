"""Depth, width and resolution of a network, scaled: EfficientNet's question (Tan 2019, arXiv:1905.11946).

The law: a network's cost grows about as depth · width² · resolution². It is exact where all sizes divide;
channels and blocks are whole, so what is realised differs, and every cost here is the realised network's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, exp, isclose, log

from search_spaces.arch import MAX_DEPTH, MAX_RESOLUTION, Arch, Stage
from search_spaces.budget import Budget
from search_spaces.cost import Cost, cost, stem_cost
from search_spaces.errors import ArchError, BudgetError
from search_spaces.layers import Shape
from search_spaces.part import MAX_CHANNELS

EVEN = 2  # resolutions are rounded to multiples of this
REACH = 64.0  # a network is not grown or shrunk by more than this factor of its cost
FINE = 120  # points of the search for the largest network within a budget
ROUNDINGS = ("spread", "ceil")


@dataclass(frozen=True)
class Mix:
    """A direction of growth: the parts of a cost factor that go to depth, width and resolution; their sum is 1.

    By a factor F the depth grows as F^depth, the width as F^(width/2) and the resolution as F^(resolution/2),
    so that depth · width² · resolution² = F.
    """

    depth: float
    width: float
    resolution: float

    def __post_init__(self) -> None:
        parts = (self.depth, self.width, self.resolution)
        if min(parts) < 0 or not isclose(sum(parts), 1, abs_tol=1e-6):
            raise ArchError(f"a mix is three parts of sum 1, each at least 0, but got {parts}")

    def coefficients(self, factor: float = 2.0) -> tuple[float, float, float]:
        """(α, β, γ) of α·β²·γ² = factor."""
        return factor**self.depth, factor ** (self.width / 2), factor ** (self.resolution / 2)

    @staticmethod
    def of(alpha: float, beta: float, gamma: float) -> Mix:
        """The direction of coefficients, whatever factor they make."""
        logs = (log(alpha), 2 * log(beta), 2 * log(gamma))
        return Mix(*(part / sum(logs) for part in logs))


AXES = {"depth": Mix(1, 0, 0), "width": Mix(0, 1, 0), "resolution": Mix(0, 0, 1)}
COMPOUND = Mix.of(1.2, 1.1, 1.15)  # EfficientNet's α, β, γ: 1.92 in all
MIXES = {**AXES, "compound": COMPOUND}


def mixes(steps: int) -> list[Mix]:
    """Every mix whose parts are multiples of 1/steps: 15 for 4, 21 for 5."""
    return [
        Mix(a / steps, b / steps, 1 - (a + b) / steps) for a in range(steps, -1, -1) for b in range(steps - a, -1, -1)
    ]


# ------------------------------------------------------------------------------------- scaling


def scale(
    arch: Arch,
    depth: float = 1.0,
    width: float = 1.0,
    resolution: float = 1.0,
    rounding: str = "spread",
    in_channels: int = 3,
) -> Arch:
    """`arch` with its depth, width and resolution times these factors; raise `ArchError` when no network comes out.

    Depth repeats blocks, or layers in dense blocks. `spread` rounds the depth of all stages together, so that
    their sum is right; `ceil` rounds each stage up, as EfficientNet does. Widths are rounded by each block's rule
    (multiples of 8 unless its groups ask for more), resolutions to even numbers; at factor 1 they stay as they are.
    in_channels: of the images that it reads.
    """
    if not all(0 < factor <= MAX_CHANNELS for factor in (depth, width, resolution)):  # more leaves nothing allowed
        said = f"{depth:g}, {width:g}, {resolution:g}"
        raise ArchError(f"factors must be more than 0 and at most {MAX_CHANNELS}, but got {said}")
    if rounding not in ROUNDINGS:
        raise ArchError(f"a rounding is one of {', '.join(ROUNDINGS)}, but got {rounding}")
    side = scaled_resolution(arch, resolution)
    stem = arch.stem.widened(width)
    scaled = replace(
        arch,
        resolution=side,
        stem=stem,
        stages=tuple(_stages(arch, depth, width, rounding, in_channels)),
        head=arch.head.widened(width),
    )
    cost(scaled, in_channels)  # refuses what does not fit, and remembers the stages it has seen
    return scaled


def scaled_resolution(arch: Arch, factor: float) -> int:
    """The resolution times `factor`, an even number of px; raise `ArchError` where it is too large."""
    side = arch.resolution if factor == 1 else max(EVEN, round(arch.resolution * factor / EVEN) * EVEN)
    if side > MAX_RESOLUTION:
        raise ArchError(f"a resolution is at most {MAX_RESOLUTION} px, but got {side}")
    return side


def _stages(arch: Arch, depth: float, width: float, rounding: str, in_channels: int) -> Iterator[Stage]:
    """The stages, each scaled with the channels that reach it."""
    channels = stem_cost(arch.stem.widened(width), _image(arch, in_channels))[0].channels
    times_each, reach = repeats(arch.stages, depth, rounding), reaching(arch, in_channels)
    for stage, times, before in zip(arch.stages, times_each, reach, strict=True):
        block, channels = stage.block.deepened(depth).widened_to(stage.width, width, channels, before)
        yield replace(stage, block=block, width=channels, depth=times)


def repeats(stages: tuple[Stage, ...], factor: float, rounding: str = "spread") -> list[int]:
    """Repeats of each stage, at `factor` times the depth.

    Blocks that deepen by themselves, and pools, stay as many as they are. Raise `ArchError` where a stage would
    have too many.

    `spread` hands out the blocks by Webster's rule, one at least to each stage: the sum is right to half a
    block, and a little more depth never takes a block from any stage.
    """
    repeating = [i for i, s in enumerate(stages) if s.block.repeats and s.block.deepened(2) == s.block]
    depths = [stage.depth for stage in stages]
    if rounding == "ceil":
        return _allowed([ceil(n * factor - 1e-9) if i in repeating else n for i, n in enumerate(depths)])
    made = dict.fromkeys(repeating, 1)
    blocks = round(factor * sum(depths[i] for i in repeating))
    _allowed([ceil(blocks / max(1, len(repeating)))])  # the largest stage has no fewer; they are dealt one by one
    for _ in range(blocks - len(repeating)):
        poorest = max(repeating, key=lambda i: (depths[i] / (made[i] + 0.5), i))
        made[poorest] += 1
    return _allowed([made.get(i, n) for i, n in enumerate(depths)])


def _allowed(depths: list[int]) -> list[int]:
    """The depths, unless a stage is too deep."""
    if max(depths, default=0) > MAX_DEPTH:
        raise ArchError(f"a stage has at most {MAX_DEPTH} blocks, but got {max(depths)}")
    return depths


def reaching(arch: Arch, in_channels: int = 3) -> tuple[int, ...]:
    """The channels that reach each stage."""
    return (stem_cost(arch.stem, _image(arch, in_channels))[0].channels, *(stage.width for stage in arch.stages))[:-1]


def _image(arch: Arch, in_channels: int) -> Shape:
    return Shape(in_channels, arch.resolution, arch.resolution)


def along(arch: Arch, mix: Mix, factor: float, rounding: str = "spread", in_channels: int = 3) -> Arch:
    """`arch` grown (or, below 1, shrunk) by a factor of its cost in one direction."""
    return scale(arch, *mix.coefficients(factor), rounding, in_channels)


def compound(arch: Arch, phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15) -> Arch:
    """EfficientNet's rule: depth α^φ, width β^φ, resolution γ^φ; φ may be a fraction, or negative."""
    return scale(arch, alpha**phi, beta**phi, gamma**phi)


# ----------------------------------------------------------------------------------- to a budget


def fit(arch: Arch, mix: Mix, budget: Budget, in_channels: int = 3, num_classes: int = 1000) -> Arch:
    """The largest network within `budget` in one direction from `arch`; raise `BudgetError` when there is none.

    Largest in the budget's first limit. Factors are tried from 1/64 to 64 of the cost, ever finer.
    """

    def tried(low: float, high: float) -> Iterator[tuple[float, Arch, Cost]]:
        for i in range(FINE + 1):
            factor = exp(log(low) + (log(high) - log(low)) * i / FINE)
            try:
                found = along(arch, mix, factor, in_channels=in_channels)
                yield factor, found, cost(found, in_channels, num_classes)
            except ArchError:  # a map would vanish, or a limit of the language is passed
                continue

    low, high, best = 1 / REACH, REACH, None
    metric = budget.limits[0][0] if budget.limits else "flops"
    for _ in range(3):
        fitting = [(getattr(c, metric), f, a) for f, a, c in tried(low, high) if budget.fits(c)]
        if not fitting:
            break
        best = max(fitting, key=lambda found: (found[0], -found[1]))
        step = (high / low) ** (1 / FINE)
        low, high = best[1] / step, best[1] * step
    if best is None:
        raise BudgetError(f"a network must shrink to {budget} in this direction, but at 1/{REACH:.0f} it does not")
    return best[2]


# ------------------------------------------------------------------------- exact laws, untrained


def marginal(arch: Arch, metric: str = "flops", in_channels: int = 3, num_classes: int = 1000) -> dict[str, float]:
    """What 1 % more depth, width or resolution adds to a cost, in percent of it.

    Exact where the law is: cost is linear in depth, a square polynomial in width and c₀ + c₂·r² in
    resolution, read off networks that are whole multiples of `arch`, where no width of a stage is rounded. Where
    a block rounds widths of its own, as bottlenecks of odd ratios do, or another part makes the peak of
    activations, it is as near as that leaves it.
    """

    def at(depth: float = 1, width: float = 1, resolution: float = 1) -> float:
        found = scale(arch, depth, width, resolution, in_channels=in_channels)
        return float(getattr(cost(found, in_channels, num_classes), metric))

    one = at()
    whole = scale(arch, width=1 + 1e-9, in_channels=in_channels) == arch
    near, far = (2, 3) if whole else (8, 16)  # where rounding leaves the widths, it leaves multiples of them
    first = (at(width=near) - one) / (near - 1)
    second = ((at(width=far) - at(width=near)) / (far - near) - first) / (far - 1)
    return {
        "depth": (at(depth=2) - one) / one,
        "width": (first - (near - 1) * second) / one,  # Newton's polynomial through the three, its slope at 1
        "resolution": 2 * (at(resolution=2) - one) / 3 / one,
    }
