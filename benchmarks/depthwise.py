"""Depthwise convolutions on small maps: one training step of torch's `Conv2d` beside `nas.depthwise`, on the CPU.

    python benchmarks/depthwise.py --batch 64 --repeats 7

Times forward and backward together, the fastest of the repeats, in turns. Outputs and gradients are compared too.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor, nn

from nas import device as devices
from nas.depthwise import SmallMapDepthwise

CASES = [  # channels, kernel, stride, pixels
    (960, 5, 1, 1), (960, 3, 1, 2), (960, 5, 2, 2), (480, 5, 1, 2), (480, 5, 1, 4), (480, 7, 1, 4), (480, 5, 2, 4),
    (480, 3, 1, 4), (144, 5, 1, 8),
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
    for channels, kernel, stride, pixels in CASES:
        plain = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
        ours = SmallMapDepthwise(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
        ours.load_state_dict(plain.state_dict())
        for layer in (plain, ours):
            layer.to(memory_format=torch.channels_last)
        images = torch.randn(args.batch, channels, pixels, pixels).contiguous(memory_format=torch.channels_last)
        images.requires_grad_()
        gradient = torch.randn_like(plain(images))
        runs = [(step(plain, images, gradient), step(ours, images, gradient)) for _ in range(args.repeats)]
        theirs, mine = (min(run[i][0] for run in runs) * 1e3 for i in (0, 1))
        off = max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(runs[0][0][1], runs[0][1][1], strict=True))
        what = f"{channels} channels, {kernel}×{kernel} stride {stride} on {pixels}×{pixels}"
        print(
            f"{what:42} torch {theirs:6.2f} ms  ours {mine:6.2f} ms  ratio {theirs / mine:5.1f}  difference {off:.0e}"
        )


if __name__ == "__main__":
    main()
