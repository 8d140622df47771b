"""How depth, width and resolution of a network should grow with its budget."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

from nas import cli
from nas.cli import positive
from nas.errors import UserError
from search_spaces import zoo
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.cost import Cost, cost
from search_spaces.errors import ArchError
from search_spaces.scaling import COMPOUND, MIXES, Mix, along, fit, marginal, mixes

DESCRIPTION = """\
How depth, width and resolution of a network should grow with its budget (EfficientNet's question).

Lists the directions in which a network can grow by a factor of its cost: ideal coefficients
α (depth), β (width), γ (resolution) of α·β²·γ² = factor, and what whole blocks, channels and
pixels make of them. --measure trains depth-only, width-only, resolution-only and compound
variants and fits accuracy against cost.

examples:
  python -m nas.scale --zoo efficientnet_b0 --factor 2
  python -m nas.scale --zoo mobilenet_v2 --fit 150MFLOPs --along compound
  python -m nas.scale --study mobile-300MFLOPs-fashion-subset --best --fit "600MFLOPs, 6Mparams"
  python -m nas.scale --zoo mobilenet_v2_0.35_96 --measure --factors 0.5,1,2,4 --seeds 3
"""
METRICS = ("flops", "params", "peak_activations")
LEAST, MOST = 1e-3, 1e3  # factors of a cost; far beyond what networks are scaled by
MAX_PHI = 10.0  # MOST is compound scaling's 1.92^10.6
MAX_PARTS = 20  # 231 directions


def parser() -> argparse.ArgumentParser:
    """The command line."""
    from nas.search import add_training

    result = cli.command("scale", DESCRIPTION)
    which = result.add_argument_group("network")
    which.add_argument("--arch", metavar="TEXT", help="its text form")
    which.add_argument("--zoo", metavar="NAME", help="a paper's network (python -m nas.zoo lists them)")
    about = "a study's network, with --best or --trial; --study says the same where nothing is or was measured"
    which.add_argument("--from-study", metavar="NAME", help=about)
    cli.add_blocks(result)
    cli.add_choice(result)
    what = result.add_argument_group("scaling")
    what.add_argument(
        "--factor", type=_number(LEAST, MOST), default=2.0, metavar="F", help="of the cost; below 1 shrinks"
    )
    what.add_argument("--directions", type=_parts, default=4, metavar="N", help="in parts of 1/N (4: 15)")
    what.add_argument(
        "--phi",
        type=_number(-MAX_PHI, MAX_PHI),
        metavar="φ",
        help="EfficientNet's compound coefficient instead of --factor",
    )
    what.add_argument("--fit", metavar="BUDGET", help="the largest network within, such as 300MFLOPs")
    what.add_argument("--along", default="compound", metavar="WAY", help=f"{', '.join(MIXES)}, measured or α,β,γ")
    what.add_argument("--plot", type=Path, metavar="FILE", help="draw contours or curves, to .html or .png")
    what.add_argument("--json", action="store_true", help="print the same as JSON, for programs")
    result.add_argument("--num-classes", type=positive, default=1000, metavar="N", help="as deployed")
    result.add_argument("--in-channels", type=positive, default=3, metavar="N", help="as deployed")
    measure = result.add_argument_group("measuring")
    measure.add_argument("--measure", action="store_true", help="train variants, as a study that can go on")
    measure.add_argument("--factors", type=_numbers, default="0.5,1,2,4", metavar="F,F", help="of the network's cost")
    measure.add_argument("--seeds", type=positive, default=2, metavar="N", help="trainings of each variant")
    cli.add_listed(result, "scale-NETWORK-DATA")
    add_training(result)
    return result


def _number(low: float, high: float) -> Callable[[str], float]:
    """What reads an argument that is a number from `low` to `high`."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = nan
        if not low <= found <= high:
            raise argparse.ArgumentTypeError(f"a number from {low:g} to {high:g} is needed, but got {text!r}")
        return found

    return read


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(map(_number(LEAST, MOST), text.split(",")))
    except argparse.ArgumentTypeError:
        said = f"numbers from {LEAST:g} to {MOST:g}, parted by commas, are needed, but got {text!r}"
        raise argparse.ArgumentTypeError(said) from None


def _parts(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PARTS:
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MAX_PARTS} is needed, but got {text!r}")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    name, arch = chosen(args)
    arch.check(args.in_channels, args.num_classes)
    if args.plot:
        from nas.figures import check_path

        check_path(args.plot)
    if args.measure:
        return _measure(args, name, arch)
    found = overview(name, arch, args)
    if args.plot:
        from nas.figures import iso_cost, write

        write(iso_cost.plot(iso_cost.data(arch, args.in_channels, args.num_classes)), args.plot)
        found["plot"] = str(args.plot)
    if args.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        from nas.scale_view import show

        show(found)
    return 0


def chosen(args: argparse.Namespace) -> tuple[str, Arch]:
    """The network and a name for it; raise `UserError` unless exactly one is named."""
    measuring = args.measure or args.along == "measured"
    source = args.from_study or (None if measuring or args.arch or args.zoo else args.study)
    given = [args.arch, args.zoo, source or args.best or args.trial is not None]
    if sum(map(bool, given)) != 1:
        raise UserError("a network is --arch TEXT, --zoo NAME or --from-study NAME --best, but got none or several")
    if args.arch:
        return "own", Arch.parse(args.arch)
    if args.zoo:
        return args.zoo, zoo.find(args.zoo).arch
    from nas.store import open_study

    stored = open_study(args.storage or cli.STORAGE, source)
    candidate = cli.chosen(args, stored)
    return f"{stored.name}-{candidate.number}", candidate.arch


# ------------------------------------------------------------------------------- as plain data


def overview(name: str, arch: Arch, args: argparse.Namespace) -> dict[str, Any]:
    """The network, what a little more of each axis costs, and what the command line asks for."""
    deployed = (args.in_channels, args.num_classes)
    base = cost(arch, *deployed)
    found: dict[str, Any] = {
        "name": name,
        "network": described(arch, base, base),
        "in_channels": args.in_channels,
        "num_classes": args.num_classes,
        "marginal": {metric: marginal(arch, metric, *deployed) for metric in METRICS},
    }
    if args.fit:
        budget = Budget.parse(args.fit)
        mix = direction(args, arch)
        fitted = fit(arch, mix, budget, *deployed)
        its_cost = cost(fitted, *deployed)
        part = budget.excess(its_cost)
        asked = {"budget": str(budget), "mix": mix_of(args.along, mix), "part_of_budget": part}
        return found | asked | {"fitted": described(fitted, its_cost, base)}
    factor = args.factor if args.phi is None else (1.2 * 1.1**2 * 1.15**2) ** args.phi
    ways = {"compound": COMPOUND}
    if args.phi is None:
        ways = {**MIXES, **{str(i): mix for i, mix in enumerate(mixes(args.directions))}}
    rows = [row(label, mix, arch, factor, deployed) for label, mix in _distinct(ways).items()]
    return found | {"factor": factor, "phi": args.phi, "rows": rows}


def _distinct(ways: dict[str, Mix]) -> dict[str, Mix]:
    """Each direction once, under its first name."""
    return {label: mix for label, mix in ways.items() if mix not in list(ways.values())[: list(ways).index(label)]}


def direction(args: argparse.Namespace, arch: Arch) -> Mix:
    """The direction of `--along`."""
    if args.along in MIXES:
        return MIXES[args.along]
    if args.along == "measured":
        return measured(args, arch)
    try:
        return Mix.of(*(float(part) for part in args.along.split(",")))
    except (ValueError, TypeError, ZeroDivisionError, ArchError):
        ways = ", ".join((*MIXES, "measured"))
        raise UserError(f"a direction is {ways} or α,β,γ such as 1.2,1.1,1.15, but got {args.along!r}") from None


def measured(args: argparse.Namespace, arch: Arch) -> Mix:
    """The direction whose measured law is best at the budget; raise `UserError` when nothing was measured."""
    from nas.store import open_study
    from nas.trade_offs import curves, verdict

    stored = open_study(args.storage or cli.STORAGE, args.study)
    base = float(cost(arch, args.in_channels, args.num_classes).flops)
    limit = dict(Budget.parse(args.fit).limits).get("flops", base)
    ranked = verdict(curves(stored, arch), limit / base, base)
    if not ranked:
        raise UserError(
            f"a measured direction needs measurements, but {stored.name} has none of this network: --measure"
        )
    return MIXES[ranked[0]["axis"]]


def row(label: str, mix: Mix, arch: Arch, factor: float, deployed: tuple[int, int]) -> dict[str, Any]:
    """One direction: ideal coefficients and what is realised; `error` where no network comes out."""
    ideal = mix_of(label, mix) | dict(zip(("alpha", "beta", "gamma"), mix.coefficients(factor), strict=True))
    try:
        scaled = along(arch, mix, factor, in_channels=deployed[0])
        return ideal | {"realised": described(scaled, cost(scaled, *deployed), cost(arch, *deployed))}
    except ArchError as error:
        return ideal | {"error": str(error)}


def mix_of(label: str, mix: Mix) -> dict[str, Any]:
    """A direction as plain values."""
    return {"label": label, "depth": mix.depth, "width": mix.width, "resolution": mix.resolution}


def described(arch: Arch, its_cost: Cost, base: Cost) -> dict[str, Any]:
    """A network, its costs, and how many times the base's FLOPs they are."""
    counted = {name: getattr(its_cost, name) for name in ("flops", "macs", "params", "peak_activations")}
    times = its_cost.flops / base.flops
    return {"arch": str(arch), "px": arch.resolution, "blocks": arch.depth, "times": times, **counted}


# ---------------------------------------------------------------------------------- measuring


def _measure(args: argparse.Namespace, name: str, arch: Arch) -> int:
    from nas.listed import train
    from nas.options import ListedOptions
    from nas.report import note
    from nas.trade_offs import curves, variants, verdict

    items = variants(arch, args.factors, args.seeds)
    stored = train(ListedOptions.of(args), items, "scale", f"scale-{name}", arch.resolution)
    found, base = curves(stored, arch), float(stored.cost_of(arch).flops)
    rows = [{"factor": f, "ranking": verdict(found, f, base)} for f in args.factors if f > 1]
    if args.plot:
        from nas.figures import trade_offs, write

        write(trade_offs.plot(trade_offs.data(stored, arch)), args.plot)
        note(f"plot written to {args.plot}")
    if args.json:
        print(json.dumps({"study": stored.name, "storage": stored.storage, "laws": rows}, indent=2))
        return 0
    from nas.scale_view import show_measured

    show_measured(rows, found)
    return 0


if __name__ == "__main__":
    cli.run(main)
