"""Where networks spend: by how far the map has shrunk, which networks of unlike inputs share."""

from __future__ import annotations

import pytest

from dashboard.figures import spending
from search_spaces import Arch, cost, zoo
from tests.dashboard.studying import text

ARCH = Arch.parse(text())


def test_all_flops_are_there_by_stride() -> None:
    found = spending.data({"a": ARCH, "b": ARCH.at(64)})
    assert found.strides == (2, 4, spending.HEAD)
    for place, arch in enumerate((ARCH, ARCH.at(64))):
        assert sum(values[place] for values in found.flops) == pytest.approx(cost(arch).flops / 1e6, abs=1e-3)
    assert found.sides[0] == ("16² px", "32² px")


@pytest.mark.parametrize("names", [("efficientnet_b0", "efficientnet_b1", "efficientnet_b7"), zoo.names()])
def test_every_entry_of_the_legend_has_a_colour_of_its_own(names: tuple[str, ...]) -> None:
    drawn = spending.plot(spending.data({name: zoo.find(name).arch for name in names}))
    colors = [trace.marker.color for trace in drawn.data]
    assert len(colors) == len(set(colors)) <= 8
