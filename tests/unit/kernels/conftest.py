"""What every kernel's test needs: the same result by itself, jitted, and vmapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest


@pytest.fixture
def alike() -> Callable[..., None]:
    """alike(kernel, examples): eager, jitted, and vmapped under jit, the kernel gives the same.

    examples: tuples of arguments, all of the same shapes; the first is the one that is tried eagerly.
    """

    def check(kernel: Callable[..., Any], examples: list[tuple[Any, ...]], rtol: float = 1e-5) -> None:
        jitted = [jax.jit(kernel)(*example) for example in examples]
        mapped = jax.jit(jax.vmap(kernel))(*jax.tree.map(lambda *each: jax.numpy.stack(each), *examples))
        pairs = [(jitted[0], kernel(*examples[0]))]
        pairs += [(one, jax.tree.map(lambda x, n=n: x[n], mapped)) for n, one in enumerate(jitted)]
        for expected, found in pairs:
            for leaf, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
                assert leaf.dtype == other.dtype and leaf.shape == other.shape
                np.testing.assert_allclose(other, leaf, rtol=rtol, atol=1e-6)

    return check
