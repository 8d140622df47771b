"""Spaces: membership, moves, features, and how they are found."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from scipy.stats import chisquare

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.errors import ArchError, SpaceError
from search_spaces.holes import IntRange, OneOf
from search_spaces.space import Space
from search_spaces.spaces import find, names
from tests.search_spaces.small import FLAT, NESTED, SMALL, TWINS, hamming, written_out
from tests.strategies import SEEDS, archs

# ------------------------------------------------------------------------------- sampling, membership


@pytest.mark.parametrize("name", SMALL)
def test_samples_are_uniform_over_all_valid_networks(name: str) -> None:
    networks, rng = written_out(name), Random(name)
    drawn = Counter(SMALL[name].sample(rng) for _ in range(8 * len(networks)))
    assert set(drawn) <= set(networks)
    assert chisquare([drawn[arch] for arch in networks]).pvalue > 0.001


@pytest.mark.parametrize("name", SMALL)
def test_a_network_is_its_choices(name: str) -> None:
    space = SMALL[name]
    for arch in written_out(name):
        params = space.params(arch)
        assert space.arch(params) == arch
        assert set(params) <= set(space.holes)
        assert arch in space


@given(archs("mobile", "mixed", "squeeze"), SEEDS)
def test_a_network_of_a_named_space_is_its_choices(arch: Arch, seed: int) -> None:
    (home,) = (name for name in ("mobile", "mixed", "squeeze") if arch in find(name))
    space = find(home)
    assert space.arch(space.params(arch)) == arch
    assert space.mutate(arch, Random(seed)) in space


def test_a_hole_of_whole_numbers_in_a_field_of_floats_is_found_again() -> None:
    space = Space(
        "floats", Arch(16, ConvStem(8), (Stage(InvertedResidual(expand=IntRange(3, 6)), OneOf(8, 16)),), PoolHead())
    )
    for seed in range(20):
        arch = space.sample(Random(seed))
        assert space.arch(space.params(arch)) == arch


def test_what_is_not_in_a_space_is_refused() -> None:
    arch = next(iter(written_out("flat")))
    stages = arch.stages
    for other in (arch.at(17), Arch(16, ConvStem(12), stages, PoolHead()), Arch(16, arch.stem, stages[:1], PoolHead())):
        assert other not in FLAT
        with pytest.raises(SpaceError, match="must lie in the space flat, but got r1"):
            FLAT.params(other)
    invalid = [arch for arch in (NESTED.arch(NESTED.params(a)) for a in written_out("nested")) if arch not in NESTED]
    assert not invalid


def test_fillings_that_do_not_fit_are_not_in_the_space() -> None:
    text = "r8 | conv_stem(width=8) | dense(layers=1, growth=8, transition=false) c24 | inverted_residual(expand=1) c32"
    arch = Arch.parse(f"{text} | pool_head")
    assert NESTED.params(arch)["stage1.stage.block.dense.transition"] is False
    assert arch not in NESTED  # 8 + 8 channels are not 24
    narrowing = Arch.parse("r8 | conv_stem(width=8) | fire c16 | inverted_residual(expand=1) c8 | pool_head")
    assert NESTED.params(narrowing)["stage2.width"] == 8
    assert narrowing not in NESTED  # by its rule


def test_a_missing_choice_is_named() -> None:
    params = FLAT.params(next(iter(written_out("flat"))))
    del params["stage1.block.kernel"]
    with pytest.raises(SpaceError, match=r"stage1\.block\.kernel is missing"):
        FLAT.arch(params)


def test_an_option_that_is_not_on_offer_is_refused() -> None:
    params = FLAT.params(next(iter(written_out("flat"))))
    with pytest.raises(SpaceError, match="one of 3, 5, but got 7"):
        FLAT.arch(params | {"stage1.block.kernel": 7})


# ------------------------------------------------------------------------------------------- moves


@pytest.mark.parametrize("name", SMALL)
def test_neighbours_are_valid_distinct_and_other(name: str) -> None:
    space = SMALL[name]
    for arch in list(written_out(name))[::7]:
        near = list(space.neighbours(arch))
        assert len(set(near)) == len(near)
        assert arch not in near
        assert set(near) <= set(written_out(name))


def test_neighbours_of_a_flat_space_are_all_networks_one_choice_away() -> None:
    for arch in list(written_out("flat"))[::29]:
        assert set(FLAT.neighbours(arch)) == {other for other in written_out("flat") if hamming(arch, other) == 1}


def test_a_neighbour_differs_in_one_choice_and_what_hangs_on_it() -> None:
    for arch in list(written_out("nested"))[::5]:
        before = NESTED.params(arch)
        for near in NESTED.neighbours(arch):
            after = NESTED.params(near)
            changed = [path for path in before.keys() & after.keys() if before[path] != after[path]]
            assert len(changed) == 1
            for path in before.keys() ^ after.keys():
                assert path.startswith(f"{changed[0]}.")


def test_another_block_keeps_the_value_of_the_same_field() -> None:
    space = Space(
        "carried",
        Arch(
            16,
            ConvStem(8),
            (Stage(OneOf(InvertedResidual(kernel=OneOf(3, 5, 7)), InvertedResidual(OneOf(3, 5, 7), se=0.25)), 16),),
            PoolHead(),
        ),
    )
    arch = space.arch({"stage1.block": "inverted_residual", "stage1.block.inverted_residual.kernel": 5})
    other = [near for near in space.neighbours(arch) if "se=" in str(near)]
    assert [str(near.stages[0]) for near in other] == ["inverted_residual(kernel=5, se=0.25) c16"]


@pytest.mark.parametrize("name", SMALL)
def test_mutants_and_children_stay_inside(name: str) -> None:
    space, rng = SMALL[name], Random(name)
    networks = sorted(written_out(name), key=str)
    moved = 0
    for _ in range(200):
        one, other = rng.choice(networks), rng.choice(networks)
        mutant, child = space.mutate(one, rng), space.crossover(one, other, rng)
        assert {mutant, child} <= set(networks)
        moved += mutant != one
        a, b, c = space.params(one), space.params(other), space.params(child)
        for path, label in c.items():
            offered = [params[path] for params in (a, b) if path in params]
            assert not offered or label in offered or name == "twins"  # where one network has two spellings
    assert moved > 190
    assert space.crossover(networks[0], networks[0], rng) == networks[0]


def test_a_space_without_choices_does_not_move() -> None:
    arch = Arch(8, ConvStem(8), (Stage(Fire(), 8),), PoolHead())
    space = Space("closed", arch)
    assert space.size() == 1
    assert space.sample(Random(0)) == arch
    assert space.mutate(arch, Random(0)) == arch
    assert list(space.neighbours(arch)) == []
    assert space.params(arch) == {}


def test_distance_counts_choices_and_steps() -> None:
    a = FLAT.params(next(iter(written_out("flat"))))
    one = FLAT.arch(a | {"resolution": 16, "stage1.width": 8})
    assert FLAT.distance(one, one) == (0, 0)
    assert FLAT.distance(one, FLAT.arch(FLAT.params(one) | {"resolution": 24})) == (1, 0.5)
    far = FLAT.arch(FLAT.params(one) | {"resolution": 32, "stage1.width": 24})
    assert FLAT.distance(one, far) == FLAT.distance(far, one) == (2, 2.0)


@given(archs("mobile"), archs("mobile"))
def test_distance_is_symmetric_and_zero_between_equals_only(one: Arch, other: Arch) -> None:
    space = find("mobile")
    assert space.distance(one, other) == space.distance(other, one)
    assert (space.distance(one, other)[0] == 0) == (one == other)


# ---------------------------------------------------------------------------------------- features


@pytest.mark.parametrize("name", SMALL)
def test_features_tell_networks_apart(name: str) -> None:
    space = SMALL[name]
    vectors = {arch: tuple(space.features(arch)) for arch in written_out(name)}
    assert len(set(vectors.values())) == len(vectors)
    for vector in vectors.values():
        assert len(vector) == len(space.feature_names)
        assert all(0 <= value <= 1 for value in vector)


# ------------------------------------------------------------------------------------ resolutions


def test_a_space_is_read_at_the_resolutions_asked_for() -> None:
    mobile = find("mobile")
    assert mobile.resolutions == (128, 160, 192, 224)
    assert mobile.at(150, 200).resolutions == (160, 192)
    assert mobile.at(224).resolutions == (224,)
    assert mobile.at(200, 300).resolutions == (224,)
    assert mobile.at(96).resolutions == (96,)  # one number need not be on offer
    assert mobile.at(128).size() * 4 == mobile.size()
    with pytest.raises(SpaceError, match=r"mobile offers \(128, 160, 192, 224\), but got 10-20"):
        mobile.at(10, 20)


def test_a_fingerprint_knows_holes_and_rules() -> None:
    assert find("mobile").fingerprint == find("mobile").at(128, 224).fingerprint
    prints = [find(name).fingerprint for name in names()]
    prints += [find("mobile").at(224).fingerprint, Space("bare", NESTED.template).fingerprint, NESTED.fingerprint]
    assert len(set(prints)) == len(prints)
    assert all(len(text) == 16 for text in prints)


def test_a_hole_over_all_stages_is_refused() -> None:
    with pytest.raises(ArchError, match="a tuple, whose items may be holes, but got OneOf"):
        Arch(8, ConvStem(8), OneOf((), (Stage(Fire(), 8),)), PoolHead())


# ---------------------------------------------------------------------------------- finding spaces


@pytest.mark.parametrize("name", names())
def test_every_named_space_is_one(name: str) -> None:
    space = find(name)
    assert space.name == name
    assert space.about
    assert space.size() > 100_000
    arch = space.sample(Random(0))
    assert arch in space
    assert Arch.parse(str(arch)) == arch


def write(folder: Path, body: str) -> str:
    path = folder / "my_space.py"
    path.write_text(body)
    return str(path)


MINE = """
from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.holes import OneOf
from search_spaces.space import Space

SPACE = Space("mine", Arch(32, ConvStem(8), (Stage(Fire(), OneOf(16, 32)),), PoolHead()))
OTHER = Space("other", Arch(32, ConvStem(8), (Stage(Fire(), OneOf(16, 32, 64)),), PoolHead()))
WIDTH = 3
"""


def test_a_space_of_ones_own_is_a_file_and_a_name(tmp_path: Path) -> None:
    path = write(tmp_path, MINE)
    assert find(path).name == "mine"
    assert find(f"{path}:OTHER").size() == 3


@pytest.mark.parametrize(
    ("body", "name", "said"),
    [
        (MINE, ":WIDTH", r"my_space\.py:WIDTH must be a Space, but the file holds SPACE, OTHER: name one as"),
        (MINE, ":NONE", "the file holds SPACE, OTHER"),
        ("x = 1\n", "", "the file holds no space"),
        ("x = 1\n\ny = x / 0\n", "", r"my_space\.py:3 raised ZeroDivisionError: division by zero"),
        ("def f():\n    return [][1]\n\nf()\n", "", r"my_space\.py:2 raised IndexError"),
        ("x = (\n", "", r"my_space\.py:1 raised SyntaxError"),
        ("import no_such_module_here\n", "", r"my_space\.py:1 raised ModuleNotFoundError"),
        (MINE + "Stage(Fire(squeeze=7), 8)\n", "", r"my_space\.py:12 raised ArchError: fire: a squeeze ratio"),
        (MINE + "OneOf()\n", "", "OneOf needs 1 to 4096 options"),
    ],
)
def test_errors_in_a_file_name_its_line(tmp_path: Path, body: str, name: str, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        find(write(tmp_path, body) + name)


def test_a_missing_file_and_an_unknown_name_are_said(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"a space file must exist, but got .*nowhere\.py"):
        find(str(tmp_path / "nowhere.py"))
    with pytest.raises(SpaceError, match=r"one of dense, .*did you mean mobile\?.*but got 'mobil'"):
        find("mobil")
    with pytest.raises(SpaceError, match="a space file must exist"):
        find(f"{tmp_path}.py:SPACE")


def test_twins_count_once() -> None:
    assert TWINS.size() == len(set(written_out("twins")))
