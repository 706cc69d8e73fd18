"""Families of comparisons: what is held against what, and corrected together (protocol: statistics).

Shapes: S seeds, Q queries.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from rag_lab.experiment.lab import NDCG, RECALL, Table
from rag_lab.experiment.variants import PLAIN, Variant, suffix
from rag_lab.l4_feedback.policy import Ceiling
from rag_lab.metrics.significance import Comparison, Estimate, Pair, Resampler, compare

COMPARED = (RECALL, NDCG)


def compare_all(
    table: Table,
    resampler: Resampler,
    variants: Mapping[str, Variant],
    estimates: Mapping[tuple[str, str], Estimate],
    treatment: str,
    reference: str | None,
    tested: Collection[str],
    domains: Sequence[str],
) -> list[Comparison]:
    """The primary family; then, exploratory: the treatment against every reference of its action set, every other
    policy that might have been under test (`tested`) against the reference that decides, and what a larger action set
    brings to each variant.
    """
    test = table.part(test=True)
    counts = np.bincount(table.domain[test]).tolist()

    def pair(metric: str, one: str, other: str) -> Pair:
        def values(name: str) -> Float[np.ndarray, "S Q"]:
            return variants[name].values(table, metric)[:, test]

        return Pair(metric, one, other, values(one), values(other), estimates[one, metric], estimates[other, metric])

    def family(name: str, pairs: list[Pair], *, mean: bool) -> list[Comparison]:
        return compare(resampler, name, pairs, domains, counts, mean=mean) if pairs else []

    own = variants[treatment].set
    rivals = [
        name
        for name, one in variants.items()
        if name != treatment and one.set in (own, PLAIN) and not isinstance(one.policy, Ceiling) and not one.true_domain
    ]
    standing = [name for name in rivals if name not in tested]
    others = [name for name in rivals if name in tested and variants[name].set == own]
    larger = [
        (f"{name}{suffix(one)}", name)
        for name, variant in variants.items()
        for one in table.sets
        if one != PLAIN and variant.set == PLAIN and f"{name}{suffix(one)}" in variants and not variant.true_domain
    ]
    rows: list[Comparison] = []
    if reference is not None:
        rows += family("primary", [pair(RECALL, treatment, reference)], mean=False)
    for metric in COMPARED:
        short = metric.removeprefix("retrieval/")
        rows += family(f"exploratory {short}", [pair(metric, treatment, name) for name in standing], mean=True)
    if reference is not None:
        rows += family(
            "exploratory policies recall_at_10", [pair(RECALL, name, reference) for name in others], mean=True
        )
    rows += family("exploratory larger action set recall_at_10", [pair(RECALL, *names) for names in larger], mean=True)
    return rows
