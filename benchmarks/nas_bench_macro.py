"""Does the language count NAS-Bench-Macro's 6,561 networks as its authors did?

Writes every network of the published table in this language and compares `macs` with the table's
`flops` (convolution and linear multiply-adds at 32×32) and `params` with its params. Exits with 1
when one figure of one network differs.

The table is `nas-bench-macro_cifar10.json` of github.com/xiusu/NAS-Bench-Macro (Su et al.,
"Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021; Apache-2.0).

    python benchmarks/nas_bench_macro.py --table nas-bench-macro_cifar10.json
"""

import argparse
import json
import time
from pathlib import Path

from nas.cli import Help, run
from nas.errors import UserError
from search_spaces.arch import Arch
from search_spaces.cost import cost

# choice 0, 1, 2 of a layer, and the widths of the eight layers; the first of a stage strides
BLOCKS = ("skip", "inverted_residual(expand=3)", "inverted_residual(kernel=5)")
WIDTHS = (64, 64, 128, 128, 128, 256, 256, 256)
STRIDED = (0, 2, 5)
STEM, HEAD = "conv_stem(width=32, stride=1, act=relu6)", "pool_head(width=1280, act=relu6)"
CLASSES = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--table", type=Path, required=True, metavar="FILE.json", help="the published table")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")
    options = parser.parse_args()
    table = read(options.table)
    started = time.perf_counter()
    differing = [differs for choices, row in table.items() if (differs := difference(choices, row))]
    seconds = time.perf_counter() - started
    if options.json:
        print(json.dumps({"networks": len(table), "differing": differing, "seconds": seconds}, indent=1))
    else:
        for sentence in differing[:10]:
            print(sentence)
        print(f"{len(table) - len(differing)}/{len(table)} match in macs and params, {seconds:.2f} s")
    return int(bool(differing) or not table)


def read(path: Path) -> dict[str, dict[str, int]]:
    """The table: eight digits of 0, 1, 2 → a row with `flops` and `params`."""
    try:
        table = json.loads(path.read_text())
        return {str(choices): {name: int(row[name]) for name in ("flops", "params")} for choices, row in table.items()}
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise UserError(f"--table must be NAS-Bench-Macro's JSON table, but {path} is not: {error!r}") from None


def network(choices: str) -> Arch:
    """The network that the table calls `choices`, as text of this language: one stage a layer."""
    stages = (
        f"{BLOCKS[int(choice)]} c{width}{' s2' if i in STRIDED else ''}"
        for i, (choice, width) in enumerate(zip(choices, WIDTHS, strict=True))
    )
    return Arch.parse(" | ".join(("r32", STEM, *stages, HEAD)))


def difference(choices: str, row: dict[str, int]) -> str:
    """What differs from the published row; empty when nothing does."""
    ours = cost(network(choices), in_channels=3, num_classes=CLASSES)
    if (ours.macs, ours.params) == (row["flops"], row["params"]):
        return ""
    return f"{choices}: {ours.macs} macs and {ours.params} params, published {row['flops']} and {row['params']}"


if __name__ == "__main__":
    run(main)
