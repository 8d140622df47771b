"""MobileNetV2 and EfficientNet as numbers: linear bottlenecks, expansions, shortcuts and gates."""

from __future__ import annotations

from search_spaces import zoo
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.layers import Act, AdaptivePool, Add, BatchNorm, Conv, Identity, Layer, Multiply, Shape
from tests.search_spaces.systems import blocks, leaves, macs, of_arch, unshaped

# One block's order: test_block_papers.py. Whole networks against torchvision: test_zoo.py.


def path(layer: Layer) -> Layer:
    """An inverted residual without its shortcut."""
    return layer.layers[1] if isinstance(layer, Add) else layer


def test_every_bottleneck_of_mobilenet_v2_is_linear() -> None:
    """No activation between a projection's batch norm and the next block's expansion; ReLU6 elsewhere."""
    found = blocks(zoo.find("mobilenet_v2").arch)
    assert len(found) == 17
    for _, layer, _ in found:
        *_, projection, norm = unshaped(layer)
        assert isinstance(projection, Conv)
        assert projection.kernel == 1
        assert isinstance(norm, BatchNorm)
    activations = [leaf for leaf, _ in of_arch(zoo.find("mobilenet_v2").arch) if isinstance(leaf, Act)]
    assert activations == [Act("relu6")] * (2 * 17 + 1)  # one of the 17 does not expand; stem and head have one each


def test_mobilenet_v2s_bottleneck_expands_by_t_and_projects() -> None:
    """Table 1 of the paper, h·w·k → h·w·tk → h/s·w/s·tk → h/s·w/s·k', and its h·w·k·t·(k + d² + k') multiply-adds."""
    for t, k, out, s, size in ((6, 24, 24, 1, 56), (6, 16, 24, 2, 112), (4, 10, 7, 1, 9)):
        layer = InvertedResidual(expand=t).layer(k, out, s)
        learned = [(leaf, shape) for leaf, shape in leaves(path(layer), Shape(k, size, size)) if isinstance(leaf, Conv)]
        assert [leaf.out(shape) for leaf, shape in learned] == [
            Shape(t * k, size, size),
            Shape(t * k, size // s, size // s),
            Shape(out, size // s, size // s),
        ]
        assert [leaf.groups for leaf, _ in learned] == [1, t * k, 1]
        if s == 1:
            assert macs(layer, k, size, size) == size * size * k * t * (k + 9 + out)


def test_mobilenet_v2_expands_by_1_once_and_by_6_sixteen_times() -> None:
    """Table 2 of the paper: depthwise channels over the block's."""
    expansions = []
    for _, layer, shape in blocks(zoo.find("mobilenet_v2").arch):
        (depthwise,) = (leaf for leaf in unshaped(layer) if isinstance(leaf, Conv) and leaf.groups > 1)
        expansions.append(depthwise.groups / shape.channels)
    assert expansions == [1] + [6] * 16


def test_mobilenet_v2_adds_its_input_where_stride_and_channels_allow() -> None:
    """Ten of the seventeen: each row of table 2 but its first block."""
    found = blocks(zoo.find("mobilenet_v2").arch)
    added = [isinstance(layer, Add) for _, layer, _ in found]
    assert added == [layer.out(shape) == shape for _, layer, shape in found]
    assert sum(added) == 10


def test_efficientnets_squeeze_excitation_gates_hidden_channels_through_a_quarter_of_the_input() -> None:
    found = blocks(zoo.find("efficientnet_b0").arch)
    assert len(found) == 16
    for _, layer, shape in found:
        (gated,) = [part for part in path(layer).layers if isinstance(part, Multiply)]  # type: ignore[attr-defined]
        pool, reduce, act, expand, sigmoid = unshaped(gated.layers[1])
        hidden = shape.channels * (1 if shape.channels == 32 else 6)
        assert gated.layers[0] == Identity()
        assert (pool, act, sigmoid) == (AdaptivePool(1), Act("silu"), Act("sigmoid"))
        assert (reduce, expand) == (Conv(shape.channels // 4, bias=True), Conv(hidden, bias=True))


def test_efficientnet_has_silu_throughout_and_linear_bottlenecks() -> None:
    kinds_of_act = {leaf.kind for leaf, _ in of_arch(zoo.find("efficientnet_b0").arch) if isinstance(leaf, Act)}
    assert kinds_of_act == {"silu", "sigmoid"}
    assert all(isinstance(unshaped(layer)[-1], BatchNorm) for _, layer, _ in blocks(zoo.find("efficientnet_b0").arch))
