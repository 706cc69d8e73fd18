"""The encoder as an ONNX model with the same weights: the peer that ONNX Runtime executes.

The graph names the fused operators of ONNX Runtime (`com.microsoft`: Attention, BiasGelu, SkipLayerNormalization)
that its own optimiser would make of an exported BERT, so the peer runs at its best. Needs the package `onnx`.

Inputs `tokens` and `real`, int32 [B, T]: vocabulary ids, and 1 where there is a token. Output `vectors`, float32
[B, D], of length 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rag_lab.kernels.transformer import Transformer

OPSETS = {"": 17, "com.microsoft": 1}
IR_VERSION = 8  # what every ONNX Runtime since 2022 reads


class _Graph:
    """Nodes and constants as they come."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def fused(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        return self.add(operator, inputs, output, domain="com.microsoft", **attributes)


def model(weights: Transformer, *, heads: int, epsilon: float) -> bytes:
    """The serialised model of these weights."""
    from onnx import TensorProto, helper

    graph = _Graph()
    x = _embedded(graph, weights, epsilon)
    for number, layer in enumerate(weights.layers):
        named = {name: graph.constant(f"{name}_{number}", part) for name, part in layer._asdict().items()}
        x = _layer(graph, x, named, number, heads, epsilon)
    _pooled(graph, x)
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT32, ["B", "T"]) for name in ("tokens", "real")]
    width = int(weights.token.shape[1])
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["B", width])]
    built = helper.make_model(
        helper.make_graph(graph.nodes, "encoder", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in OPSETS.items()],
        ir_version=IR_VERSION,
    )
    serialised: bytes = built.SerializeToString()
    return serialised


def _embedded(graph: _Graph, weights: Transformer, epsilon: float) -> str:
    """Token and position embeddings, normalised."""
    token = graph.add("Gather", [graph.constant("token", weights.token), "tokens"], "embedded_token")
    shape = graph.add("Shape", ["tokens"], "length", start=1, end=2)
    zero, axis = graph.constant("zero", np.array([0])), graph.constant("axis_0", np.array([0]))
    table = graph.constant("position", weights.position)
    position = graph.add("Slice", [table, zero, shape, axis], "embedded_position")
    both = graph.add("Add", [token, position], "embedded")
    scale, shift = graph.constant("scale", weights.scale), graph.constant("shift", weights.shift)
    return graph.add("LayerNormalization", [both, scale, shift], "embedded_normal", axis=-1, epsilon=epsilon)


def _layer(graph: _Graph, x: str, w: dict[str, str], number: int, heads: int, epsilon: float) -> str:
    """Attention and feed-forward, each with its residual and normalisation."""
    attended = graph.fused("Attention", [x, w["qkv"], w["qkv_bias"], "real"], f"attended_{number}", num_heads=heads)
    out = graph.add("MatMul", [attended, w["out"]], f"projected_{number}")
    x = graph.fused(
        "SkipLayerNormalization",
        [out, x, w["attention_scale"], w["attention_shift"], w["out_bias"]],
        f"attention_normal_{number}",
        epsilon=epsilon,
    )
    up = graph.add("MatMul", [x, w["up"]], f"up_product_{number}")
    hidden = graph.fused("BiasGelu", [up, w["up_bias"]], f"hidden_{number}")
    down = graph.add("MatMul", [hidden, w["down"]], f"down_product_{number}")
    return graph.fused(
        "SkipLayerNormalization",
        [down, x, w["output_scale"], w["output_shift"], w["down_bias"]],
        f"output_normal_{number}",
        epsilon=epsilon,
    )


def _pooled(graph: _Graph, x: str) -> str:
    """The mean over real tokens, made a unit vector; 0 where there is none."""
    from onnx import TensorProto

    last = graph.constant("axis_last", np.array([2]))
    real = graph.add("Cast", ["real"], "real_float", to=TensorProto.FLOAT)
    mask = graph.add("Unsqueeze", [real, last], "mask")
    axis = graph.constant("axis_1", np.array([1]))
    total = graph.add("ReduceSum", [graph.add("Mul", [x, mask], "masked"), axis], "total", keepdims=0)
    count = graph.add("ReduceSum", [mask, axis], "count", keepdims=0)
    some = graph.add("Max", [count, graph.constant("one", np.float32(1))], "count_or_one")
    mean = graph.add("Div", [total, some], "mean")
    norm = graph.add("ReduceL2", [mean], "norm", axes=[1], keepdims=1)
    least = graph.add("Max", [norm, graph.constant("least", np.float32(1e-12))], "norm_or_least")
    return graph.add("Div", [mean, least], "vectors")
