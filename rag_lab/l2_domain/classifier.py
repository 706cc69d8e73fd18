"""Domain detection by a multinomial logistic head on the query's vector, trained on train queries."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field

from rag_lab.kernels import logistic
from rag_lab.l2_domain.embedded import Embedded
from rag_lab.l2_domain.signature import Model


def build(
    *,
    precision: Annotated[float, Field(ge=0, le=1)],
    max_batch: Annotated[int, Field(ge=1, le=4096)],
    ridge: Annotated[float, Field(gt=0)],
    steps: Annotated[int, Field(ge=1)],
) -> Embedded:
    """The detector.

    precision, max_batch: as for `batched`. ridge: penalty on squared weights; steps: of gradient descent.
    """
    fit = partial(logistic.fit, ridge=ridge, steps=steps)
    return Embedded(Model(fit, logistic.logits), precision, max_batch)
