"""Train a detector whose backbone is a network of this project, on scenes composed from the embedded images.

    python benchmarks/detection.py
    python benchmarks/detection.py --kind faster_rcnn --scenes 640 --batch 8
    python benchmarks/detection.py --backbone mobilenet_v2_0.5_96 --weights FILE.safetensors

Clothes of Fashion-MNIST are pasted on noisy canvases, one to four each, so that their boxes are known; scenes of
the validation split share no image with those trained on. Prints mean average precision over epochs.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from nas import data as datasets
from nas import device as devices
from nas.detection import (
    KINDS,
    ArchFeatures,
    Precision,
    Scenes,
    compose,
    detector,
    mean_average_precision,
    multi_task_loss,
)
from search_spaces import zoo
from search_spaces.arch import Arch

SMALL = (
    "r112 | conv_stem(width=16) | inverted_residual(expand=1) c16 | inverted_residual(expand=4) c24 n2 s2 "
    "| inverted_residual(expand=4) c40 n2 s2 | inverted_residual(expand=4) c80 n2 s2 | pool_head"
)
WARM_UP = 0.1  # of the steps
OPTIONS = {  # as many RoIs as a scene of four objects has use for
    "faster_rcnn": {
        "rpn_pre_nms_top_n_train": 200,
        "rpn_pre_nms_top_n_test": 100,
        "rpn_post_nms_top_n_train": 100,
        "rpn_post_nms_top_n_test": 50,
        "rpn_batch_size_per_image": 64,
        "box_batch_size_per_image": 32,
    },
    "fast_rcnn": {"batch_size_per_image": 32},
    "ssd": {"topk_candidates": 100, "detections_per_img": 100},
}


def features(name: str, weights: Path | None, reductions: list[int]) -> ArchFeatures:
    """A network of the zoo or of a text, cut behind the last map, with weights of an export where there are any."""
    arch = Arch.parse(name) if "|" in name else zoo.find(name).arch
    network = ArchFeatures(arch, in_channels=1, coarsest=reductions[-1])
    if weights:
        from safetensors.torch import load_file

        known = network.state_dict()
        network.load_state_dict({key: value for key, value in load_file(weights).items() if key in known})
    return network


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Indices of an epoch's batches, the rest left out."""
    for chosen in torch.randperm(count, generator=generator).split(size):
        if len(chosen) == size:
            yield chosen


def rate(progress: float) -> float:
    """Linear warm-up, then a cosine to zero."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


@torch.no_grad()
def measure(model: nn.Module, scenes: Scenes) -> Precision:
    """Mean average precision on all scenes."""
    model.eval()
    found: list[dict[str, Tensor]] = []
    for chosen in torch.arange(len(scenes)).split(32):
        found += model(scenes.batch(chosen)[0])
    model.train()
    return mean_average_precision(found, scenes.targets)


def train(model: nn.Module, scenes: Scenes, validation: Scenes, args: argparse.Namespace) -> list[dict[str, float]]:
    """AdamW for the whole detector; a row for each epoch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
    generator = torch.Generator().manual_seed(args.seed)
    steps, step, seconds, rows = args.epochs * (len(scenes) // args.batch), 0, 0.0, []
    model.train()
    for epoch in range(1, args.epochs + 1):
        start, losses = time.perf_counter(), []
        for chosen in batches(len(scenes), args.batch, generator):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = args.lr * rate((step - 0.5) / steps)
            loss = multi_task_loss(model(*scenes.batch(chosen)))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            losses.append(loss.detach())
        mean_loss = float(torch.stack(losses).mean())
        seconds += time.perf_counter() - start
        precision = measure(model, validation)
        rows.append(
            {"epoch": epoch, "loss": mean_loss, "map_50": precision.map_50, "map": precision.map, "seconds": seconds}
        )
        if not args.json:
            print(
                f"epoch {epoch:2}  loss {mean_loss:6.3f}  mAP@0.5 {precision.map_50:.3f}  mAP {precision.map:.3f}  "
                f"{seconds:5.0f} s of training",
                flush=True,
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=sorted(KINDS), default="ssd")
    parser.add_argument("--backbone", default=SMALL, help="a network's text, or a name of the zoo")
    parser.add_argument("--weights", type=Path, help="safetensors of such a network, exported for 1 channel")
    parser.add_argument("--reductions", type=int, nargs="+", help="of the maps to use")
    parser.add_argument("--size", type=int, default=112, help="px of the canvas")
    parser.add_argument("--scenes", type=int, default=1280)
    parser.add_argument("--validation", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    # one thread: maps are small, and threads that wait for a busy core cost more than they bring
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    reductions = sorted(args.reductions or {"faster_rcnn": [4, 8, 16], "fast_rcnn": [8], "ssd": [8, 16]}[args.kind])
    devices.use_threads(args.threads)
    device = devices.pick(args.device)
    torch.manual_seed(args.seed)
    data = datasets.load("fashion-subset")
    scenes = compose(data, "train", args.scenes, size=args.size, seed=args.seed).to(device)
    validation = compose(data, "val", args.validation, size=args.size, seed=args.seed + 1).to(device)
    mean, std = scenes.moments
    model = detector(
        features(args.backbone, args.weights, reductions),
        args.kind,
        num_classes=len(scenes.classes),
        min_size=args.size,
        max_size=args.size,
        reductions=reductions,
        mean=mean,
        std=std,
        channels=64,
        head_width=256,
        options=OPTIONS[args.kind],
    )
    devices.place(model, device)
    said = {
        "kind": args.kind,
        "params": sum(p.numel() for p in model.parameters()),
        "device": devices.describe(device),
        "seed": args.seed,
        "scenes": len(scenes),
        "objects": sum(len(target["labels"]) for target in scenes.targets),
        "validation_scenes": len(validation),
        "validation_objects": sum(len(target["labels"]) for target in validation.targets),
        "weights": str(args.weights) if args.weights else "fresh",
    }
    if not args.json:
        print(said, flush=True)
    rows = train(model, scenes, validation, args)
    if args.json:
        print(json.dumps(said | {"rows": rows}, indent=2))


if __name__ == "__main__":
    main()
