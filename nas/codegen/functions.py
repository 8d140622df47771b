"""Functions for the shapes that recur in a network, so that a block becomes one line.

The blocks of a family differ in numbers, hardly in structure. What they have in common is found by
laying their expressions over one another: equal everywhere, it is written out; different, it is a
parameter; different in the same way in two places, it is one parameter. This is anti-unification
(Plotkin 1970) on expressions, and it names the parts by the names that the layers have already:

    def inverted_residual(in_channels: int, expand: int, out_channels: int, kernel: int = 3, stride: int = 1):
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from keyword import iskeyword

from nas.codegen.expressions import REQUIRED, WIDTH, Call, Defaults, Expression, atoms, calls, lines, mapped

LEAST_LAYERS = 3
"""Smaller shapes fit on a line as they are."""
MOST_PARAMETERS = 9
_JOINERS = {"chain", "add", "concat", "multiply"}
_COUNTS = {"in_channels", "out_channels", "channels", "squeezed", "groups"}
_COUNTS |= {"num_features", "in_features", "out_features"}
_PLAIN = {"path", "conv", "conv1", "unit", "residual", "branches", "fire", "new"}
"""Names that say little about a number of channels when another name stands beside them."""

Path = tuple[str, ...]
Skeleton = tuple[object, ...]


@dataclass(frozen=True)
class Parameter:
    """An argument of a function: its name, the source of its default, and its value in each use."""

    name: str
    default: str | None
    values: tuple[str, ...]

    @property
    def declared(self) -> str:
        """`kernel: int = 3`."""
        default = "" if self.default is REQUIRED else f" = {self.default}"
        return f"{self.name}: {_type(self.values[0])}{default}"


@dataclass(frozen=True)
class Function:
    """A recurring shape: `body` is an expression whose atoms may be the parameters' names."""

    name: str
    family: str
    parameters: tuple[Parameter, ...]
    body: Call
    note: str = ""
    """What sets it apart from the first function of its family; empty for that one."""

    @property
    def defaults(self) -> dict[str, str | None]:
        return {parameter.name: parameter.default for parameter in self.parameters}

    def source(self, defaults: Defaults, about: str) -> str:
        """The definition, `about` as its docstring."""
        declared = [parameter.declared for parameter in self.parameters]
        head = [f"def {self.name}({', '.join(declared)}) -> nn.Sequential:"]
        if len(head[0]) > WIDTH:
            head = [f"def {self.name}(", f"    {', '.join(declared)}", ") -> nn.Sequential:"]
        if max(map(len, head)) > WIDTH:
            head[1:-1] = [f"    {each}," for each in declared]
        docstring = [f'    """{about}"""'] if about else []
        return "\n".join([*head, *docstring, *lines(self.body, defaults, 4, "return ")])


def factored(blocks: list[tuple[str, Expression]], taken: set[str]) -> tuple[list[Function], list[Expression]]:
    """Functions for what recurs in the blocks (family, expression) of each family, and the blocks that call them.

    `taken` are names that no function or parameter may have.
    """
    functions: list[Function] = []
    rewritten = [block for _, block in blocks]
    for family in dict.fromkeys(family for family, _ in blocks):
        left = [i for i, (other, _) in enumerate(blocks) if other == family]
        while (shape := _best([rewritten[i] for i in left])) is not None:
            uses = {i: found for i in left if (found := _uses(rewritten[i], shape))}
            function = _function(family, [use for found in uses.values() for use in found], len(uses), functions, taken)
            functions.append(function)
            change = _replacing(shape, function)
            for i in uses:
                rewritten[i] = mapped(rewritten[i], change)
            left = [i for i in left if i not in uses]
    return functions, rewritten


def _replacing(shape: Skeleton, function: Function) -> Callable[[Path, Expression], Expression | None]:
    """Change every use of the shape, in the order of the parameters' values, to a call of the function."""
    number = count()

    def change(path: Path, part: Expression) -> Expression | None:
        if not isinstance(part, Call) or skeleton(part) != shape:
            return None
        use = next(number)
        return Call(function.name, tuple((p.name, p.values[use]) for p in function.parameters), part.reads, part.makes)

    return change


# ---------------------------------------------------------------------------------- what recurs


def skeleton(tree: Expression) -> Skeleton:
    """What is left of an expression without its atoms: functions and names."""
    if isinstance(tree, str):
        return ()
    return (tree.function, *((name, skeleton(part)) for name, part in tree.args))


def _uses(block: Expression, shape: Skeleton) -> list[Call]:
    return [call for call in calls(block) if skeleton(call) == shape]


def _best(blocks: list[Expression]) -> Skeleton | None:
    """The shape to write as a function: in most blocks, then most often, then largest; None when nothing recurs."""
    found: dict[Skeleton, list[tuple[int, Call]]] = {}
    for i, block in enumerate(blocks):
        for call in calls(block):
            if call.function in _JOINERS and _size(call) >= LEAST_LAYERS:
                found.setdefault(skeleton(call), []).append((i, call))

    def rank(shape: Skeleton) -> tuple[int, int, int]:
        uses = found[shape]
        return len({i for i, _ in uses}), len(uses), _size(uses[0][1])

    for shape in sorted(found, key=rank, reverse=True):
        uses = [call for _, call in found[shape]]
        if len(uses) > 1 and 0 < len(_varying(uses)) <= MOST_PARAMETERS:
            return shape
    return None


def _size(tree: Call) -> int:
    """Number of layers and phrases."""
    return sum(call.function not in _JOINERS for call in calls(tree))


# ------------------------------------------------------------------------- what differs, and its name


Difference = tuple[str, Path, tuple[str, ...]]
"""Kind of value, branch of a `concat` that it belongs to, value in each use: one parameter each."""


def _varying(uses: list[Call]) -> dict[Difference, list[Path]]:
    """Places that are parameters, by what makes them one: those that differ, and the channels in and out."""
    reads, makes = (tuple(getattr(use, end) for use in uses) for end in ("reads", "makes"))
    places: dict[Difference, list[Path]] = {}
    branches = _branches(uses[0])
    for same_place in zip(*(atoms(use) for use in uses), strict=True):
        path, values = same_place[0][0], tuple(value for _, value in same_place)
        if len(set(values)) == 1 and (path[-1], values) not in (("in_channels", reads), ("out_channels", makes)):
            continue
        kind = "count" if path[-1] in _COUNTS else path[-1]
        # branches that happen to be equally wide are two numbers; what all of them read is one
        branch = max((b for b in branches if path[: len(b)] == b), key=len, default=())
        near = [branch[:i] for i in range(len(branch), -1, -1)] if kind == "count" and values != reads else [()]
        key = next(((kind, b, values) for b in near if (kind, b, values) in places), (kind, near[0], values))
        places.setdefault(key, []).append(path)
    return places


def _branches(tree: Expression, path: Path = ()) -> list[Path]:
    """Paths of all branches of all `concat`s."""
    if isinstance(tree, str):
        return []
    own = [(*path, name) for name, _ in tree.args if tree.function == "concat"]
    return own + [b for name, part in tree.args for b in _branches(part, (*path, name))]


def _function(family: str, uses: list[Call], blocks: int, others: list[Function], taken: set[str]) -> Function:
    reads, makes = (tuple(getattr(use, end) for use in uses) for end in ("reads", "makes"))
    ends = {reads: "in_channels", makes: "out_channels"} if reads != makes else {reads: "channels"}
    parameters: list[Parameter] = []
    at: dict[Path, str] = {}
    names = taken - {"act"}  # a function may not be called that, as calls of activations are
    for (kind, _, values), paths in _varying(uses).items():
        is_count = kind == "count" and any(path[-1] != "groups" for path in paths)
        wanted = [*([ends[values]] if is_count and values in ends else []), *_names(paths, is_count)]
        name = next(n for n in (*wanted, *(f"{wanted[-1]}{i}" for i in range(2, 99))) if _free(n, names))
        names.add(name)
        default = REQUIRED if is_count else _default(kind, values)
        parameters.append(Parameter(name, default, values))
        at |= dict.fromkeys(paths, name)
    body = mapped(uses[0], lambda path, part: at.get(path))
    assert isinstance(body, Call)
    name, note = _function_name(family, uses[0], len(uses) > blocks, others, taken)
    return Function(name, family, tuple(sorted(parameters, key=lambda p: p.default is not REQUIRED)), body, note)


def _default(kind: str, values: tuple[str, ...]) -> str:
    """What a reader expects, where the network has it, else what is most common."""
    usual = {"stride": "1", "kernel": "3"}.get(kind)
    return usual if usual in values else Counter(values).most_common(1)[0][0]


def _names(paths: list[Path], is_count: bool) -> list[str]:
    """Names to try for a parameter, best first: `kernel`, `expand`, `three_reduce`."""
    last = paths[0][-1].removesuffix("_size")
    if not is_count:
        return [last, "_".join((*paths[0][-2:-1], last)), "_".join((*paths[0][:-1], last))]
    if last == "squeezed":
        return [last]
    # the layer that first makes so many channels names them
    maker = next((p for p in paths if p[-1].startswith("out")), paths[0])[:-1]
    telling = [word for word in maker if word not in _PLAIN]
    return [*(["_".join(telling)] if telling else reversed(maker)), "_".join(maker), "width"]


def _free(name: str, taken: set[str]) -> bool:
    return name.isidentifier() and not iskeyword(name) and name not in taken


def _function_name(family: str, use: Call, is_part: bool, others: list[Function], taken: set[str]) -> tuple[str, str]:
    """The family's name for its first function; for more, a name and a note of what they have or lack beside it."""
    plain = f"{family}_layer" if is_part else family
    wanted, note = [plain], ""
    first = next((other for other in others if other.family == family), None)
    if first is not None:
        mine, its = ({path[-2] for path, _ in atoms(tree) if len(path) > 1} for tree in (use, first.body))
        more, less = sorted(mine - its), sorted(its - mine)
        wanted = [f"{plain}_{more[0]}"] if more else [f"{plain}_without_{less[0]}"] if less else []
        note = f"{first.name} {'with' if more else 'without'} {(more or less)[0]}." if wanted else ""
    names = taken | {other.name for other in others}
    return next(n for n in (*wanted, *(f"{plain}{i}" for i in range(2, 999))) if _free(n, names)), note


def _type(value: str) -> str:
    if value in ("True", "False"):
        return "bool"
    try:
        float(value)
    except ValueError:
        return "Activation"
    return "int" if value.isdecimal() else "float"
