"""How XLA is to compile a program with the encoder in it: on a CPU, with Eigen's matrix products.

XLA hands products, and what it can fuse with them, to YNNPACK since 2025. At the encoder's sizes (64 to 4,096
rows, 384 or 1,536 wide, float32, AVX-512) Eigen's took 76 to 93% of YNNPACK's time.
"""

from __future__ import annotations

from functools import cache

import jax

EIGEN = {"xla_cpu_experimental_ynn_fusion_type": ""}  # nothing to YNNPACK


@cache
def options() -> dict[str, str]:
    """Compiler options for `jax.jit`; none on other devices, and none where XLA does not know them."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=EIGEN)()
    except jax.errors.JaxRuntimeError:  # the option is experimental: another version may have dropped it
        return {}
    return EIGEN
