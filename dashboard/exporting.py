"""Exports of a trial as downloads: written into the dashboard's own folder, and nowhere else."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.site import Site, slug
from dashboard.studies import Study
from nas import exporters
from nas.errors import UserError

if TYPE_CHECKING:
    from nas.candidates import Candidate
    from nas.packaging.package import Package

LABELS = {
    "python_module": "Python module",
    "onnx": "ONNX",
    "onnx_int8": "ONNX, int8",
    "pt2": "torch.export",
    "executorch": "ExecuTorch",
}
WEIGHTS = "weights"
"""Not a format of its own: the state dict that a Python module comes with, alone."""


def formats() -> list[tuple[str, str, str]]:
    """(name, label, what it is) of each format: `nas.exporters` finds them, so this list grows by itself."""
    found = [
        (name, LABELS.get(name, name.replace("_", " ").capitalize()), exporters.find(name).ABOUT)
        for name in exporters.names()
    ]
    return [*found, (WEIGHTS, "Weights", "the state dict as safetensors")]


def prepare(site: Site, study: Study, number: int, name: str) -> tuple[str, str | None]:
    """Export a trial; what to tell, and the address of the download where there is one."""
    candidate = study.candidate(number)
    if candidate is None or name not in (*exporters.names(), WEIGHTS):
        return "There is no such trial or format.", None
    try:
        package, note = _package(study, candidate)
        folder = site.exports / slug(study.key) / f"trial-{number:05d}" / name
        exporters.find("python_module" if name == WEIGHTS else name).export(package, folder, "network")
        stem = f"{slug(study.name)}-trial-{number}"
        path = _weights(folder, stem) if name == WEIGHTS else _zipped(folder, f"{stem}-{slug(name)}")
    except (UserError, OSError) as error:
        return f"The export failed: {error}.", None
    return f"{path.name}, {path.stat().st_size / 1e6:.1f} MB, {note}.", site.offer(path)


def _package(study: Study, candidate: Candidate) -> tuple[Package, str]:
    """The network with its best weights, or freshly initialised where none were kept; which of them, in words."""
    from nas.packaging.sources import trained, untrained

    channels, classes = study.meta["in_channels"], study.meta["num_classes"]
    try:
        package = trained(study.stored, candidate, channels, classes)
    except UserError:
        note = "freshly initialised: the weights of this trial were not kept"
        return untrained(study.stored, candidate, channels, classes), note
    return package, f"with its weights: {package.accuracy}"


def _weights(folder: Path, name: str) -> Path:
    """The state dict of an exported Python module, by a name that tells whose it is."""
    return (folder / "network.safetensors").replace(folder.parent / f"{name}.safetensors")


def _zipped(folder: Path, name: str) -> Path:
    """Everything in a folder as one file beside it."""
    path = folder.parent / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return path
