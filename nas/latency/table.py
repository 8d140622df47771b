"""A table of latencies: what each part of a space's networks takes on one device, as one JSON file.

It holds no machine code and no weights, so it can be measured where the network will run, a phone's host or a GPU
server, and be searched with anywhere. `TABLES/NAME.json` is what `8ms@NAME` in a budget refers to.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.files import read_json, write_text
from nas.latency.setting import Setting

TABLES = Path("results") / "latency"
FORMAT = "nas-explorer latency table 2"
HOW = "python -m nas.latency --space mobile --build {name}"


@dataclass(frozen=True)
class Whole:
    """A network that was timed whole: its text, how it was deployed, and milliseconds."""

    arch: str
    in_channels: int
    num_classes: int
    ms: float


@dataclass(frozen=True)
class Table:
    """Milliseconds by part, and what is needed to add them up.

    parts: key (block, shape that reaches it) → ms as a part of a running network, tracing included.
    networks: timed whole and untraced; scale, constant_ms, trust: fitted on them, as a network takes constant + scale ×
    the sum of its parts, where a part takes entry^trust × estimate^(1 − trust): entries timed once are noisy, and what
    the rates say of like parts steadies them. reference: the network whose time was taken along with everything else;
    all ms are at its pace (`nas.latency.pace`). clock: `wall`, or `cpu` where the machine was never quiet
    (`nas.latency.measure`).
    rates: ns a unit of each feature, for parts that no key names (`nas.latency.rates`).
    machine: processor, backend's version, Python. date: UTC.
    """

    setting: Setting
    machine: dict[str, str]
    date: str
    parts: dict[str, float]
    networks: tuple[Whole, ...] = ()
    scale: float = 1.0
    constant_ms: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    spaces: tuple[str, ...] = ()
    clock: str = "wall"
    trust: float = 1.0
    reference: Whole | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data; `of_json` reads it back."""
        return {"format": FORMAT, **asdict(self), "units": "parts and constant in ms, rates in ns"}

    @property
    def fingerprint(self) -> str:
        """The same for the same latencies."""
        return sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    @staticmethod
    def of_json(values: dict[str, Any]) -> Table:
        """Raise `ValueError` or `KeyError` when the values are no table."""
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}")
        numbers = [values["scale"], values["trust"], *values["parts"].values(), *values["rates"].values()]
        if not all(0 <= float(number) < 1e9 for number in (*numbers, abs(values["constant_ms"]))):
            raise ValueError("a number is negative or too large")
        return Table(
            Setting(**values["setting"]),
            {"processor": str(values["machine"]["processor"])} | {str(k): str(v) for k, v in values["machine"].items()},
            str(values["date"]),
            {str(key): float(ms) for key, ms in values["parts"].items()},
            tuple(Whole(**network) for network in values["networks"]),
            float(values["scale"]),
            float(values["constant_ms"]),
            {str(name): float(ns) for name, ns in values["rates"].items()},
            tuple(map(str, values["spaces"])),
            str(values["clock"]),
            float(values["trust"]),
            Whole(**values["reference"]) if values["reference"] else None,
        )

    def __str__(self) -> str:
        spaces = ", ".join(self.spaces)
        return f"{self.setting} ({self.machine['processor']}), {len(self.parts)} parts of {spaces}, {self.date[:10]}"


def now() -> str:
    """The time of day, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def path_of(name: str, tables: Path = TABLES) -> Path:
    """Where the table of a name lies: a path that ends in .json is itself."""
    if name.endswith(".json"):
        return Path(name)
    if not re.fullmatch(r"[\w.-]+", name):
        raise UserError(
            f"a table's name has letters, digits, '.', '_' and '-', or is a path to a .json, but got {name!r}"
        )
    return tables / f"{name}.json"


def read(name: str) -> Table:
    """The table of a name or path; raise `UserError` that says how to make one."""
    path = path_of(name)
    try:
        return Table.of_json(read_json(path))
    except FileNotFoundError:
        here = sorted(p.stem for p in TABLES.glob("*.json"))
        others = f" (here are: {', '.join(here)})" if here else ""
        raise UserError(
            f"a latency is limited by a table, but there is no {path}{others}: measure one by "
            f"{HOW.format(name=name)}, or bring one from another machine"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"a latency table is a JSON file of {FORMAT!r}, but {path} is not: {error}") from None


def write(table: Table, path: Path) -> Path:
    """Write it in one step."""
    return write_text(json.dumps(table.to_json(), indent=1, ensure_ascii=False) + "\n", path)
