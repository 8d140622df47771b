"""timm's names in an exported file: the classifier that can be replaced, the configuration, and the registration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nas.codegen.body import Body, Freedom
from nas.codegen.expressions import COMBINATORS, Call, Defaults, Expression, atoms, flat
from nas.packaging.package import Package
from search_spaces.layers import Chain

NUM_CLASSES = "num_classes"
_GONE = "nn.Identity()"


@dataclass(frozen=True)
class Classifier:
    """Layers of the head that are as wide as there are classes (one, but for NiN's three), and what the first reads."""

    layers: tuple[tuple[str, Expression], ...]
    features: str

    def assignments(self, defaults: Defaults) -> Iterable[str]:
        """Statements that make them anew; without classes features pass through."""
        for name, layer in self.layers:
            yield f"        self.head.{name} = {_optional(layer, defaults)}"
            yield f"        initialise(self.head.{name})"

    @property
    def names(self) -> tuple[str, ...]:
        """Paths in the network."""
        return tuple(f"head.{name}" for name, _ in self.layers)


def classifier(body: Body, free: Freedom) -> Classifier | None:
    """The classifier of a head that is a chain of named layers; None where another one cannot be put in its place."""
    head = body.head
    if free.num_classes is None or not isinstance(head, Call) or head.function != COMBINATORS[Chain]:
        return None
    found = [
        (name, part)
        for name, part in head.args
        if isinstance(part, Call) and any(atom == NUM_CLASSES for _, atom in atoms(part))
    ]
    if not found or not all(name.isidentifier() for name, _ in found):
        return None
    first = found[0][1]
    reads = [atom for path, atom in atoms(first) if path[-1:] in (("in_features",), ("in_channels",))]
    return Classifier(tuple(found), reads[0]) if reads else None


def without_classes(head: Expression, found: Classifier, defaults: Defaults) -> Expression:
    """The head, its classifier left out where `num_classes` is 0."""
    assert isinstance(head, Call)
    layers = dict(found.layers)
    args = tuple((name, _optional(part, defaults) if name in layers else part) for name, part in head.args)
    return replace(head, args=args)


def _optional(layer: Expression, defaults: Defaults) -> str:
    return f"{flat(layer, defaults)} if {NUM_CLASSES} else {_GONE}"


def configuration(package: Package) -> dict[str, Any]:
    """timm's `default_cfg`, but for the names of layers: how images must come for these weights."""
    side, mean, std = package.trained_side, package.record.get("mean"), package.record.get("std")
    cfg: dict[str, Any] = {"input_size": (package.in_channels, side, side), "num_classes": package.num_classes}
    if mean and std:
        cfg |= {"mean": tuple(mean), "std": tuple(std)}
    return cfg | {"interpolation": "bilinear", "crop_pct": 1.0}


def configuration_source(cfg: Mapping[str, Any], found: Classifier | None, free: Freedom) -> str:
    """CFG as a constant of the file."""
    names: dict[str, Any] = {}
    if free.in_channels:
        names["first_conv"] = free.in_channels[0].rpartition(".")[0]
    if found:
        names["classifier"] = found.names[0] if len(found.names) == 1 else found.names
    told = {**cfg, **names}
    entries = (f"    {json.dumps(key)}: {_value(value)}," for key, value in told.items())
    return "\n".join(("CFG: dict[str, Any] = {  # how images must come, in timm's words", *entries, "}"))


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))}{',' * (len(value) == 1)})"
    return json.dumps(value)


HEAD = '''
    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last feature map → logits, or the {features} features that the classifier reads."""
        for name, layer in self.head.named_children():
            x = x if pre_logits and name {chosen} else layer(x)
        return x

    def get_classifier(self) -> nn.Module:
        return self.head.{first}

    def reset_classifier(self, num_classes: int) -> None:
        """Another number of classes, from a fresh initialisation; with 0 features come out."""
        self.num_classes = num_classes
{assignments}
'''
PLAIN_HEAD = '''
    def forward_head(self, x: Tensor) -> Tensor:
        """The last feature map → logits."""
        logits: Tensor = self.head(x)
        return logits
'''
REGISTER = '''
def register() -> None:
    """Tell timm, so that `timm.create_model("{name}", pretrained=True)` makes it, with timm's usual options."""
    from timm.models import FeatureInfo, register_model

    def create(pretrained: bool = False, in_chans: int = {channels}, **options: Any) -> Network:
        for name in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
            options.pop(name, None)
        network = (load if pretrained else Network)(in_channels=in_chans, **options)
        if network.features_only:
            network.feature_info = FeatureInfo(network.feature_info, tuple(range(len(network.feature_info))))
        return network

    create.__module__, create.__name__ = __name__, __name__.rpartition(".")[2]
    register_model(create)


with suppress(ImportError, KeyError):  # no timm, or this file was not imported by name: nothing else needs it
    register()
'''


def head_methods(found: Classifier | None, defaults: Defaults) -> str:
    """`forward_head`, and what replaces the classifier where it can be replaced."""
    if found is None:
        return PLAIN_HEAD.strip("\n")
    names = [name for name, _ in found.layers]
    only = len(names) == 1
    return HEAD.strip("\n").format(
        features=found.features,
        first=names[0],
        chosen=f"== {json.dumps(names[0])}" if only else f"in ({', '.join(map(json.dumps, names))})",
        assignments="\n".join(found.assignments(defaults)),
    )
