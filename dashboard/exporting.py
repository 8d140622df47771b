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
    from nas.exporters.package import Package
    from nas.store import Candidate

LABELS = {
    "python_module": "Python module",
    "onnx": "ONNX",
    "onnx_int8": "ONNX, int8",
    "pt2": "torch.export",
    "executorch": "ExecuTorch",
}


def formats() -> list[tuple[str, str, str]]:
    """(name, label, what it is) of each format: `nas.exporters` finds them, so this list grows by itself."""
    abouts = {"python_module": "a file that needs nothing but torch, its weights and its spec"}
    return [
        (name, LABELS.get(name, name.replace("_", " ").capitalize()), abouts.get(name, name.replace("_", " ")))
        for name in exporters.names()
    ]


def prepare(site: Site, study: Study, number: int, name: str) -> tuple[str, str | None]:
    """Export a trial; what to tell, and the address of the download where there is one."""
    candidate = study.candidate(number)
    if candidate is None or name not in exporters.names():
        return "There is no such trial or format.", None
    try:
        package, note = _package(study, candidate)
        folder = site.exports / slug(study.key) / f"trial-{number:05d}" / name
        exporters.find(name).export(package, folder, "network")
        path = _zipped(folder, f"{slug(study.name)}-trial-{number}-{slug(name)}")
    except (UserError, OSError) as error:
        return f"The export failed: {error}.", None
    return f"{path.name}, {path.stat().st_size / 1e6:.1f} MB, {note}.", site.offer(path)


def _package(study: Study, candidate: Candidate) -> tuple[Package, str]:
    """The network with its best weights, or freshly initialised where none were kept; which of them, in words."""
    from nas.export import fresh, trained

    channels, classes = study.meta["in_channels"], study.meta["num_classes"]
    try:
        package = trained(study.stored, candidate, channels, classes)
    except UserError:
        untrained = "freshly initialised: the weights of this trial were not kept"
        return fresh(candidate.arch, channels, classes), untrained
    return package, f"with its weights: {package.accuracy}"


def _zipped(folder: Path, name: str) -> Path:
    """Everything in a folder as one file beside it."""
    path = folder.parent / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return path
