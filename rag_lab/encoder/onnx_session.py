"""The encoder as ONNX Runtime runs it: the graph of `onnx_graph`, on CUDA where it is found, else on the CPU.

Needs the packages `onnx` and `onnxruntime` of the extra `peers`. Shapes: B texts, T padded tokens, D dimensions.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab.encoder import onnx_graph
from rag_lab.kernels.transformer import Transformer

Session = Callable[[Int[np.ndarray, "B T"], Bool[np.ndarray, "B T"]], Float[np.ndarray, "B D"]]
PACKAGES = ("onnx", "onnxruntime")
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")  # in order of preference


def missing() -> list[str]:
    """The packages that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def start(weights: Transformer, *, heads: int, epsilon: float, threads: int) -> Session:
    """A session over the weights, in float32: session(ids, real) -> unit vectors. threads: on a CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    wide = jax.tree.map(lambda array: np.asarray(array, np.float32), weights)
    running = onnxruntime.InferenceSession(
        onnx_graph.model(wide, heads=heads, epsilon=epsilon),
        options,
        providers=[name for name in PROVIDERS if name in onnxruntime.get_available_providers()],
    )

    def vectors(ids: Int[np.ndarray, "B T"], real: Bool[np.ndarray, "B T"]) -> Float[np.ndarray, "B D"]:
        found: Float[np.ndarray, "B D"] = running.run(None, {"tokens": ids, "real": real.astype(np.int32)})[0]
        return found

    return vectors
