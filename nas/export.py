"""Take a network home: a standalone PyTorch module, its weights and its spec, and the proof that they are it."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import cli, exporters, state_dicts
from nas.cli import positive
from nas.errors import UserError
from search_spaces import zoo
from search_spaces.arch import Arch

if TYPE_CHECKING:
    from nas.packaging.package import Package
    from nas.packaging.proof import Proof

DESCRIPTION = """\
Take a network home as plain PyTorch – NAME.py (imports torch only), NAME.safetensors, NAME.json – or for another
runtime by --format. A model card, NAME.md, tells costs, accuracy, data and provenance.

A fresh process that cannot import this project then loads it, and must find the same parameters,
FLOPs and logits; other formats are run in their own runtime. Weights of nas.train are taken where there are any,
else those of the search.

examples:
  python -m nas.export --study mobile-300MFLOPs-fashion-subset --best --out mobilenet
  python -m nas.export --study mobile-300MFLOPs-fashion-subset --trial 12 --out twelve --name twelve
  python -m nas.export --study mobile-300MFLOPs-fashion-subset --best --out mobilenet --format onnx
  python -m nas.export --study mobile-300MFLOPs-fashion-subset --best --out mobilenet --format onnx_int8
  python -m nas.export --zoo mobilenet_v2 --weights mobilenet_v2-b0353104.pth --out v2
  python -m nas.export --arch "r224 | conv_stem(width=32) | … | pool_head(width=1280)" --out mine
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = cli.command("export", DESCRIPTION)
    cli.add_study(result)
    cli.add_choice(result)
    result.add_argument("--arch", metavar="TEXT", help="instead of a study's, this network, freshly initialised")
    result.add_argument("--zoo", metavar="NAME", help="instead, a paper's network (python -m nas.zoo lists them)")
    result.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="of --zoo, a state dict of torchvision or timm: .safetensors or .pth",
    )
    result.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write, made if need be")
    result.add_argument(
        "--format",
        default="python_module",
        metavar="NAME",
        help=f"one of {', '.join(exporters.names())}; onnx and onnx_int8 need the extra `onnx`, executorch its own",
    )
    result.add_argument("--name", default="network", help="name of the module and of its files")
    result.add_argument("--untrained", action="store_true", help="a fresh initialisation, even where weights exist")
    result.add_argument(
        "--num-classes", type=positive, metavar="N", help="as deployed; the study's, or 1000, unless given"
    )
    result.add_argument(
        "--in-channels", type=positive, metavar="N", help="as deployed; the study's, or 3, unless given"
    )
    result.add_argument("--json", action="store_true", help="print what was written and proved as JSON on stdout")
    return result


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    arch = _given(args)  # a mistake is told before torch is loaded

    from nas.packaging.sources import fresh, published
    from nas.packaging.spec import check_name

    check_name(args.name)
    if args.weights:
        package = published(zoo.find(args.zoo), state_dicts.read(args.weights), args.weights.name)
    else:
        usual = zoo.find(args.zoo).in_channels if args.zoo else 3
        channels, classes = args.in_channels or usual, args.num_classes or 1000
        package = _of_study(args) if arch is None else fresh(arch, channels, classes)
    if args.format != "python_module":
        return _other_format(args, package)
    report = summary(package, _proved(package, args.out, args.name), args.out, args.name)
    print(json.dumps(report, indent=2, ensure_ascii=False) if args.json else pretty(report))
    return 0


def _proved(package: Package, out: Path, name: str) -> Proof:
    """Export and prove aside, and only then write into the folder `out`, over what was there before."""
    from nas.exporters.python_module import SUFFIXES, export, write_card
    from nas.packaging.delivery import put
    from nas.packaging.proof import prove

    with tempfile.TemporaryDirectory() as scratch:
        made = export(package, Path(scratch), name)
        proof = prove(made, package, name)
        write_card(package, made, name, proof.told())
        names = (f"{name}{suffix}" for suffix in reversed(SUFFIXES))  # the module last
        put(out, {each: partial(shutil.copyfile, made / each) for each in names})
    return proof


def _other_format(args: argparse.Namespace, package: Package) -> int:
    """Export in a format that proves itself."""
    from nas.packaging.card import proof_lines

    exporter = exporters.find(args.format)
    folder = exporter.export(package, args.out, args.name)
    path = folder / f"{args.name}{exporter.SUFFIX}"
    report = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if args.json:
        print(json.dumps({"path": str(path), "bytes": path.stat().st_size, **report}, indent=2, ensure_ascii=False))
        return 0
    print(f"{path}  {path.stat().st_size / 1e3:,.1f} kB: {exporter.ABOUT}")
    print(f"{path.with_suffix('.md')}: the model card")
    print(f"  accuracy  {package.accuracy_text}")
    for line in proof_lines(report["proof"]):
        print(f"  {line}")
    return 0


def _given(args: argparse.Namespace) -> Arch | None:
    """The network of `--arch` or `--zoo`; None for a study's."""
    from_a_study = args.study or args.best or args.trial is not None
    if sum(map(bool, (args.arch, args.zoo, from_a_study))) > 1:
        raise UserError("a network is a study's, --arch TEXT or --zoo NAME, but got more than one of them")
    if args.weights and (not args.zoo or args.num_classes or args.in_channels):
        raise UserError(
            "--weights go with --zoo NAME, and tell channels and classes themselves, but got them otherwise"
        )
    if args.zoo:
        return zoo.find(args.zoo).arch
    return None if args.arch is None else Arch.parse(args.arch)


def _of_study(args: argparse.Namespace) -> Package:
    """The network of `--best` or `--trial`, with the best weights that there are."""
    from nas.packaging.sources import trained, untrained
    from nas.store import open_study

    stored = open_study(args.storage, args.study)
    candidate, meta = cli.chosen(args, stored), stored.meta
    channels, classes = args.in_channels or meta["in_channels"], args.num_classes or meta["num_classes"]
    return (untrained if args.untrained else trained)(stored, candidate, channels, classes)


# -------------------------------------------------------------------------------- what is reported


def summary(package: Package, proof: Proof, folder: Path, name: str) -> dict[str, Any]:
    """What was written and proved, as plain data."""
    from nas.exporters.python_module import SUFFIXES
    from nas.packaging.spec import spec

    files = {suffix[1:]: folder / f"{name}{suffix}" for suffix in SUFFIXES}
    return {
        "folder": str(folder),
        "files": {kind: {"path": str(path), "bytes": path.stat().st_size} for kind, path in files.items()},
        "trained": package.accuracy is not None,
        "accuracy_text": package.accuracy_text,
        **spec(package, name),
        "proof": asdict(proof),
    }


def pretty(report: dict[str, Any]) -> str:
    """The summary for people: files, what was proved, and how to use it."""
    proof, cost, deployed = report["proof"], report["cost"], report["deployed"]
    name, side = report["name"], report["resolution"]
    size = max(len(file["path"]) for file in report["files"].values())
    channels = report["in_channels"]
    return "\n".join(
        (
            report["arch"],
            "",
            *(f"  {file['path']:<{size}}  {file['bytes'] / 1e3:>10,.1f} kB" for file in report["files"].values()),
            "",
            f"  as deployed  {deployed['in_channels']}×{side}×{side}, {deployed['num_classes']:,} classes",
            f"  flops        {cost['flops']:>15,}",
            f"  macs         {cost['macs']:>15,}",
            f"  params       {cost['params']:>15,}",
            f"  accuracy     {report['accuracy_text']}",
            "",
            "  proved in a process of its own, without this project: the same params, the same flops,",
            f"  logits of {proof['images']} images within {max(proof['difference'], proof['awake_difference']):.1e}",
            "",
            f"  cd {report['folder']} && python",
            f"  >>> import torch, {name}",
            f"  >>> model = {name}.load().eval()  # {channels} channels, {report['num_classes']:,} classes",
            f"  >>> model(torch.rand(1, {channels}, {side}, {side})).softmax(1)",
        )
    )


if __name__ == "__main__":
    cli.run(main)
