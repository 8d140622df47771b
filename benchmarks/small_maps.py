"""Convolutions of small maps: one training step of torch's `Conv2d` beside `nas.depthwise` and `nas.small_maps`.

    python benchmarks/small_maps.py --batch 64 --repeats 7

On the CPU, in channels_last, random weights and images of seed 0.

Times forward and backward together, the fastest of the repeats, in turns. Outputs and gradients are compared too.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor, nn

from nas import device as devices
from nas.depthwise import SmallMapDepthwise
from nas.small_maps import SmallMapConv

DEPTHWISE = [  # channels, kernel, stride, pixels
    (960, 5, 1, 1), (960, 3, 1, 2), (960, 5, 2, 2), (480, 5, 1, 2), (480, 5, 1, 4), (480, 7, 1, 4), (480, 5, 2, 4),
    (480, 3, 1, 4), (144, 5, 1, 8),
]  # fmt: skip
DENSE = [  # channels in and out, kernel, stride, pixels
    *((*channels, 1, 1, side) for side in (1, 2, 4, 8) for channels in ((16, 96), (128, 128), (384, 64), (512, 512))),
    *((*channels, kernel, 1, side) for kernel in (3, 5) for side in (1, 2) for channels in ((32, 8), (128, 128),
      (512, 512))),
    (128, 128, 3, 2, 2),
    (64, 64, 1, 1, 16),
]  # fmt: skip


def step(layer: nn.Module, images: Tensor, gradient: Tensor) -> tuple[float, list[Tensor]]:
    """Seconds of a forward and a backward pass, and what came out of them."""
    start = time.perf_counter()
    outputs = layer(images)
    gradients = torch.autograd.grad(outputs, (images, *layer.parameters()), gradient)
    return time.perf_counter() - start, [outputs.detach(), *gradients]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    devices.use_threads(None)
    torch.manual_seed(0)
    for channels, kernel, stride, pixels in DEPTHWISE:
        plain, ours = (
            kind(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
            for kind in (nn.Conv2d, SmallMapDepthwise)
        )
        what = f"{channels} channels depthwise, {kernel}×{kernel} stride {stride} on {pixels}×{pixels}"
        print(f"{what:50} {compared(plain, ours, pixels, args.batch, args.repeats)}", flush=True)
    for channels, out, kernel, stride, pixels in DENSE:
        plain, ours = (
            kind(channels, out, kernel, stride, kernel // 2, bias=False) for kind in (nn.Conv2d, SmallMapConv)
        )
        what = f"{channels} → {out} channels, {kernel}×{kernel} stride {stride} on {pixels}×{pixels}"
        print(f"{what:50} {compared(plain, ours, pixels, args.batch, args.repeats)}", flush=True)


def compared(plain: nn.Conv2d, ours: nn.Conv2d, pixels: int, batch: int, repeats: int) -> str:
    """The fastest of the repeats, in turns, and the largest difference of outputs and gradients."""
    ours.load_state_dict(plain.state_dict())
    for layer in (plain, ours):
        layer.to(memory_format=torch.channels_last)
    images = torch.randn(batch, plain.in_channels, pixels, pixels).contiguous(memory_format=torch.channels_last)
    images.requires_grad_()
    gradient = torch.randn_like(plain(images))
    runs = [(step(plain, images, gradient), step(ours, images, gradient)) for _ in range(repeats)]
    theirs, mine = (min(run[i][0] for run in runs) * 1e3 for i in (0, 1))
    off = max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(runs[0][0][1], runs[0][1][1], strict=True))
    return f"torch {theirs:6.2f} ms  ours {mine:6.2f} ms  ratio {theirs / mine:5.1f}  difference {off:.0e}"


if __name__ == "__main__":
    main()
