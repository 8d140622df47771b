"""Garbage collection around a program's start."""

import gc
from collections.abc import Iterator

import pytest

from nas.garbage import uncollected


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Nothing is left out at first, whichever test ran before."""
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_the_collector_rests_meanwhile_and_leaves_out_what_was_there() -> None:
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_a_second_start_leaves_nothing_out() -> None:
    with uncollected():
        pass
    frozen, later = gc.get_freeze_count(), [[number] for number in range(1000)]
    with uncollected():
        pass
    assert len(later) == 1000
    assert gc.get_freeze_count() <= frozen  # some of them may have been freed


def test_a_start_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ValueError, match="no such space"), uncollected():
        raise ValueError("no such space")
    assert gc.isenabled()
