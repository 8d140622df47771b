"""Garbage collection around a program's start."""

import gc

import pytest

from nas.garbage import uncollected


def test_the_collector_rests_meanwhile_and_leaves_out_what_was_there() -> None:
    try:
        with uncollected():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_a_start_that_fails_leaves_the_collector_on() -> None:
    try:
        with pytest.raises(ValueError, match="no such space"), uncollected():
            raise ValueError("no such space")
        assert gc.isenabled()
    finally:
        gc.unfreeze()
