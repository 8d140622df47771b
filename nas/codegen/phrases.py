"""The phrases of `search_spaces.layers` as torch: what an exported file is written in.

Exported files carry those functions that they use word for word (but for the default activation,
which is the network's most common one), so each stands by itself here: torch only, no module state.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from nas.modules import Add, Concat, Multiply

Activation = Callable[[], nn.Module]
relu = partial(nn.ReLU, inplace=True)
sigmoid = nn.Sigmoid


def chain(**layers: nn.Module) -> nn.Sequential:
    """One after another."""
    return nn.Sequential(OrderedDict(layers))


def add(**branches: nn.Module) -> nn.Sequential:
    """The same input through each branch, outputs summed."""
    return Add(OrderedDict(branches))


def concat(**branches: nn.Module) -> nn.Sequential:
    """The same input through each branch, channels joined."""
    return Concat(OrderedDict(branches))


def multiply(**branches: nn.Module) -> nn.Sequential:
    """The same input through each branch, outputs multiplied."""
    return Multiply(OrderedDict(branches))


def conv(
    in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, bias: bool = False
) -> nn.Conv2d:
    """Convolution that keeps the size at stride 1."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=bias)


def conv_norm(in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm."""
    return chain(conv=conv(in_channels, out_channels, kernel, stride, groups), norm=nn.BatchNorm2d(out_channels))


def conv_norm_act(
    in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: Activation = relu
) -> nn.Sequential:
    """Convolution, batch norm, activation."""
    first = conv(in_channels, out_channels, kernel, stride, groups)
    return chain(conv=first, norm=nn.BatchNorm2d(out_channels), act=act())


def conv_act(
    in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, act: Activation = relu
) -> nn.Sequential:
    """Convolution with bias, activation: as before batch norm."""
    return chain(conv=conv(in_channels, out_channels, kernel, stride, bias=True), act=act())


def squeeze_excite(channels: int, squeezed: int, act: Activation = relu, gate: Activation = sigmoid) -> nn.Sequential:
    """Squeeze-and-excitation (Hu 2018): global pool, 1×1 to `squeezed`, 1×1 back, gate each channel."""
    gates = chain(
        pool=nn.AdaptiveAvgPool2d(1),
        reduce=conv(channels, squeezed, bias=True),
        act=act(),
        expand=conv(squeezed, channels, bias=True),
        gate=gate(),
    )
    return multiply(identity=nn.Identity(), gate=gates)
