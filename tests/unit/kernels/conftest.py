"""What every kernel's test needs: the same result by itself, jitted, and vmapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest


@pytest.fixture
def alike() -> Callable[..., None]:
    """alike(kernel, examples): the kernel on each example, eager, jitted, and vmapped under jit, gives the same.

    examples: tuples of arguments, all of the same shapes.
    """

    def check(kernel: Callable[..., Any], examples: list[tuple[Any, ...]], rtol: float = 1e-5) -> None:
        eager = [kernel(*example) for example in examples]
        jitted = [jax.jit(kernel)(*example) for example in examples]
        mapped = jax.jit(jax.vmap(kernel))(*jax.tree.map(lambda *each: jax.numpy.stack(each), *examples))
        for number, expected in enumerate(eager):
            leaves = jax.tree.leaves(expected)
            for others in (jitted[number], jax.tree.map(lambda x, n=number: x[n], mapped)):
                for leaf, other in zip(leaves, jax.tree.leaves(others), strict=True):
                    assert leaf.dtype == other.dtype
                    np.testing.assert_allclose(other, leaf, rtol=rtol, atol=1e-6)

    return check
