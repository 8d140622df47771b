"""Time networks on this machine, keep tables of what their parts take, and check what the tables predict."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from nas import cli
from nas.cli import positive
from nas.errors import UserError
from nas.latency.measure import Plan
from nas.latency.setting import Setting, Subject
from nas.latency.table import TABLES
from search_spaces.arch import Arch
from search_spaces.cost import cost

if TYPE_CHECKING:
    from nas.latency.build import Deployed
    from nas.latency.table import Table

DESCRIPTION = f"""\
Time networks on this machine, keep tables of what their parts take, and check what the tables predict.

A table makes latency a cost like FLOPs: measured once for a space and a device, it prices any network of the space
by addition, so that `--budget 8ms@cpu` holds for every proposal of a search. Tables are JSON files in {TABLES}:
build one where the networks shall run, bring it here, and search.

examples:
  python -m nas.latency --zoo mobilenet_v2,squeezenet1_1
  python -m nas.latency --arch "r224 | conv_stem(width=32) | … | pool_head(width=1280)" --parts
  python -m nas.latency --zoo mobilenet_v2 --backend compile --threads 2 --batch 8 --precision bf16
  python -m nas.latency --space mobile --build cpu
  python -m nas.latency --space mobile --check cpu --networks 50
  python -m nas.latency --show cpu --plot flops.html
  python -m nas.search  --space mobile --budget "300MFLOPs, 8ms@cpu"
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = cli.command("latency", DESCRIPTION)
    what = result.add_argument_group("what to time")
    what.add_argument("--zoo", metavar="NAME,…", help="networks of the zoo (see nas.zoo)")
    what.add_argument("--arch", action="append", default=[], metavar="TEXT", help="a network as text")
    what.add_argument("--parts", action="store_true", help="also each block, as part of the running network")
    tables = result.add_argument_group("tables")
    tables.add_argument("--space", metavar="SPACE", help="a named space, or path/to/file.py:name")
    does = tables.add_mutually_exclusive_group()
    does.add_argument("--build", metavar="TABLE", help="time the space's parts that this table lacks, and keep them")
    does.add_argument("--check", metavar="TABLE", help="its predictions of networks it never saw, beside measurements")
    does.add_argument("--show", metavar="TABLE", help="FLOPs a second by family of blocks; nothing is timed")
    tables.add_argument("--networks", type=positive, default=50, metavar="N", help="random networks of --check")
    tables.add_argument("--plot", type=Path, metavar="FILE", help="FLOPs against latency, to FILE.html or FILE.png")
    tables.add_argument("--seed", type=int, default=0, help="of the networks that are drawn")
    _add_how(result)
    cli.add_deployment(result)
    result.add_argument("--json", action="store_true", help="print the same as JSON, for programs")
    return result


def _add_how(result: argparse.ArgumentParser) -> None:
    plan, setting = Plan(), Setting()
    how = result.add_argument_group("how", "a table's own setting goes before these where it is extended or checked")
    how.add_argument("--backend", default=setting.backend, help="onnxruntime, eager or compile")
    how.add_argument("--device", default=setting.device, help="cpu, cuda, cuda:1 or mps; onnxruntime runs on cpu")
    how.add_argument("--threads", type=positive, default=setting.threads, metavar="N", help="CPU threads")
    how.add_argument("--batch", type=positive, default=setting.batch, metavar="N", help="images of one pass")
    how.add_argument("--precision", default=setting.precision, help="fp32, or bf16 by eager and compile")
    how.add_argument(
        "--repeats", type=positive, default=plan.repeats, metavar="N", help="undisturbed passes of a round"
    )
    how.add_argument("--warmup", type=positive, default=plan.warmup, metavar="N", help="passes before that")
    how.add_argument("--rounds", type=positive, default=plan.rounds, metavar="N", help="of which one must be quiet")
    how.add_argument(
        "--spread",
        type=_share,
        default=plan.spread,
        metavar="X",
        help="part of the median that the middle half may span",
    )
    how.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default=plan.clock,
        help="cpu: the time that the one thread had its core, for machines that are never quiet",
    )


def _share(text: str) -> float:
    """A share of the median: a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"a share of the median above 0 is needed, such as 0.1, but got {text!r}")
    return value


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    setting = Setting(args.backend, args.device, args.threads, args.batch, args.precision)
    plan = Plan(args.warmup, args.repeats, rounds=args.rounds, spread=args.spread, clock=args.clock)
    if args.plot:
        from nas.figures import check_path

        check_path(args.plot)
    if args.show:
        return _show(args)
    if args.build or args.check:
        if not args.space:
            raise UserError("a table is of a space, but got none: add --space mobile")
        from nas.latency.build import Deployed

        space = cli.chosen_space(args.space, args.resolution).deployed(args.in_channels, args.num_classes)
        deployed = Deployed(space, args.in_channels, args.num_classes)
        return _build(args, deployed, setting) if args.build else _check(args, deployed, plan)
    if args.space:
        raise UserError("with a space goes --build TABLE or --check TABLE, but got neither")
    if args.plot:
        raise UserError("a plot is of a table, but got none: add --show TABLE")
    return _time(args, setting, plan)


# -------------------------------------------------------------------------------- single networks


def _time(args: argparse.Namespace, setting: Setting, plan: Plan) -> int:
    rows = [_timed(name, arch, args, setting, plan) for name, arch in _networks(args)]
    if args.json:
        print(
            json.dumps(
                {"setting": asdict(setting), "clock": plan.clock, "networks": rows}, indent=2, ensure_ascii=False
            )
        )
        return 0
    print(f"{setting}, {plan.clock} clock")
    print(f"{'ms':>9}  {'middle half':>17}  passes  {'flops':>12}  network")
    for row in rows:
        half = f"{row['low_ms']:.3f} to {row['high_ms']:.3f}"
        print(f"{row['median_ms']:9.3f}  {half:>17}  {row['passes']:6}  {row['flops']:12}  {row['name']}")
        for part in row.get("parts", []):
            print(f"{part['ms']:9.3f}  {'':17}  {'':6}  {part['flops']:12}    {part['key']}")
    return 0


def _timed(name: str, arch: Arch, args: argparse.Namespace, setting: Setting, plan: Plan) -> dict[str, Any]:
    from nas.latency.backends import find
    from nas.latency.build import parts_ms, whole
    from search_spaces.cost import layer_cost

    backend, subject = find(setting), Subject.of(arch, args.in_channels, args.num_classes)
    timing = whole(backend, subject, setting, plan)
    exact = cost(arch, args.in_channels, args.num_classes)
    row = {"name": name, "arch": str(arch), "flops": exact.flops, "macs": exact.macs, **asdict(timing)}
    if args.parts:
        costs = [layer_cost(layer, shape)[1].flops for _, layer, shape in subject.placed()]
        timed = zip(subject.keys, parts_ms(backend, subject, setting, plan), costs, strict=True)
        row["parts"] = [{"key": key, "ms": ms, "flops": flops} for key, ms, flops in timed]
    return row


def _networks(args: argparse.Namespace) -> list[tuple[str, Arch]]:
    from search_spaces import zoo

    found = [(n.name, n.arch) for n in (zoo.find(name.strip()) for name in (args.zoo or "").split(",") if name.strip())]
    found += [(text, Arch.parse(text)) for text in args.arch]
    if not found:
        raise UserError(
            "something must be timed, but got nothing: try --zoo mobilenet_v2, or --space mobile --build cpu"
        )
    if args.resolution is None:
        return found
    if not args.resolution.isdecimal():
        raise UserError(f"networks are timed at one resolution, such as 160, but got {args.resolution!r}")
    return [(name, arch.at(positive(args.resolution))) for name, arch in found]


# ----------------------------------------------------------------------------------------- tables


def _build(args: argparse.Namespace, deployed: Deployed, setting: Setting) -> int:
    from nas.latency.build import EACH, extended, new_table
    from nas.latency.table import path_of, read, write
    from nas.report import note

    path = path_of(args.build)
    plan = replace(EACH, clock=args.clock, spread=args.spread)
    table = fresh = new_table(setting, plan)
    if path.exists():
        table = read(args.build)
        was = (table.setting, table.machine["processor"], table.machine["backend"], table.clock)
        if was != (setting, fresh.machine["processor"], fresh.machine["backend"], plan.clock):
            raise UserError(
                f"a table grows on the machine and by the setting it began with, but {path} is of {table}, "
                f"{table.machine['backend']}, {table.clock} clock: begin another by --build NAME"
            )
    for grown in extended(table, deployed, args.seed, plan, note):
        write(grown, path)
        table = grown
    if args.json:
        print(json.dumps({"path": str(path), "parts": len(table.parts), "scale": table.scale}, indent=2))
        return 0
    print(f"{path}: {table}")
    print(
        f"a network takes {table.constant_ms:.3g} ms + {table.scale:.3f} × the sum of its parts; entries weigh "
        f"{table.trust:.0%}, what like parts take the rest"
    )
    print(f"check it:  python -m nas.latency --space {args.space} --check {args.build}")
    print(f'use it:    python -m nas.search --space {args.space} --budget "300MFLOPs, 8ms@{args.build}"')
    _plot(args, table)
    return 0


def _check(args: argparse.Namespace, deployed: Deployed, plan: Plan) -> int:
    from nas.latency.backends import find
    from nas.latency.build import fitted, pace_of, wholes
    from nas.latency.check import check
    from nas.latency.table import read

    table = read(args.check)
    drawn = Random(f"check {args.seed}")  # another sequence than the calibration's
    backend = find(table.setting)
    pace, _ = pace_of(table, backend, deployed, plan)
    networks = list(wholes(backend, table.setting, deployed, max(3, args.networks), drawn, plan, pace))
    found, rates_alone = check(table, networks), check(fitted(replace(table, trust=0.0)), networks)
    if args.json:
        print(json.dumps({**asdict(found), "rates_alone": asdict(rates_alone), "pace": pace.range}, indent=2))
    else:
        least, most = pace.range
        print(f"{table}\n{found}")
        print(f"without the blocks' own entries: {rates_alone}")
        print(f"the reference took {least:.2f} to {most:.2f} times its usual; all ms are at the usual")
    _plot(args, table)
    return 0


def _show(args: argparse.Namespace) -> int:
    from nas.figures.latency import data, told
    from nas.latency.table import read

    table = read(args.show)
    found = data(table)
    print(json.dumps({**asdict(found), "ends": found.ends}) if args.json else "\n".join((str(table), *told(found))))
    _plot(args, table)
    return 0


def _plot(args: argparse.Namespace, table: Table) -> None:
    if args.plot:
        from nas.figures import write
        from nas.figures.latency import data, plot
        from nas.report import note

        write(plot(data(table)), args.plot)
        note(f"written to {args.plot}")


if __name__ == "__main__":
    cli.run(main)
