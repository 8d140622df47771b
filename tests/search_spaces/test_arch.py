"""The text form is the identity, and says where it cannot be read; published networks read to the last parameter."""

import re
import time
from dataclasses import dataclass

import pytest
import torchvision.models
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.arch import MAX_DEPTH, MAX_RESOLUTION, MAX_STAGES, Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.cost import cost
from search_spaces.errors import ArchError
from search_spaces.layers import Layer, Shape, conv_norm
from search_spaces.parser import MAX_LENGTH
from search_spaces.part import Block, Head, Stem, known
from tests.strategies import archs, parts

MOBILENET_V2 = (
    "r224 | conv_stem(width=32, act=relu6) | inverted_residual(expand=1) c16 | inverted_residual c24 n2 s2 | "
    "inverted_residual c32 n3 s2 | inverted_residual c64 n4 s2 | inverted_residual c96 n3 | "
    "inverted_residual c160 n3 s2 | inverted_residual c320 | pool_head(width=1280, act=relu6, dropout=0.2)"
)
EFFICIENTNET_B0 = (
    (
        "r224 | conv_stem(width=32, act=silu) | inverted_residual(expand=1) c16 | inverted_residual c24 n2 s2 | "
        "inverted_residual(kernel=5) c40 n2 s2 | inverted_residual c80 n3 s2 | inverted_residual(kernel=5) c112 n3 | "
        "inverted_residual(kernel=5) c192 n4 s2 | inverted_residual c320 | "
        "pool_head(width=1280, act=silu, dropout=0.2)"
    )
    .replace("inverted_residual", "inverted_residual(se=0.25, act=silu)")
    .replace("silu)(", "silu, ")
)
MNASNET = (
    "r224 | conv_stem(width=32) | inverted_residual(expand=1) c16 | inverted_residual(expand=3) c24 n3 s2 | "
    "inverted_residual(kernel=5, expand=3) c40 n3 s2 | inverted_residual(kernel=5) c80 n3 s2 | "
    "inverted_residual c96 n2 | inverted_residual(kernel=5) c192 n4 s2 | inverted_residual c320 | "
    "pool_head(width=1280, dropout=0.2)"
)
SQUEEZENET_1_1 = (
    "r224 | conv_stem(width=64, norm=false) | fire c128 n2 s2 | fire c256 n2 s2 | fire c384 n2 s2 | fire c512 n2 | "
    "conv_head"
).replace("fire", "fire(norm=false)")


def residual(block: str, *depths: int) -> str:
    """A ResNet or ResNeXt of torchvision: four stages, widths doubling from 256."""
    stages = (f"{block} c{256 * 2**i} n{n}{' s2' if i else ''}" for i, n in enumerate(depths))
    return " | ".join(("r224 | conv_stem(width=64, kernel=7, pool=true)", *stages, "pool_head"))


def densenet(*layers: int) -> str:
    """A DenseNet of torchvision: growth 32, every transition halves, none after the last block."""
    stages, width = [], 64
    for i, n in enumerate(layers):
        last = i + 1 == len(layers)
        width = width + 32 * n if last else (width + 32 * n) // 2
        stages.append(f"dense(layers={n}{', transition=false' if last else ''}) c{width}{' s2' if i else ''}")
    return " | ".join(("r224 | conv_stem(width=64, kernel=7, pool=true)", *stages, "pool_head(preact=true)"))


# the language's text → torchvision's entry, whose params and GFLOPs (multiply-adds, rounded) are the judge
PUBLISHED = {
    "MobileNet_V2": MOBILENET_V2,
    "EfficientNet_B0": EFFICIENTNET_B0,
    "MNASNet1_0": MNASNET,
    "ResNet50": residual("bottleneck", 3, 4, 6, 3),
    "ResNet101": residual("bottleneck", 3, 4, 23, 3),
    "ResNet152": residual("bottleneck", 3, 8, 36, 3),
    "Wide_ResNet50_2": residual("bottleneck(ratio=0.5)", 3, 4, 6, 3),
    "ResNeXt50_32X4D": residual("resnext", 3, 4, 6, 3),
    "ResNeXt101_32X8D": residual("resnext(ratio=1)", 3, 4, 23, 3),
    "ResNeXt101_64X4D": residual("resnext(cardinality=64, ratio=1)", 3, 4, 23, 3),
    "DenseNet121": densenet(6, 12, 24, 16),
    "DenseNet169": densenet(6, 12, 32, 32),
    "DenseNet201": densenet(6, 12, 48, 32),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_have_their_published_cost(name: str) -> None:
    (weights,) = (w for w in torchvision.models.get_model_weights(name.lower()) if w.name == "IMAGENET1K_V1")
    read = cost(Arch.parse(PUBLISHED[name]))
    assert read.params == weights.meta["num_params"]
    assert read.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=6e-4)


def test_squeezenet_has_its_published_parameters() -> None:
    """Its stem has no padding in torchvision, so that only the parameters can be compared here."""
    assert cost(Arch.parse(SQUEEZENET_1_1)).params == 1_235_496


def test_mobilenet_v2_to_the_last_flop() -> None:
    read = cost(Arch.parse(MOBILENET_V2))
    assert (read.flops, read.macs, read.params) == (314_193_216, 300_774_272, 3_504_872)


# ------------------------------------------------------------------------------------------- text


@given(archs())
def test_text_is_the_identity(arch: Arch) -> None:
    read = Arch.parse(str(arch))
    assert read == arch
    assert str(read) == str(arch)
    assert hash(read) == hash(arch)


@given(archs("mobile", "mixed"), archs("mobile", "mixed"))
def test_equal_texts_and_equal_architectures_are_the_same_thing(one: Arch, other: Arch) -> None:
    assert (one == other) == (str(one) == str(other))


def test_the_text_is_canonical() -> None:
    arch = Arch(
        224, ConvStem(32, act="relu6"), (Stage(InvertedResidual(3, 1), 16), Stage(Fire(), 24, 2, 2)), PoolHead(1280)
    )
    stages = "inverted_residual(expand=1) c16 | fire c24 n2 s2"
    assert str(arch) == f"r224 | conv_stem(width=32, act=relu6) | {stages} | pool_head(width=1280)"
    assert str(arch.stages[1]) == "fire c24 n2 s2"
    assert arch.depth == 3


@pytest.mark.parametrize(
    "text",
    [
        "r32|conv_stem(width=8)|inverted_residual(kernel=5,expand=6.0,se=0)c16 n1 s1|pool_head()",
        "  r32  |\tconv_stem ( width = 8 )\n|  inverted_residual( expand = 6e0 ,kernel=+5) c16| pool_head ( width=0 ) ",
        "r032 | conv_stem(width=8.0) | inverted_residual(kernel=5) c016 | pool_head",
    ],
)
def test_white_space_defaults_and_spelling_do_not_matter(text: str) -> None:
    assert str(Arch.parse(text)) == "r32 | conv_stem(width=8) | inverted_residual(kernel=5) c16 | pool_head"


def test_tuples_of_any_length_read_back() -> None:
    text = (
        "r32 | conv_stem(width=8) | inception(kernel=3, norm=false, widths=(64, 96, 128, 16, 32, 32)) c256 | pool_head"
    )
    assert str(Arch.parse(text)) == text
    assert str(Arch.parse(text.replace("(64, 96, 128, 16, 32, 32)", "()"))) == text.replace(
        ", widths=(64, 96, 128, 16, 32, 32)", ""
    )


def test_layers_are_named_after_their_place() -> None:
    layer = Arch.parse(MOBILENET_V2).layer()
    assert layer.names == ("stem", *(f"stage{i}" for i in range(1, 8)), "head")
    assert layer.out(Shape(3, 224, 224)) == Shape(1000, 1, 1)


def test_a_network_reads_at_other_resolutions_and_says_when_it_cannot() -> None:
    arch = Arch.parse(MOBILENET_V2)
    assert arch.at(160).resolution == 160
    assert arch.at(160).stages == arch.stages
    with pytest.raises(ArchError, match="resolution"):
        arch.at(0)
    pooled = Arch.parse("r16 | conv_stem(width=8, stride=8) | max_pool(valid=true, ceil=true) c8 s2 | pool_head")
    pooled.check()
    with pytest.raises(ArchError, match="at least 1×1"):
        pooled.at(8).check()
    with pytest.raises(ArchError, match=r"dense\(layers=2, transition=false\) c16 s1 on 8 channels: .*grown 72"):
        Arch.parse("r8 | conv_stem(width=8) | dense(layers=2, transition=false) c16 | pool_head").check()


# ----------------------------------------------------------------------------------------- errors


def marked(error: ArchError) -> str:
    """The character above the mark of an error."""
    _, shown, mark = str(error).split("\n")
    assert mark.strip() == "^"
    return shown[mark.index("^") :]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", "", "expected r and a whole number"),
        ("mobile", "mobile", "resolution, as in r224"),
        ("r32 conv_stem(width=8) | pool_head", "conv_stem", "expected '|', but got 'conv_stem' at character 5"),
        ("r32 | conv_sten(width=8) | pool_head", "conv_sten(", "did you mean conv_stem?"),
        ("r32 | conv_stem(size=8) | pool_head", "size=8", "a field of conv_stem, one of width, kernel"),
        ("r32 | conv_stem(width=8, width=9) | pool_head", "width=9", "each field of conv_stem once"),
        ("r32 | conv_stem(width 8) | pool_head", "8)", "expected '='"),
        ("r32 | conv_stem(width=;) | pool_head", ";)", "expected a number"),
        ("r32 | conv_stem(width=12a) | pool_head", "12a)", "expected a number"),
        ("r32 | conv_stem(width=1.5.2) | pool_head", "1.5.2)", "expected a number"),
        ("r32 | conv_stem(width=8 | pool_head", "| pool_head", "expected ','"),
        ("r32 | conv_stem(width=" + "1" * 25 + ") | pool_head", "1111", "at most 24 digits"),
        ("r32 | conv_stem | pool_head", "conv_stem", "conv_stem with its required width"),
        ("r32 | conv_stem(width=8) | inverted_residal c8 | pool_head", "inverted_residal", "mean inverted_residual?"),
        ("r32 | conv_stem(width=8) | fire 8 | pool_head", "8 |", "c and a whole number (channels"),
        ("r32 | conv_stem(width=8) | fire c8 nine | pool_head", "nine", "n and a whole number (repeats)"),
        ("r32 | conv_stem(width=8) | fire c8 s2 n2 | pool_head", "n2", "expected '|'"),
        ("r32 | conv_stem(width=8) | fire c8", "", "expected '|', but got the end of the text"),
        ("r32 | conv_stem(width=8) | pool_head | fire c8", "| fire", "the end of the text after the head"),
        ("r32 | conv_stem(width=8) | inception(shares=((4), 8)) c8 | pool_head", "(4), 8", "a number of at most"),
        ("r32 | conv_stem(width=8) | conv_stem(width=8) | pool_head", "conv_stem(width=8) | pool", "a head or a block"),
        ("r32 | pool_head | pool_head", "pool_head | pool_head", "a stem, one of conv_stem"),
    ],
)
def test_errors_show_the_place_and_what_was_expected(text: str, place: str, said: str) -> None:
    with pytest.raises(ArchError) as caught:
        Arch.parse(text)
    assert said in str(caught.value)
    assert marked(caught.value).startswith(place) if place else marked(caught.value) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("r32 | conv_stem(width=8) | fire(squeeze=7) c8 | pool_head", "(at character 28: fire(squeeze=7) c8"),
        ("r32 | conv_stem(width=8) | fire c99999999 | pool_head", "width (c) must be a whole number from 1 to 65536"),
        ("r32 | conv_stem(width=8) | fire c8 n257 | pool_head", f"from 1 to {MAX_DEPTH}, but got 257"),
        ("r32 | conv_stem(width=8) | fire c8 s9 | pool_head", "stride (s) must be"),
        ("r32 | conv_stem(width=8) | fire(act=(1)) c8 | pool_head", "act must be a word, but got (1)"),
        ("r32 | conv_stem(width=8, norm=1) | pool_head", "norm must be true or false, but got 1"),
        ("r32 | conv_stem(width=1e999) | pool_head", "width must be a whole number, but got inf"),
        ("r99999 | conv_stem(width=8) | pool_head", f"from 1 to {MAX_RESOLUTION}, but got 99999"),
        ("r32 | conv_stem(width=8) | " + "fire c8 | " * 257 + "pool_head", f"at most {MAX_STAGES} stages, but got 257"),
    ],
)
def test_refused_values_are_named_with_their_place(text: str, said: str) -> None:
    with pytest.raises(ArchError) as caught:
        Arch.parse(text)
    assert said in str(caught.value)
    assert "at character" in str(caught.value)


@given(st.integers(0, len(MOBILENET_V2) - 1))
def test_the_mark_stands_under_what_is_wrong_wherever_it_is(at: int) -> None:
    """Also where the text is too long to be shown whole."""
    with pytest.raises(ArchError) as caught:
        Arch.parse(f"{MOBILENET_V2[:at]}?{MOBILENET_V2[at:]}")
    assert re.search(r"at character \d+:", str(caught.value))
    place = int(re.search(r"at character (\d+):", str(caught.value))[1]) - 1  # type: ignore[index]
    text = f"{MOBILENET_V2[:at]}?{MOBILENET_V2[at:]}"
    assert marked(caught.value).rstrip("…").startswith(text[place : place + 20].rstrip()) or place == len(text)
    assert at - 40 < place <= at  # the mark itself, or the word or number that it spoils


def test_known_names_are_listed() -> None:
    with pytest.raises(ArchError) as caught:
        Arch.parse("r32 | conv_stem(width=8) | nothing c8 | pool_head")
    for name in (*known(Block), *known(Head)):
        assert name in str(caught.value)


# ------------------------------------------------------------------------------------------- fuzz


def only_arch_errors(text: str) -> None:
    """Read a text; an architecture that comes out of it has a text form that reads the same."""
    try:
        arch = Arch.parse(text)
    except ArchError as error:
        assert len(str(error)) < 2_000  # noqa: PT017 - other texts are architectures
    else:
        assert Arch.parse(str(arch)) == arch


@settings(max_examples=300)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    only_arch_errors(text)
    only_arch_errors(f"r32 | conv_stem(width=8) | {text} | pool_head")
    only_arch_errors(f"r32 | conv_stem(width=8, {text}) | pool_head")


@settings(max_examples=500)
@given(archs("mixed", "nin"), st.data())
def test_any_damaged_text_is_read_or_refused(arch: Arch, data: st.DataObject) -> None:
    text = str(arch)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    only_arch_errors(text[:start] + data.draw(st.text("r|c(n=)s,.e-+_05# \n٣é", max_size=6)) + text[end:])


WORDS = st.sampled_from(
    [
        *known(Block),
        *known(Stem),
        *known(Head),
        "|",
        "(",
        ")",
        ",",
        "=",
        "c8",
        "n2",
        "s2",
        "r32",
        "width",
        "8",
        "1e9",
        "true",
    ]
)


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=20).map(" ".join))
def test_any_heap_of_words_is_read_or_refused(text: str) -> None:
    only_arch_errors(text)


@given(parts(Block), st.integers(-3, 70_000), st.integers(-3, 300), st.integers(-1, 10))
def test_any_stage_is_made_or_refused(block: Block, width: int, depth: int, stride: int) -> None:
    try:
        Stage(block, width, depth, stride)
    except ArchError as error:
        assert "must be a whole number" in str(error)  # noqa: PT017 - both ends are fine


@pytest.mark.parametrize(
    "text",
    [
        "(" * 49_000,
        "a" * 49_000,
        "1" * 49_000 + "a",
        "1e" + "1" * 49_000 + ".",
        "1." * 24_000,
        " " * 49_000 + "?",
        "r32 | " + "x" * 49_000,
        "r32 | conv_stem(width=" + "9" * 49_000 + ")",
        "r32 | conv_stem(" + "width=8," * 6_000,
        "r32 | conv_stem(width=8) | " + "fire c8 | " * 4_900,
        "r32 | conv_stem(width=8) | inception(shares=(" + "4," * 24_000,
    ],
    ids=lambda text: f"{text[:12]}…{text[-4:]}",
)
def test_long_texts_are_refused_at_once(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ArchError):
        Arch.parse(text)
    assert time.process_time() - started < 2


def test_texts_have_a_longest_length() -> None:
    with pytest.raises(ArchError, match=f"at most {MAX_LENGTH} characters, but got {MAX_LENGTH + 1}"):
        Arch.parse(" " * (MAX_LENGTH + 1))


@pytest.mark.usefixtures("own_parts")
def test_a_block_that_ends_in_another_width_than_its_stage_is_refused() -> None:
    """Cost would go on from what the block makes, the built network from what the stage says."""

    @dataclass(frozen=True)
    class Stubborn(Block):
        def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
            return conv_norm(16, 3, stride)

    assert cost(Arch.parse("r32 | conv_stem(width=8) | stubborn c16 n2 | pool_head")).flops > 0
    arch = Arch.parse("r32 | conv_stem(width=8) | stubborn c24 n2 | pool_head")
    for read in (cost, Arch.check, Arch.layer):
        with pytest.raises(ArchError, match=r"stubborn c24 s1 on 8 channels: .* 24 channels, but got .* ends in 16"):
            read(arch)


def test_the_largest_networks_are_counted_without_delay() -> None:
    started = time.process_time()
    arch = Arch.parse("r4096 | conv_stem(width=65536) | " + "fire c64 n256 | " * MAX_STAGES + "pool_head")
    assert cost(arch).flops > 10**14
    assert time.process_time() - started < 5
