"""A run's number against the spread between runs.

Machine noise is between runs: the thousands of queries of one run share it, so they are no independent evidence, and
one run is one observation. Of the logarithms of n earlier runs, mean m and standard deviation s, the next run's lies
within m ± t · s · √(1 + 1/n), Student's t with n − 1 degrees of freedom (a prediction interval). The p-value is
one-sided.

`detectable` is the relative change that 95% of runs so changed would show at the level given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rag_lab.alerts.rule import Rule

POWER = 0.95
LEAST_RUNS = 10  # the issue's; with fewer the spread itself is hardly known


class Against(NamedTuple):
    """baseline: the geometric mean of the earlier runs."""

    baseline: float
    change: float
    p_value: float
    detectable: float


def judge(rule: Rule, value: float, earlier: Sequence[float], level: float) -> Against:
    """Hold a positive value against at least two positive earlier ones. level: of one rule, for `detectable`."""
    from scipy.special import stdtr, stdtrit  # Student's t: the share below, and what a share lies below

    logs = np.log(earlier)
    mean, spread = float(logs.mean()), float(logs.std(ddof=1))
    sign = 1 if rule.worse == "higher" else -1
    moved = sign * (np.log(value) - mean)
    width = spread * np.sqrt(1 + 1 / len(logs))
    same = width == 0  # runs that do not differ at all
    p_value = float(moved <= 0) if same else float(stdtr(len(logs) - 1, -moved / width))
    reach = width * (stdtrit(len(logs) - 1, 1 - level) + stdtrit(len(logs) - 1, POWER))
    return Against(float(np.exp(mean)), float(value / np.exp(mean) - 1), p_value, float(abs(np.expm1(sign * reach))))
