"""SqueezeNet as numbers: the rows of its table, its bypasses, its pools."""

from __future__ import annotations

import pytest

from search_spaces import zoo
from search_spaces.blocks.fire import Fire
from search_spaces.cost import ledger
from search_spaces.layers import Add, Identity, Layer, MaxPool, Shape
from tests.search_spaces.systems import blocks, of, of_arch


def fires(name: str) -> dict[str, tuple[Layer, Shape]]:
    """The fire modules of a SqueezeNet, fire2 to fire9, with what they read."""
    read = blocks(zoo.find(name).arch)
    found = [(layer, shape) for block, layer, shape in read if isinstance(block, Fire)]
    return {f"fire{i}": pair for i, pair in enumerate(found, 2)}


def test_the_rows_of_squeezenets_table_have_its_parameters() -> None:
    """Table 1 of the paper, "before pruning"."""
    printed = (11_920, 12_432, 45_344, 49_440, 104_880, 111_024, 188_992, 197_184)
    assert [of(layer, *shape).params for layer, shape in fires("squeezenet1_0").values()] == list(printed)
    rows = ledger(zoo.find("squeezenet1_0").arch)
    assert (rows[0].cost.params, rows[-1].cost.params) == (14_208, 513_000)
    assert zoo.find("squeezenet1_0").cost.params == 1_248_424


def test_the_rows_of_squeezenets_table_have_its_output_sizes() -> None:
    """111, 55, 27 and 13 pixels come of 227×227 images; the table's 224 leave 109, 54, 27, 13."""
    for resolution, sizes in ((227, (111, 55, 27, 13)), (224, (109, 54, 27, 13))):
        rows = ledger(zoo.find("squeezenet1_0").arch.at(resolution))[:-1]
        assert tuple(dict.fromkeys(row.output.height for row in rows)) == sizes


def test_squeezenets_simple_bypass_adds_the_input_of_fire_3_5_7_and_9() -> None:
    """Where a module has as many channels in as out; it costs nothing."""
    added = {name: layer for name, (layer, _) in fires("squeezenet1_0_simple").items() if isinstance(layer, Add)}
    assert list(added) == ["fire3", "fire5", "fire7", "fire9"]
    assert all(Identity() in layer.layers for layer in added.values())
    assert zoo.find("squeezenet1_0_simple").cost.params == zoo.find("squeezenet1_0").cost.params
    assert zoo.find("squeezenet1_0_simple").cost.macs == zoo.find("squeezenet1_0").cost.macs


def test_squeezenets_complex_bypass_has_1x1_convolutions_at_fire_2_4_6_and_8() -> None:
    bypasses = {name: layer.layers[0] for name, (layer, _) in fires("squeezenet1_0_complex").items()}  # type: ignore[attr-defined]
    convolutions = {name: layer for name, layer in bypasses.items() if layer != Identity()}
    assert list(convolutions) == ["fire2", "fire4", "fire6", "fire8"]
    assert [layer.channels for layer in convolutions.values()] == [128, 256, 384, 512]
    assert {layer.kernel for layer in convolutions.values()} == {1}
    more = 96 * 128 + 128 + 128 * 256 + 256 + 256 * 384 + 384 + 384 * 512 + 512
    assert zoo.find("squeezenet1_0_complex").cost.params == 1_248_424 + more


def test_plain_squeezenets_have_no_bypass() -> None:
    for name in ("squeezenet1_0", "squeezenet1_1"):
        assert not any(isinstance(layer, Add) for layer, _ in fires(name).values())


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_squeezenets_max_pools_round_up(name: str) -> None:
    pools = [leaf for leaf, _ in of_arch(zoo.find(name).arch) if isinstance(leaf, MaxPool)]
    assert pools == [MaxPool(3, 2, 0, ceil=True)] * 3
    assert pools[0].out(Shape(96, 110, 110)) == Shape(96, 55, 55)
    assert MaxPool(3, 2, 0).out(Shape(96, 110, 110)) == Shape(96, 54, 54)
