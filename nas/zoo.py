"""The papers' networks: their costs beside the published figures, their blocks, training by a search's own recipe."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas import cli
from nas.weights import load, translated
from search_spaces import zoo
from search_spaces.cost import ledger
from search_spaces.zoo.network import Network, agrees, figure

__all__ = ["load", "main", "translated"]

DESCRIPTION = """\
The papers' networks in this project's language: what each costs, beside what was published of it.

Costs are exact. 'printed' figures are compared to their last digit, counted as their authors did;
'as' says what those left out.

examples:
  python -m nas.zoo                                       # every network
  python -m nas.zoo --family mobilenet_v2 --json
  python -m nas.zoo --arch squeezenet1_1                  # its text form, and what each block costs
  python -m nas.zoo --train mobilenet_v2,squeezenet1_1    # short training, as a search's candidates have
  python -m nas.search --budget 350MFLOPs --seeds-from zoo:mobilenet_v2
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    from nas.search import add_training

    result = cli.command("zoo", DESCRIPTION)
    what = result.add_mutually_exclusive_group()
    what.add_argument("--family", metavar="NAME", help=f"only one of {', '.join(zoo.families())}")
    what.add_argument("--arch", metavar="NAME", help="one network: its text form and what each block costs")
    what.add_argument("--train", metavar="NAMES", help="train these, parted by commas, and keep them as a study")
    result.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw published accuracy against cost, FILE.html or .png"
    )
    result.add_argument("--json", action="store_true", help="print the same as JSON, for programs")
    cli.add_listed(result, "zoo-DATA")
    add_training(result)
    return result


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if args.train:
        return _train(args)
    if args.arch:
        found = account(zoo.find(args.arch))
        print(json.dumps(found, indent=2, ensure_ascii=False)) if args.json else _show(found)
        return 0
    if args.plot:
        return _plot(args.plot)
    rows = [row(network) for network in chosen(args.family)]
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        from nas.zoo_view import show_table

        show_table(rows)
    return 0


def chosen(family: str | None) -> list[Network]:
    """The networks of a family, or all."""
    if family is None:
        return [zoo.find(name) for name in zoo.names()]
    return list(zoo.family(family))


# ------------------------------------------------------------------------------- as plain data


def row(network: Network) -> dict[str, Any]:
    """What a network costs and what was printed of it."""
    cost, printed = network.cost, network.published
    macs, params = network.as_printed
    return {
        "name": network.name,
        "paper": network.paper,
        "resolution": network.arch.resolution,
        "in_channels": network.in_channels,
        "num_classes": network.num_classes,
        "flops": cost.flops,
        "macs": cost.macs,
        "params": cost.params,
        "printed_macs": printed.macs or None,
        "printed_params": printed.params or None,
        "macs_as_printed": macs,
        "params_as_printed": params,
        "macs_agree": agrees(printed.macs, macs) if printed.macs else None,
        "params_agree": agrees(printed.params, params) if printed.params else None,
        "macs_difference": macs - figure(printed.macs) if printed.macs else None,
        "params_difference": params - figure(printed.params) if printed.params else None,
        "omits": list(printed.omits),
        "at": printed.at,
        "doubt": printed.doubt,
        "top1": printed.top1,
        "source": printed.source,
        "judge": f"{network.judge.library}'s {network.judge.model}" if network.judge else None,
    }


def account(network: Network) -> dict[str, Any]:
    """A network's text form, its costs, and the cost of each block."""
    rows = ledger(network.arch, network.in_channels, network.num_classes)
    return {
        **row(network),
        "arch": str(network.arch),
        **asdict(network.cost),
        "stages": {f"stage{i}": str(stage) for i, stage in enumerate(network.arch.stages, 1)},
        "ledger": [line.as_data() for line in rows],
    }


def _plot(path: Path) -> int:
    from nas.figures import check_path, write
    from nas.figures.published import data, plot
    from nas.published import published

    check_path(path)
    write(plot(data(published())), path)
    print(f"written to {path}")
    return 0


def _show(found: dict[str, Any]) -> None:
    from nas.zoo_view import show_account

    show_account(found)


# ---------------------------------------------------------------------------------- training


def _train(args: argparse.Namespace) -> int:
    networks = [zoo.find(name.strip()) for name in args.train.split(",")]
    from nas.options import ListedOptions
    from nas.references import train, trained

    rows = trained(train(ListedOptions.of(args), networks))
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    print("network\taccuracy\tflops\tmacs\tparams\tseconds")
    for line in rows:
        accuracy = line["reason"] if line["accuracy"] is None else f"{line['accuracy']:.4f}"
        costs = (line[name] for name in ("flops", "macs", "params"))
        print("\t".join(map(str, (line["name"], accuracy, *costs, round(line["seconds"] or 0)))))
    return 0


if __name__ == "__main__":
    cli.run(main)
