"""What does int8 cost in accuracy, and what does it save? One network a space, trained shortly on the embedded images.

Each is drawn at random, trained by the search's default recipe, exported in fp32 and in int8, and both files are judged
on all validation images by the exporter itself; their sizes and the median time of an image at the training
resolution are beside it (ONNX Runtime, one thread; time is worth reading on a quiet machine only).

    python benchmarks/int8.py --spaces mobile,shuffle,squeeze --seed 0
"""

import argparse
import json
import tempfile
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import torch

from nas import data as datasets
from nas.batches import Images
from nas.cli import Help, chosen_space, positive, run
from nas.evaluate import Evaluator
from nas.exporters import onnx, onnx_int8
from nas.packaging.package import Accuracy, Package
from nas.recipe import QUICK
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.spaces import names

REPEATS = 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--spaces", default=",".join(names()), help="named spaces")
    parser.add_argument("--budget", type=Budget.parse, default="300MFLOPs", help="of the networks that are drawn")
    parser.add_argument("--steps", type=positive, default=QUICK.steps, help="of training")
    parser.add_argument("--seed", type=int, default=0, help="of the draw and of training")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = Images(datasets.load("fashion-subset"), 3, torch.device("cpu"))
    rows = {name: row(name, images, options) for name in options.spaces.split(",")}
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'space':10} {'fp32':>7} {'int8':>7} {'same class':>10} {'kB':>7} {'int8 kB':>7} {'ms':>6} {'int8 ms':>7}")
    for name, r in rows.items():
        print(
            f"{name:10} {r['before']:7.4f} {r['after']:7.4f} {r['agreement']:10.1%} {r['bytes'][0] / 1e3:7.0f} "
            f"{r['bytes'][1] / 1e3:7.0f} {r['ms'][0]:6.2f} {r['ms'][1]:7.2f}"
        )
    lost = [r["before"] - r["after"] for r in rows.values()]
    print(
        f"accuracy lost: median {median(lost):.4f}, most {max(lost):.4f}; n = {images.data.val.labels.numel()} images"
    )
    return 0


def row(name: str, images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """One network: trained, exported twice, judged."""
    space = chosen_space(name, None)
    arch, _ = Feasible(space, options.budget, 3, 1000).draw(Random(f"int8 {options.seed}"))
    recipe = QUICK.with_(steps=options.steps, reference=arch.resolution, seed=options.seed)
    found = Evaluator(recipe, images).evaluate(arch)
    accuracy = Accuracy(found.accuracy, "validation", images.data.name, found.pixels)
    package = Package(arch, 3, len(images.data.classes), found.weights, accuracy=accuracy, images=lambda: images)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        onnx.write(package.at(found.pixels), out / "network.onnx")
        onnx_int8.export(package, out)
        report = json.loads((out / "network.int8.json").read_text(encoding="utf-8"))["proof"]["accuracy"]
        files = [out / "network.onnx", out / "network.int8.onnx"]
        sizes = [path.stat().st_size for path in files]
        return {"arch": str(arch), **report, "bytes": sizes, "ms": [ms(path, found.pixels) for path in files]}


def ms(path: Path, side: int) -> float:
    """Median milliseconds of one image."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    image = torch.randn(1, 3, side, side).numpy()
    took = []
    for _ in range(REPEATS):
        begin = perf_counter()
        session.run(None, {"images": image})
        took.append(1e3 * (perf_counter() - begin))
    return median(took[3:])


if __name__ == "__main__":
    run(main)
