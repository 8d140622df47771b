"""Shape rules against torch itself, and what the combinators say."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nas.build import module
from search_spaces.errors import ArchError
from search_spaces.layers import (
    ACTIVATIONS,
    Act,
    AdaptivePool,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Shape,
    Shuffle,
    add,
    chain,
    concat,
    divisible,
    multiply,
    shortcut,
    squeeze_excite,
)

SIZES = st.tuples(st.integers(1, 17), st.integers(1, 17))


def torch_shape(layer: Layer, shape: Shape) -> Shape:
    """What torch makes of a shape, without the language's own check before it."""
    network = module(layer, Shape(shape.channels, 512, 512)).eval()
    with torch.no_grad():
        return Shape(*network(torch.zeros(1, *shape)).shape[1:])


def agree(layer: Layer, shape: Shape) -> None:
    """The language and torch give one shape, or refuse both."""
    try:
        said = layer.out(shape)
    except ArchError:
        with pytest.raises(RuntimeError):
            torch_shape(layer, shape)
    else:
        assert torch_shape(layer, shape) == said


# ------------------------------------------------------------------------------------------ leaves


@settings(max_examples=200)
@given(
    size=SIZES,
    kernel=st.integers(1, 7),
    stride=st.integers(1, 4),
    padding=st.none() | st.integers(0, 4),
    dilation=st.integers(1, 3),
    groups=st.sampled_from((1, 2, 4)),
)
def test_convolutions_have_torchs_shape(
    size: tuple[int, int], kernel: int, stride: int, padding: int | None, dilation: int, groups: int
) -> None:
    agree(Conv(8, kernel, stride, groups, padding, dilation), Shape(4, *size))


@settings(max_examples=200)
@given(
    kind=st.sampled_from((MaxPool, AvgPool)),
    size=SIZES,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    ceil=st.booleans(),
)
def test_pools_have_torchs_shape(
    kind: type[MaxPool] | type[AvgPool], size: tuple[int, int], kernel: int, stride: int, padding: int, ceil: bool
) -> None:
    assume(padding <= kernel // 2)  # torch refuses more, at any size
    agree(kind(kernel, stride, padding, ceil), Shape(2, *size))


@pytest.mark.parametrize("size", range(1, 40))
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_padding_by_default_keeps_the_size_and_a_stride_halves_it_rounding_up(size: int, kernel: int) -> None:
    assert Conv(4, kernel).out(Shape(3, size, size)) == Shape(4, size, size)
    assert Conv(4, kernel, dilation=2).out(Shape(3, size, size)) == Shape(4, size, size)
    assert Conv(4, kernel, stride=2).out(Shape(3, size, size)) == Shape(4, -(-size // 2), -(-size // 2))


@pytest.mark.parametrize(
    "layer",
    [
        BatchNorm(),
        *map(Act, ACTIVATIONS),
        Dropout(0.3),
        Identity(),
        Shuffle(3),
        AdaptivePool(1),
        AdaptivePool(3),
        AdaptivePool(2, maximum=True),
        Flatten(),
        chain(Flatten(), Linear(7)),
        chain(Flatten(), Linear(7, bias=False)),
        squeeze_excite(6, 2),
    ],
    ids=str,
)
def test_every_other_leaf_has_torchs_shape(layer: Layer) -> None:
    shape = Shape(6, 5, 4)
    said = layer.out(shape)
    with torch.no_grad():
        got = module(layer, shape).eval()(torch.zeros(1, *shape)).shape[1:]
    assert tuple(got) == (tuple(said) if len(got) == 3 else (said.channels,))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Conv(8, groups=3), "3 groups for 4 → 8 channels"),
        (Conv(6, groups=4), "4 groups for 4 → 6 channels"),
        (Shuffle(3), "3 groups of 4 channels"),
        (Conv(8, 5, padding=0), "leaves 0×0 of 4×4×4"),
        (MaxPool(7, 2, 1), "at least 1×1"),
        (Linear(10), "flattened vector, but got 4×4×4"),
        (concat(Conv(2), Conv(2, stride=2)), "2×4×4, 2×2×2"),
        (add(Identity(), Conv(5)), "4×4×4, 5×4×4"),
        (multiply(Identity(), Conv(4, stride=2)), "4×2×2 for 4×4×4"),
        (multiply(Identity(), chain(AdaptivePool(1), Conv(3))), "3×1×1 for 4×4×4"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said_with_the_shapes(layer: Layer, said: str) -> None:
    with pytest.raises(ArchError, match=said):
        layer.out(Shape(4, 4, 4))
    with pytest.raises(ArchError, match=said):
        module(layer, Shape(4, 4, 4))


def test_an_activation_is_a_known_one() -> None:
    with pytest.raises(ArchError, match=r"an activation is one of relu, relu6, .*, but got mish"):
        Act("mish")


def test_an_abstract_layer_has_no_shape() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Layer().out(Shape(1, 1, 1))


@pytest.mark.parametrize(("channels", "groups"), [(6, 2), (6, 3), (12, 4), (8, 1), (8, 8), (240, 3)])
def test_shuffle_by_g_then_by_c_over_g_is_the_identity(channels: int, groups: int) -> None:
    shape = Shape(channels, 2, 3)
    image = torch.arange(float(shape.elements)).reshape(1, *shape)
    there_and_back = module(chain(Shuffle(groups), Shuffle(channels // groups)), shape)
    assert torch.equal(there_and_back(image), image)


def test_shuffle_is_reshape_transpose_flatten() -> None:
    image = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert module(Shuffle(2), Shape(6, 1, 1))(image).flatten().tolist() == [0, 3, 1, 4, 2, 5]


# ------------------------------------------------------------------------------------- combinators


def test_combinators_do_what_their_names_say() -> None:
    shape = Shape(3, 4, 4)
    image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    twice, squared = add(Identity(), Identity()), multiply(Identity(), Identity())
    assert torch.equal(module(twice, shape)(image), 2 * image)
    assert torch.equal(module(squared, shape)(image), image * image)
    assert torch.equal(module(chain(twice, squared), shape)(image), 4 * image * image)
    joined = module(concat(Identity(), twice), shape)(image)
    assert torch.equal(joined, torch.cat([image, 2 * image], 1))


def test_names_are_positions_then_words_and_become_submodules() -> None:
    layer = chain(Identity(), Identity(), last=Conv(4))
    assert layer.names == ("0", "1", "last")
    assert list(dict(module(layer, Shape(3, 2, 2)).named_children())) == ["0", "1", "last"]
    assert list(module(layer, Shape(3, 2, 2)).state_dict()) == ["last.weight"]


def test_an_empty_chain_is_the_identity() -> None:
    assert chain().out(Shape(3, 2, 2)) == Shape(3, 2, 2)


def test_layers_print_as_they_are_written() -> None:
    assert repr(chain(a=Conv(4, 3))).startswith("Chain(layers=(Conv(channels=4, kernel=3, stride=1, groups=1")
    assert str(Shape(192, 28, 27)) == "192×28×27"
    assert Shape(2, 3, 4).elements == 24


# ----------------------------------------------------------------------------------------- phrases


def test_a_shortcut_is_the_identity_only_where_shapes_allow() -> None:
    assert shortcut(8, 8, 1) == Identity()
    for in_channels, stride in ((8, 2), (4, 1)):
        assert shortcut(in_channels, 8, stride).out(Shape(in_channels, 7, 7)).channels == 8


@given(st.floats(0.1, 5000), st.sampled_from((4, 8, 16)))
def test_divisible_is_a_multiple_and_loses_at_most_a_tenth(value: float, by: int) -> None:
    rounded = divisible(value, by)
    assert rounded % by == 0
    assert rounded >= max(by, 0.9 * value)
    assert rounded <= max(by, value + by)


@pytest.mark.parametrize(("value", "rounded"), [(32 * 0.75, 24), (16 * 1.4, 24), (12, 16), (1, 8), (24 * 0.35, 8)])
def test_divisible_by_mobilenet_v2s_rule(value: float, rounded: int) -> None:
    assert divisible(value) == rounded
