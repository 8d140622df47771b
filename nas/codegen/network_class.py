"""The text of an exported file's `Network` class, and of the `load` that gives it its weights."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from keyword import iskeyword

from nas.codegen import timm_names
from nas.codegen.body import Body, Freedom
from nas.codegen.expressions import WIDTH, Defaults, Expression, flat, lines
from nas.codegen.features import Step
from search_spaces.arch import Arch
from search_spaces.layers import EPS, Shape

FOLD = 4
"""So many equal blocks in a row are written as one line."""
_NETWORK = '''
class Network(nn.Module):
    """(N, {channels}, {side}, {side}) images → (N, {classes}) logits. Comments tell the shape behind each line.

    features_only: instead, a list of feature maps, the deepest at each reduction, as timm returns them;
        `feature_info` tells their channels, and `out_indices` chooses among them.
    """

    def __init__(
        self,
        num_classes: int = {classes},
        in_channels: int = {channels},
        features_only: bool = False,
        out_indices: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
{init}
        maps = [
{maps}
        ]
        self.out_indices = tuple(range(len(maps)) if out_indices is None else out_indices)
        self.feature_info = [maps[i] for i in self.out_indices]
        self.num_features = {last.num_chs}
        self.default_cfg = self.pretrained_cfg = dict(CFG)
{eps}        initialise(self)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        if self.features_only:
            return self.forward_maps(x)
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, {channels}, H, W) → (N, {last.num_chs}, H / {last.reduction}, W / {last.reduction})."""
        for name, stage in self.named_children():
            x = x if name == "head" else stage(x)
        return x

{head_methods}

    def forward_maps(self, x: Tensor) -> list[Tensor]:
        """The maps of `feature_info`; x8 is eight times smaller than the image."""
{forward_maps}
'''
_EPS = """\
        for norm in self.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.eps = {eps}
"""


def network_source(body: Body, arch: Arch, in_channels: int, num_classes: int, free: Freedom) -> str:
    """`class Network`, with the shape behind each line as a comment."""
    found = timm_names.classifier(body, free)
    if found:
        body = replace(body, head=timm_names.without_classes(body.head, found, body.defaults))
    deepest = {step.reduction: step for step in body.steps}.values()
    records = (str(step.info).replace("'", '"') for step in deepest)
    return _NETWORK.strip().format(
        side=arch.resolution,
        channels=in_channels,
        classes=num_classes,
        init="\n".join((*_guard(in_channels, num_classes, free), *_layers(body))),
        maps="\n".join(f"            {record}," for record in records),
        eps="" if arch.eps == EPS else _EPS.format(eps=arch.eps),
        last=body.steps[-1],
        head_methods=timm_names.head_methods(found, body.defaults),
        forward_maps="\n".join(_forward_maps(body.steps)),
    )


def _guard(in_channels: int, num_classes: int, free: Freedom) -> Iterable[str]:
    """For networks whose layers follow these numbers in ways that the text does not show."""
    for name, value, given in (
        ("num_classes", num_classes, free.num_classes),
        ("in_channels", in_channels, free.in_channels),
    ):
        if given is None:
            yield f"        if {name} != {value}:"
            yield f'            raise ValueError(f"this network needs {name}={value}, but got {{{name}}}")'


def _layers(body: Body) -> Iterable[str]:
    yield "        self.num_classes, self.in_channels, self.features_only = num_classes, in_channels, features_only"
    yield from _commented(lines(body.stem, body.defaults, 8, "self.stem = "), body.shapes[0])
    for i, (stage, shape) in enumerate(zip(body.stages, body.shapes[1:], strict=True), 1):
        yield from _commented(_stage(f"self.stage{i} = ", stage, body.defaults), shape)
    yield "        if not features_only:"
    yield from lines(body.head, body.defaults, 12, "self.head = ")


def _commented(text: list[str], shape: Shape) -> list[str]:
    """The shape behind the statement, as a comment on its first line, or above where there is no room."""
    first = f"{text[0]}  # {shape}"
    return [first, *text[1:]] if len(first) <= WIDTH else [f"        # {shape}", *text]


def _stage(before: str, blocks: tuple[Expression, ...], defaults: Defaults) -> list[str]:
    if len(blocks) == 1 and len(whole := f"        {before}nn.Sequential({flat(blocks[0], defaults)})") <= WIDTH - 12:
        return [whole]
    text = [f"        {before}nn.Sequential("]
    for block, equal in groupby(blocks):
        count = len(list(equal))
        text += _folded(block, count, defaults) if count >= FOLD else lines(block, defaults, 12, "", ",") * count
    return [*text, "        )"]


def _folded(block: Expression, count: int, defaults: Defaults) -> list[str]:
    whole = lines(block, defaults, 12, "*(", f" for _ in range({count})),")
    if len(whole) == 1:
        return whole
    indent = " " * 12
    return [f"{indent}*(", *lines(block, defaults, 16), f"{indent}    for _ in range({count})", f"{indent}),"]


def _forward_maps(found: tuple[Step, ...]) -> Iterable[str]:
    before = "x"
    for i, step in enumerate(found):
        kept = i > 0 and found[i - 1].reduction != step.reduction
        given = f"{before}.clone()" if kept and step.writes else before
        yield f"        x{step.reduction} = self.{_attribute(step.module)}({given})"
        before = f"x{step.reduction}"
    names = ", ".join(dict.fromkeys(f"x{step.reduction}" for step in found))
    yield f"        maps = [{names}]"
    yield "        return [maps[i] for i in self.out_indices]"


def _attribute(module: str) -> str:
    """`stem.pool`, or `get_submodule("stem.3")` where the name is none in Python."""
    words = module.split(".")
    return module if all(w.isidentifier() and not iskeyword(w) for w in words) else f"get_submodule({_string(module)})"


# --------------------------------------------------------------------------------------- weights


_LOAD = '''
def load(path: str | Path | None = None, **options: Any) -> Network:
    """The network with the weights at `path`, by default those beside this file; `options` are `Network`'s.

    Layers that another number of classes or input channels changes start anew, with a warning;
    whatever else does not fit is an error.
    """
    from safetensors.torch import load_file

    network = Network(**options)
    weights = load_file(path or Path(__file__).with_suffix(".safetensors"))
    anew: list[str] = []
    if network.features_only:
        weights = {{name: value for name, value in weights.items() if not name.startswith("head.")}}
{changed}
    state = network.state_dict()
    fresh = {{name: state[name] for name in anew if name in state}}  # without classes there is no classifier
    if fresh:
        warnings.warn(f"newly initialised: {{', '.join(fresh)}}", stacklevel=2)
    network.load_state_dict({{name: value for name, value in weights.items() if name not in anew}} | fresh)
    return network
'''


def load_source(in_channels: int, num_classes: int, free: Freedom) -> str:
    """`def load`, with the layers that start anew where `Network` is given other numbers."""
    changed = []
    for name, value, names in (
        ("num_classes", num_classes, free.num_classes),
        ("in_channels", in_channels, free.in_channels),
    ):
        if names:
            unless = " and not network.features_only" if name == "num_classes" else ""
            changed += [f"    if network.{name} != {value}{unless}:", *_listed(names)]
    return _LOAD.strip().format(changed="\n".join(changed))


def _listed(names: tuple[str, ...]) -> list[str]:
    whole = f"        anew += [{', '.join(map(_string, names))}]"
    if len(whole) <= WIDTH:
        return [whole]
    return ["        anew += [", *(f"            {_string(name)}," for name in names), "        ]"]


def _string(text: str) -> str:
    """A string in double quotes, as formatters like it."""
    return json.dumps(text, ensure_ascii=False)
