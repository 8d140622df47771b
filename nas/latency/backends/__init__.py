"""What runs a network to be timed, one a file: each has `ABOUT`, `PRECISIONS`, `DEVICES`, `version()` and `prepare`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from nas.errors import UserError
from nas.latency.setting import Setting, Subject
from search_spaces.part import one_of


class Runner(Protocol):
    """A network that is ready to be timed."""

    def __call__(self) -> object:
        """One pass over one batch; returns when it is done."""

    def parts_ms(self) -> list[list[float]]:
        """Milliseconds of each part, pass by pass from the first on; of a traced runner, once, at the end."""


class Backend(Protocol):
    """A module of this package."""

    ABOUT: str
    PRECISIONS: tuple[str, ...]
    DEVICES: tuple[str, ...]

    def version(self) -> str:
        """Its release."""

    def prepare(self, subject: Subject, setting: Setting, trace: bool = False) -> Runner:
        """Make the network with random weights; `trace`: each pass is also timed part by part."""


def names() -> list[str]:
    """The backends to choose from."""
    return sorted(module.name for module in iter_modules(__path__))


def find(setting: Setting) -> Backend:
    """The backend of a setting; raise `UserError` that lists what there is."""
    if setting.backend not in names():
        raise UserError(f"a backend is {one_of(setting.backend, names())}, but got {setting.backend!r}")
    backend = cast(Backend, import_module(f"{__name__}.{setting.backend}"))
    if setting.precision not in backend.PRECISIONS:
        raise UserError(f"{setting.backend} runs {', '.join(backend.PRECISIONS)}, but got {setting.precision!r}")
    if setting.device.partition(":")[0] not in backend.DEVICES:
        raise UserError(f"{setting.backend} runs on {', '.join(backend.DEVICES)}, but got {setting.device!r}")
    return backend
