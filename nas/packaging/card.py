"""The model card beside an export: what the network is, costs and is worth, and where all of it comes from.

After Mitchell et al. 2019, "Model cards for model reporting": what was measured, on what, and what it does not say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nas.errors import UserError
from nas.packaging.package import Package
from search_spaces.cost import Cost

KNOWN = 0.5  # share of a latency that may be an estimate, to be told at all
_MEANS = {
    "test": "Test images were read once, after training; nothing was chosen by them.",
    "validation": "Validation images chose this network among others, so new images will be classified a little worse.",
}


def card(package: Package, name: str, spec: Mapping[str, Any]) -> str:
    """Markdown; `spec` is what NAME.json holds, with `proof` where the export was proved."""
    _, channels, classes = package.as_deployed
    side = package.arch.resolution
    return "\n".join(
        (
            f"# {name}",
            "",
            f"An image classifier of {package.arch.depth} blocks: images of {package.in_channels}×{side}×{side} px to "
            f"{package.num_classes:,} classes.",
            "",
            "```",
            *str(package.arch).replace(" | ", "\n| ").splitlines(),
            "```",
            *_section("Cost", _costs(package, f"{channels}×{side}×{side} px, {classes:,} classes, one image")),
            *_section("Latency", _latencies(package)),
            *_section("Accuracy", _accuracy(package)),
            *_section("Data", _data(package.record)),
            *_section("Provenance", _provenance(package, spec)),
            *_section("Proof", proof_lines(spec.get("proof"))),
            "",
        )
    )


def proof_lines(proof: Mapping[str, Any] | None) -> list[str]:
    """What was run and found, a line a fact; int8 brings its accuracy before and after."""
    if not proof:
        return []
    lines = [
        f"Run by {proof['runtime']}: logits within {proof['difference']:.1e} of PyTorch's, the largest is "
        f"{proof['largest']:.3g}."
    ]
    if judged := proof.get("accuracy"):
        lines.append(
            f"{judged['images']:,} {judged['split']} images at {judged['resolution']} px: accuracy "
            f"{judged['before']:.4f} in fp32, {judged['after']:.4f} in int8; the same class for "
            f"{judged['agreement']:.1%} of them."
        )
        lines.append(f"Calibrated on {judged['calibration']:,} training images.")
    return lines


def _section(title: str, lines: Sequence[str]) -> Iterable[str]:
    return ["", f"## {title}", "", *lines] if lines else []


def _costs(package: Package, counted_for: str) -> list[str]:
    def row(label: str, plain: Any, folded: Any) -> str:
        return f"| {label} | {plain:,} | {folded:,} |"

    plain, folded = package.cost, package.folded_cost
    names = ("flops", "macs", "params", "size_bytes", "activations", "peak_activations")
    return [
        f"Exact, for {counted_for}. `flops` is fvcore's count: a multiply-add is 1, batch norm 2 and adaptive pooling "
        "1 an element; `macs` is its convolution and linear part; `size_bytes` is the parameters in fp32; "
        "`peak_activations` the most elements alive at once.",
        "",
        "| | as trained | batch norms folded |",
        "|---|---:|---:|",
        *(row(f"`{name}`", *(getattr(cost, name) for cost in (plain, folded))) for name in names),
        f"| peak memory of activations, fp32 | {_kilobytes(plain)} | {_kilobytes(folded)} |",
    ]


def _kilobytes(cost: Cost) -> str:
    return f"{4 * cost.peak_activations / 1e3:,.0f} kB"


def _latencies(package: Package) -> list[str]:
    """What the tables at hand predict; those that know little of this network's parts are passed over."""
    from nas.latency.predictor import Predictor
    from nas.latency.table import TABLES, read

    rows = []
    for path in sorted(TABLES.glob("*.json")):
        try:
            table = read(str(path))
        except UserError:  # another release's, or no table
            continue
        said = Predictor(table)(*package.as_deployed)
        if said.estimated <= KNOWN:
            rows.append(f"| `{path.stem}`: {table} | {said.ms:.3g} ms | {said.estimated:.0%} |")
    if not rows:
        return ["Not measured: no latency table of this network's blocks was at hand (`python -m nas.latency`)."]
    return ["Predicted by tables of measured blocks.", "", "| table | latency | estimated |", "|---|---:|---:|", *rows]


def _accuracy(package: Package) -> list[str]:
    text = package.accuracy_text
    found = package.accuracy
    if found is None:
        return [text[0].upper() + text[1:] + "."]
    lines = [f"{text}. {_MEANS.get(found.split, '')}".rstrip()]
    if found.resolution and found.resolution != package.arch.resolution:
        lines.append(
            f"It was trained and judged at {found.resolution} px, and costs are counted at "
            f"{package.arch.resolution} px: what it would be worth at that size was not measured."
        )
    return lines


def _data(record: Mapping[str, Any]) -> list[str]:
    if not record.get("data"):
        return []
    lines = [f"- set: {record['data']}", f"- licence: {record.get('licence') or 'unknown'}"]
    if record.get("data_fingerprint"):
        lines.append(f"- SHA-256 of all splits: `{record['data_fingerprint']}`")
    if record.get("mean") and record.get("std"):
        lines.append(f"- normalisation: pixels as 0 to 1, less {record['mean']}, over {record['std']}")
    if record.get("classes"):
        lines.append(f"- classes, in the order of the logits: {', '.join(map(str, record['classes']))}")
    return lines


def _provenance(package: Package, spec: Mapping[str, Any]) -> list[str]:
    facts = {key: value for key, value in package.provenance.items() if value not in (None, "", {}, [])}
    versions = {"trained with": package.record.get("versions"), "exported with": spec.get("exported_with")}
    for label, found in versions.items():
        if found:
            facts[label] = ", ".join(f"{name} {release}" for name, release in found.items())
    return [f"- {key}: {value}" for key, value in facts.items()]
