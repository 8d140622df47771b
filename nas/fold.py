"""Batch norms folded into the convolutions before them, weights and all: what `search_spaces.folding` counts."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nas.build import module
from search_spaces.folding import folded, pairs
from search_spaces.layers import Layer, Shape


def fold(network: nn.Module, layer: Layer, shape: Shape) -> nn.Module:
    """A new module that computes what `network`, built of `layer` for `shape`, computes in eval mode.

    Names stay: a folded convolution has its weights and bias under its old name, its batch norm is an identity.
    """
    twin, parts = module(folded(layer), shape).eval(), dict(network.named_modules())
    weights, taken = network.state_dict(), dict(pairs(layer))
    for conv, norm in taken.items():
        convolution, normalisation = parts[conv], parts[norm]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(normalisation, nn.BatchNorm2d)
        fused = fuse_conv_bn_eval(convolution.eval(), normalisation.eval())
        weights |= {f"{conv}.{name}": value for name, value in fused.state_dict().items()}
        for name in normalisation.state_dict():
            del weights[f"{norm}.{name}"]
    twin.load_state_dict(weights)
    return twin
