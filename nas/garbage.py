"""Python's garbage collector, out of the way of a program that starts."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collections while a program imports and opens what it needs; that is left out of later ones too.

    A million objects of torch and its like live as long as the process, and each collection goes through all of
    them, some 0.1 s: many times while they are imported, and now and then ever after. A second start in one process
    leaves nothing out: by then there may be garbage.
    """
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
        gc.enable()
