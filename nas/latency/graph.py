"""Layer → ONNX graph, directly: another reading of an architecture, in milliseconds instead of torch's seconds.

It serves to time networks, so weights are random unless given, and batch norms are folded as `search_spaces.folding`
has it. To take a network home there is `nas.exporters.onnx`, which writes a trained module and proves it.
Node names begin with the path of their layer, so that a profile can be read back onto the blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from nas.errors import UserError
from search_spaces import layers as L
from search_spaces.layers import Layer, Shape

OPSET, IR = 20, 10
Weights = Mapping[str, NDArray[np.float32]]
# BatchNormalization's four inputs, by torch's names in ONNX's order
_NORM = (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0))


def graph(layer: Layer, shape: Shape, batch: int = 1, weights: Weights | None = None) -> ModelProto:
    """The model images (batch, C, H, W) → output; `weights` as in the state dict of the built module."""
    written = _Writer(batch, weights)
    out = written.layer(layer, "", "images", shape)
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, *shape])
    got = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
    whole = helper.make_graph(written.nodes, "network", [given], [got], written.constants)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


class _Writer:
    """Collects nodes and constants; each method takes the name of what is read and returns that of what is written."""

    def __init__(self, batch: int, weights: Weights | None) -> None:
        self.batch, self.weights = batch, weights
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._rng = np.random.default_rng(0)

    def layer(self, layer: Layer, name: str, read: str, shape: Shape) -> str:
        if isinstance(layer, L.Chain):
            for child, part in zip(layer.names, layer.layers, strict=True):
                read, shape = self.layer(part, f"{name}{child}.", read, shape), part.out(shape)
            return read
        if isinstance(layer, L.Combinator):
            parts = zip(layer.names, layer.layers, strict=True)
            outs = [self.layer(part, f"{name}{child}.", read, shape) for child, part in parts]
            return self._joined(layer, name, outs)
        return _LEAVES[type(layer)](self, layer, name, read, shape)

    def _joined(self, layer: Layer, name: str, outs: list[str]) -> str:
        if isinstance(layer, L.Concat):
            return self.node("Concat", name, outs, axis=1)
        total, kind = outs[0], "Add" if isinstance(layer, L.Add) else "Mul"
        for i, other in enumerate(outs[1:]):
            total = self.node(kind, f"{name}{kind}{i}", [total, other])
        return total

    def node(self, kind: str, name: str, reads: list[str], **attributes: Any) -> str:
        out = f"{name}#{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, reads, [out], name=out, **attributes))
        return out

    def weight(self, name: str, *size: int, std: float = 0.0, mean: float = 0.0) -> str:
        """A constant of the given weights, or a random one."""
        if self.weights is not None:
            values = self.weights[name]
        else:
            values = (mean + std * self._rng.standard_normal(size, dtype=np.float32)).astype(np.float32)
        return self.constant(name, values)

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


# ---------------------------------------------------------------------------------------- leaves


def _conv(w: _Writer, conv: L.Conv, name: str, read: str, shape: Shape) -> str:
    each = shape.channels // conv.groups
    std = (each * conv.kernel**2) ** -0.5  # activations keep their scale: neither denormal nor infinite
    reads = [read, w.weight(f"{name}weight", conv.channels, each, conv.kernel, conv.kernel, std=std)]
    if conv.bias:
        reads.append(w.weight(f"{name}bias", conv.channels, std=0.1))
    sizes = {"kernel_shape": [conv.kernel] * 2, "strides": [conv.stride] * 2, "dilations": [conv.dilation] * 2}
    return w.node("Conv", name, reads, **sizes, pads=[conv.pad] * 4, group=conv.groups)


def _norm(w: _Writer, norm: L.BatchNorm, name: str, read: str, shape: Shape) -> str:
    reads = [read, *(w.weight(f"{name}{part}", shape.channels, mean=mean) for part, mean in _NORM)]
    return w.node("BatchNormalization", name, reads, epsilon=norm.eps)


def _act(w: _Writer, act: L.Act, name: str, read: str, shape: Shape) -> str:
    if act.kind == "relu6":
        bounds = [w.constant(f"{name}{v:g}", np.array(v, np.float32)) for v in (0.0, 6.0)]
        return w.node("Clip", name, [read, *bounds])
    if act.kind == "silu":
        return w.node("Mul", name, [read, w.node("Sigmoid", name, [read])])
    kinds: dict[str, tuple[str, dict[str, float]]] = {
        "relu": ("Relu", {}),
        "sigmoid": ("Sigmoid", {}),
        "gelu": ("Gelu", {}),
        "hardswish": ("HardSwish", {}),
        "hardsigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    }
    kind, attributes = kinds[act.kind]
    return w.node(kind, name, [read], **attributes)


def _pool(w: _Writer, pool: L.MaxPool | L.AvgPool, name: str, read: str, shape: Shape) -> str:
    sizes = {"kernel_shape": [pool.kernel] * 2, "strides": [pool.stride] * 2, "pads": [pool.padding] * 4}
    if isinstance(pool, L.MaxPool):
        return w.node("MaxPool", name, [read], **sizes, ceil_mode=int(pool.ceil))
    return w.node("AveragePool", name, [read], **sizes, ceil_mode=int(pool.ceil), count_include_pad=1)


def _adaptive(w: _Writer, pool: L.AdaptivePool, name: str, read: str, shape: Shape) -> str:
    if pool.size == 1:
        return w.node("GlobalMaxPool" if pool.maximum else "GlobalAveragePool", name, [read])
    if shape.height % pool.size or shape.width % pool.size:
        raise UserError(
            f"ONNX pools to a size that divides the map's, but got {pool.size}×{pool.size} of {shape}: choose another "
            "resolution, or time it by --backend eager"
        )
    window = [shape.height // pool.size, shape.width // pool.size]
    return w.node("MaxPool" if pool.maximum else "AveragePool", name, [read], kernel_shape=window, strides=window)


def _shuffle(w: _Writer, shuffle: L.Shuffle, name: str, read: str, shape: Shape) -> str:
    channels, height, width = shape
    split = np.array([w.batch, shuffle.groups, channels // shuffle.groups, height, width])
    whole = np.array([w.batch, *shape])
    apart = w.node("Reshape", name, [read, w.constant(f"{name}split", split)])
    turned = w.node("Transpose", name, [apart], perm=[0, 2, 1, 3, 4])
    return w.node("Reshape", name, [turned, w.constant(f"{name}whole", whole)])


def _linear(w: _Writer, linear: L.Linear, name: str, read: str, shape: Shape) -> str:
    weight = w.weight(f"{name}weight", linear.features, shape.channels, std=shape.channels**-0.5)
    bias = [w.weight(f"{name}bias", linear.features, std=0.1)] if linear.bias else []
    return w.node("Gemm", name, [read, weight, *bias], transB=1)


def _same(w: _Writer, layer: Layer, name: str, read: str, shape: Shape) -> str:
    return read


_LEAVES: dict[type[Layer], Callable[[_Writer, Any, str, str, Shape], str]] = {
    L.Conv: _conv,
    L.BatchNorm: _norm,
    L.Act: _act,
    L.MaxPool: _pool,
    L.AvgPool: _pool,
    L.AdaptivePool: _adaptive,
    L.Shuffle: _shuffle,
    L.Linear: _linear,
    L.Flatten: lambda w, layer, name, read, shape: w.node("Flatten", name, [read]),
    L.Identity: _same,
    L.Dropout: _same,
}
