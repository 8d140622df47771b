"""Layer → torch.nn.Module: one reading of an architecture.

Submodules are named as the language names them: `stage2.0.path.expand.conv.weight`.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from torch import nn

from nas import modules
from nas.in_place import shared_inputs
from search_spaces import layers as L
from search_spaces.arch import Arch
from search_spaces.layers import Layer, Shape

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),
    "hardswish": lambda: nn.Hardswish(inplace=True),
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "hardsigmoid": lambda: nn.Hardsigmoid(inplace=True),
}
_COMBINATORS: dict[type[Layer], type[nn.Sequential]] = {
    L.Chain: nn.Sequential,
    L.Concat: modules.Concat,
    L.Add: modules.Add,
    L.Multiply: modules.Multiply,
}
_LEAVES: dict[type[Layer], Callable[[Any, Shape], nn.Module]] = {
    L.Conv: lambda c, s: nn.Conv2d(
        s.channels, c.channels, c.kernel, c.stride, c.pad, c.dilation, groups=c.groups, bias=c.bias
    ),
    L.BatchNorm: lambda n, s: nn.BatchNorm2d(s.channels, eps=n.eps, momentum=n.momentum),
    L.Act: lambda a, s: ACTIVATIONS[a.kind](),
    L.Dropout: lambda d, s: nn.Dropout(d.p),
    L.Identity: lambda i, s: nn.Identity(),
    L.Shuffle: lambda h, s: modules.Shuffle(h.groups),
    L.MaxPool: lambda p, s: nn.MaxPool2d(p.kernel, p.stride, p.padding, ceil_mode=p.ceil),
    L.AvgPool: lambda p, s: nn.AvgPool2d(p.kernel, p.stride, p.padding, ceil_mode=p.ceil),
    L.AdaptivePool: lambda p, s: (nn.AdaptiveMaxPool2d if p.maximum else nn.AdaptiveAvgPool2d)(p.size),
    L.Flatten: lambda f, s: nn.Flatten(),
    L.Linear: lambda f, s: nn.Linear(s.channels, f.features, bias=f.bias),
}


def build(arch: Arch, in_channels: int = 3, num_classes: int = 1000) -> nn.Sequential:
    """The network (N, in_channels, H, W) → (N, num_classes), initialised; raise `ArchError` when layers do not fit.

    The module reads images of any size that leaves every feature map at least 1×1.
    """
    network = module(arch.layer(in_channels, num_classes), Shape(in_channels, arch.resolution, arch.resolution))
    assert isinstance(network, nn.Sequential)
    initialise(network)
    return network


def module(layer: Layer, shape: Shape) -> nn.Module:
    """The module of one layer that reads `shape`, and leaves what it is given as it is."""
    layer.out(shape)  # the layer's own error, not torch's
    return _module(layer, shape, shared=True)


def _module(layer: Layer, shape: Shape, shared: bool) -> nn.Module:
    if not isinstance(layer, L.Combinator):
        leaf = _LEAVES[type(layer)](layer, shape)
        if shared and hasattr(leaf, "inplace"):
            leaf.inplace = False  # type: ignore[assignment]  # mypy takes it for a submodule
        return leaf
    children: OrderedDict[str, nn.Module] = OrderedDict()
    for name, part, others in zip(layer.names, layer.layers, shared_inputs(layer, shared), strict=True):
        children[name] = _module(part, shape, others)
        shape = part.out(shape) if isinstance(layer, L.Chain) else shape
    return _COMBINATORS[type(layer)](children)


def initialise(network: nn.Module) -> None:
    """He initialisation by fan-out (He 2015), as the reference implementations of these networks have it."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.01)
        if isinstance(part, (nn.Conv2d, nn.Linear)) and part.bias is not None:
            nn.init.zeros_(part.bias)
