"""What `nas.packaging.proof` runs, by `python -I`: an export, used where this project is not.

Arguments: folder, module name, probe (images, and the logits that are expected), settings as JSON. A name with
a suffix is torch.export's archive. Prints what it found as JSON. Imports nothing of this project.
"""

from __future__ import annotations

import importlib
import importlib.abc
import json
import logging
import os
import sys
import warnings
from typing import Any

REFUSED = ("nas", "search_spaces", "dashboard", "timm")  # an export registers with timm, and must do without


class Refuse(importlib.abc.MetaPathFinder):
    """Refuses this project and timm, which would be found from anywhere."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"{fullname} is refused, as an exported module stands alone", name=fullname)


def refuse_the_project() -> None:
    """Make these unimportable, and make sure that it is."""
    sys.meta_path.insert(0, Refuse())
    for name in REFUSED:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        raise SystemExit(f"{name} could be imported, so nothing would be proved")


def examine(folder: str, name: str, probe: str, settings: dict[str, int]) -> dict[str, Any]:
    """Flops and params as deployed, and how far logits are from those expected, with both sets of weights."""
    import torch
    from fvcore.nn import FlopCountAnalysis
    from safetensors.torch import load_file

    torch.set_num_threads(settings["threads"])
    sys.path.insert(0, folder)
    module = importlib.import_module(name)
    held = load_file(probe)
    network = module.load(os.path.join(folder, f"{name}.safetensors")).eval()
    found: dict[str, Any] = {"weights": compare(network, held["images"], held["logits.weights"])}
    awake = {key.removeprefix("awake."): value for key, value in held.items() if key.startswith("awake.")}
    network.load_state_dict(awake)
    found["awake"] = compare(network, held["images"], held["logits.awake"])

    channels, side = settings["in_channels"], settings["resolution"]
    deployed = module.Network(num_classes=settings["num_classes"], in_channels=channels).eval()
    with torch.no_grad():
        found["flops"] = int(FlopCountAnalysis(deployed, torch.zeros(1, channels, side, side)).total())
    found["params"] = sum(parameter.numel() for parameter in deployed.parameters())
    return found


def examine_program(path: str, probe: str) -> dict[str, Any]:
    """How far the logits of an archive are from those expected, batch by batch; the worst, and the largest logit."""
    import torch
    from safetensors.torch import load_file

    network, held = torch.export.load(path).module(), load_file(probe)
    batches = [key.removeprefix("images.") for key in held if key.startswith("images.")]
    found = [compare(network, held[f"images.{key}"], held[f"logits.{key}"]) for key in batches]
    if any(one["difference"] is None for one in found):
        return next(one for one in found if one["difference"] is None)
    numbers = {key: torch.tensor([float(one[key]) for one in found]) for key in ("difference", "largest")}
    return {key: repr(each.max().item()) for key, each in numbers.items()}  # Python's max would lose a NaN


def compare(network: Any, images: Any, expected: Any) -> dict[str, Any]:
    """Largest difference of a logit and largest logit, as text because JSON knows no infinity."""
    import torch

    with torch.no_grad():
        logits = network(images)
    if logits.shape != expected.shape:
        return {"shape": list(logits.shape), "difference": None, "largest": None}
    same = torch.isclose(logits, expected, rtol=0, atol=0, equal_nan=True)
    difference = torch.where(same, 0.0, logits - expected).abs().max().item()
    return {"shape": list(logits.shape), "difference": repr(difference), "largest": repr(expected.abs().max().item())}


if __name__ == "__main__":
    refuse_the_project()
    warnings.simplefilter("ignore")  # fvcore imports and traces with deprecated calls
    logging.disable(logging.CRITICAL)
    folder, name, probe, settings = sys.argv[1:]
    if "." in name:
        print(json.dumps(examine_program(os.path.join(folder, name), probe)))
    else:
        print(json.dumps(examine(folder, name, probe, json.loads(settings))))
