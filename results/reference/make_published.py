"""Make published.csv: accuracy and cost of known networks on ImageNet, as published, with their sources.

    python results/reference/make_published.py --timm-results FILE --timm-benchmark FILE --pycls FILE --supernets FILE

The files are timm's `results/results-imagenet.csv` and `results/benchmark-infer-amp-…csv`, pycls's model zoo and the
figures of supernet papers as tables; the rest is the zoo's and torchvision's own record of its weights. Figures
(numbers) are carried over, nothing else.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pandas as pd
import torchvision

from search_spaces import zoo
from search_spaces.zoo.network import figure

COLUMNS = ["name", "family", "resolution", "macs", "params", "top1", "source"]
FAMILIES = {  # part of a name → family, the first that fits; networks of no family are left out
    "mobilenetv1|mobilenet_v1": "MobileNetV1",
    "mobilenetv2|mobilenet_v2": "MobileNetV2",
    "mobilenetv3|mobilenet_v3": "MobileNetV3",
    "mobilenetv4": "MobileNetV4",
    "mobileone": "MobileOne",
    "efficientnetv2|efficientnet_v2": "EfficientNetV2",
    "efficientnet": "EfficientNet",
    "mnasnet": "MnasNet",
    "fbnet": "FBNet",
    "ghostnet": "GhostNet",
    "tinynet": "TinyNet",
    "lcnet": "LCNet",
    "mixnet": "MixNet",
    "rexnet": "ReXNet",
    "shufflenet_v2": "ShuffleNetV2",
    "shufflenet": "ShuffleNet",
    "squeezenet": "SqueezeNet",
    "googlenet|inception_v3": "Inception",
    "densenet": "DenseNet",
    "convnext": "ConvNeXt",
    "regnetx|regnet_x": "RegNetX",
    "regnety|regnet_y": "RegNetY",
    "^resnext": "ResNeXt",
    "wide_resnet": "Wide ResNet",
    "^resnet(18|34|50|101|152)\\b(?!d|s|t)": "ResNet",
    "vgg": "VGG",
    "attentivenas": "AttentiveNAS",
    "alphanet": "AlphaNet",
    "ofa": "Once-for-all",
}


def family(name: str) -> str | None:
    """The family that a network's name tells."""
    return next(
        (label for part, label in FAMILIES.items() if re.search(part, name.lower().replace("resnet-", "resnet"))), None
    )


def of_zoo() -> list[dict[str, Any]]:
    """The papers' own figures, as the zoo has them."""
    found = []
    for one in zoo.families():
        for network in zoo.family(one):
            p = network.published
            if p.top1 and not p.source.startswith("torchvision IMAGENET"):
                exact = p.doubt or not p.macs or p.at  # printed wrongly, not at all, or of another resolution
                macs = network.cost.macs if exact else figure(p.macs)
                params = figure(p.params) if p.params else network.cost.params
                found.append(line(network.name, network.arch.resolution, macs, params, p.top1, p.source))
    return found


def of_torchvision() -> list[dict[str, Any]]:
    """Torchvision's convolutional networks: what it records of its weights."""
    found = []
    for name in torchvision.models.list_models(module=torchvision.models):
        for weights in torchvision.models.get_model_weights(name):
            meta, crop = weights.meta, weights.transforms().crop_size[0]
            if "ImageNet-1K" not in meta["_metrics"] or "SWAG" in weights.name:
                continue
            source = f"torchvision {torchvision.__version__.split('+')[0]} {weights.name}"
            top1 = meta["_metrics"]["ImageNet-1K"]["acc@1"]
            found.append(
                line(
                    name,
                    crop,
                    meta["_ops"] * 1e9,
                    meta["num_params"],
                    top1,
                    source,
                )
            )
    return found


def of_timm(results: Path, benchmark: Path) -> list[dict[str, Any]]:
    """Convolutional networks that timm trained or tested on ImageNet-1k alone, where it also counted at that size."""
    accuracy, cost = (pd.read_csv(path, thousands=",") for path in (results, benchmark))
    cost = cost.assign(base=cost.model.str.split(".").str[0]).drop_duplicates(["base", "infer_img_size"])
    tag = accuracy.model.str.split(".").str[1].fillna("")
    plain = (
        ~accuracy.model.str.startswith("test_")
        & tag.str.endswith("in1k")
        & ~tag.str.contains("ft_|in2|dist|ssl|swsl|ns_|jft|laion|clip|fb_ig|miil|ap_|sd_")
    )
    kept = accuracy[plain]
    kept = kept.assign(base=kept.model.str.split(".").str[0])
    both = kept.merge(cost, left_on=["base", "img_size"], right_on=["base", "infer_img_size"], suffixes=("", "_cost"))
    return [
        line(
            r.model,
            r.img_size,
            r.infer_gmacs * 1e9,
            r.param_count * 1e6,
            r.top1,
            "timm results-imagenet.csv",
        )
        for r in both.itertuples()
    ]


def of_pycls(path: Path) -> list[dict[str, Any]]:
    """RegNet and the baselines of its paper (Radosavovic 2020), trained alike."""
    return [
        line(
            r.model,
            224,
            r.flops_B * 1e9,
            r.params_M * 1e6,
            round(100 - r.top1_error, 1),
            "pycls model zoo",
        )
        for r in pd.read_csv(path).itertuples()
        if not r.model.startswith("EfficientNet")  # at other resolutions, which the table leaves out
    ]


def of_supernets(path: Path) -> list[dict[str, Any]]:
    """Networks out of supernets: once-for-all, AttentiveNAS, AlphaNet."""
    table = pd.read_csv(path)
    table["source"] = table.source.where(table.source != "same").ffill()
    return [line(r.model, None, r.macs_M * 1e6, None, r.top1, r.source) for r in table.itertuples()]


def line(name: str, resolution: Any, macs: float, params: float | None, top1: float, source: str) -> dict[str, Any]:
    values = (name, family(name), resolution, round(macs), None if params is None else round(params), top1, source)
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("timm-results", "timm-benchmark", "pycls", "supernets"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    rows = [*of_zoo(), *of_torchvision(), *of_timm(args.timm_results, args.timm_benchmark), *of_pycls(args.pycls)]
    frame = pd.DataFrame([*rows, *of_supernets(args.supernets)], columns=COLUMNS)
    frame = frame.dropna(subset=["family", "top1"]).astype({"resolution": "Int64", "params": "Int64"})
    out = Path(__file__).with_name("published.csv")
    frame.to_csv(out, index=False)
    print(f"{len(frame)} networks of {frame.family.nunique()} families in {out.name}")


if __name__ == "__main__":
    main()
