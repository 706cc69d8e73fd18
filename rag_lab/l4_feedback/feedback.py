"""Feedback: what users said of what they were shown, and what a filter makes of it.

The model that every filter variant follows, decision for decision. An item is *invalid* where a number is NaN
or infinite, the rating lies outside [0, 1], the dwell is negative, the position below 1, user or query
negative, the domain outside -1 … 255, or the time more than `skew_s` in the future; a time less far in the
future counts as now. Of valid items with the same user, query and time the first is kept, the others are
*duplicates*. The rest is judged. Domain -1, unknown, is a group like any other.

1. A rating is read to one part in GRAIN. What it is compared with is the mean rating of the *other* items on
   the same query, rounded to a grain, halves up. An item alone on its query is compared with nothing.
2. A user's reliability is the agreement 1 − 2 · mean |rating − others|: 1 where they always agree, 0 where they
   lie half the scale apart on average, as a guess does from answers that are good or bad (the S of Bennett,
   Alpert and Goldstein 1954, Public Opinion Quarterly 18(3), for two kinds of answer, with distances for
   mismatches). Chance is not taken from the ratings themselves, as in Cohen's kappa: where nearly all answers
   are good, honest users agree no more than by that chance (Feinstein and Cicchetti 1990, Journal of Clinical
   Epidemiology 43(6)), and nobody would be believed. The price: whoever always says the same is believed as
   far as it is right, and guesses at middling answers are not told from judgments. Reliability is shrunk
   (empirical Bayes: Efron and Morris 1975, JASA 70) towards that of all users together as if `prior_items`
   items had shown that, and this towards `prior_reliability` as if `population_items` had. It is read to one
   part in SCALE. A user is trusted where it is at least `min_trust`.
3. The dishonest spoil the means that the honest are held against. So all items are compared a second time, with
   trusted others alone, and reliability is read again; whoever meets others, but no trusted one, keeps the
   first reading. Within a domain, a trusted user's difference from trusted others further than `sigma_limit`
   sample standard deviations from the mean of such differences is an outlier (it cannot happen below 11
   items), and so is one whose robust z exceeds `robust_limit` (Iglewicz and Hoaglin 1993: 0.6745 · |x −
   median| / MAD; with a MAD of 0, |x − median| / (1.253314 · mean |x − median|); with that 0 too, nothing is
   an outlier).
4. Attention is 1 − exp(−dwell / attention_s) (longer dwell, surer judgment: Fox et al. 2005, ACM TOIS 23(2)).
   Trust = reliability · attention; below `min_trust` it is too low.
5. Position: feedback arises where people look, with propensity (1/position)^severity (Craswell et al. 2008,
   WSDM; Joachims, Swaminathan and Schnabel 2017, WSDM). Its inverse, scaled to 1 at `depth` and clipped
   there, corrects for it. It says how often feedback arises, not whether it is true, so it takes no part in
   trust.
6. Weight = trust · position correction · exp(−λ · age), λ = ln 2 / half-life; 0 for what is not kept.

The reason is the first that applies, in the order of `Reason`. Everything up to the outliers' differences is
whole-number arithmetic, so sums, medians and histograms are the same in whatever order, by however many
workers, on whatever device they are taken; float32 meets float64 only at the last comparison with a
threshold.

Shapes: N items. Units: seconds; times are seconds since the epoch.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Annotated, NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int8, Int32
from pydantic import Field

from rag_lab.errors import DataError

GRAIN = 128  # parts of a rating: finer than any scale that people rate on
SCALE = 1024  # parts of a reliability
COST = 2 * SCALE // GRAIN  # parts of it that an item loses by a grain: none is left half the rating scale apart
UNREAD = -1  # in the place of a reliability that is not known yet
MAX_ITEMS = 1 << 22  # so that a sum of grains over all items stays far from 2³¹
MAX_DOMAINS = 256
MAX_AGE_S = 1e12  # an age above it (30,000 years) counts as it: it must fit float32
DAY_S = 86_400.0

HalfLife = Annotated[float, Field(ge=0.001, le=1e6)]
Skew = Annotated[float, Field(ge=0, le=1e9)]
AttentionTime = Annotated[float, Field(ge=1, le=1e6)]
Severity = Annotated[float, Field(ge=0, le=4)]
Depth = Annotated[int, Field(ge=1, le=1000)]
PriorItems = Annotated[int, Field(ge=1, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]
Limit = Annotated[float, Field(gt=0, le=1e6)]


class FeedbackBatch(NamedTuple):
    """N items, a column each. user, query: row numbers of tables of your own; query is whatever two users
    must both have rated to be compared. domain: an index, -1 where unknown. rating in [0, 1]. position from
    1.
    """

    user: Int32[np.ndarray, " N"]
    query: Int32[np.ndarray, " N"]
    domain: Int32[np.ndarray, " N"]
    rating: Float32[np.ndarray, " N"]
    time_s: Float64[np.ndarray, " N"]
    dwell_s: Float32[np.ndarray, " N"]
    position: Int32[np.ndarray, " N"]


class Reason(IntEnum):
    """Why an item is not kept, or that it is."""

    KEPT = 0
    INVALID = 1
    DUPLICATE = 2
    OUTLIER_SIGMA = 3
    OUTLIER_ROBUST = 4
    LOW_CONFIDENCE = 5


class Filtered(NamedTuple):
    """What a filter says of each item. weight: how far to believe it, 0 if it is not kept; reason: a `Reason`."""

    weight: Float32[np.ndarray, " N"]
    keep: Bool[np.ndarray, " N"]
    reason: Int8[np.ndarray, " N"]


class Settings(NamedTuple):
    """The model's settings; the module's docstring says what each does. Those of conf/filter/ that tell noise from
    feedback were found by `+experiment=filter_settings`.
    """

    half_life_days: float
    skew_s: float
    attention_s: float
    severity: float
    depth: int
    prior_reliability: float
    prior_items: int
    population_items: int
    min_trust: float
    sigma_limit: float
    robust_limit: float

    @property
    def rate(self) -> float:
        """λ of the decay, per second."""
        return math.log(2) / (self.half_life_days * DAY_S)

    @property
    def prior(self) -> int:
        """`prior_reliability` in parts of SCALE."""
        return round(self.prior_reliability * SCALE)

    @property
    def trusted(self) -> int:
        """The least reliability, in parts of SCALE, that is at least `min_trust`."""
        return math.ceil(self.min_trust * SCALE)


class Filter(Protocol):
    """Says of each item of a batch how much to believe it."""

    def weigh(self, batch: FeedbackBatch, now: float) -> Filtered:
        """Judge a batch at the time `now`, in seconds since the epoch. DataError where `checked` says so."""
        ...

    def close(self) -> None:
        """Give back what the filter holds (processes, memory). A closed filter weighs no more."""
        ...


def checked(batch: FeedbackBatch, now: float) -> FeedbackBatch:
    """The batch with its columns in their types, copied only where they were not.

    DataError where columns differ in length or type, where there are too many items, or `now` is not finite.
    """
    if not math.isfinite(now):
        raise DataError(f"now is {now}; give the time in seconds since the epoch")
    types = (np.int32, np.int32, np.int32, np.float32, np.float64, np.float32, np.int32)
    columns = []
    for name, values, kind in zip(FeedbackBatch._fields, batch, types, strict=True):
        given = np.asarray(values)
        if given.ndim != 1 or not np.can_cast(given.dtype, kind, "same_kind"):
            raise DataError(f"feedback: {name} is {given.dtype}{list(given.shape)}; give {np.dtype(kind)}[N]")
        with np.errstate(over="ignore"):  # a number too large for its type is infinite, and so invalid
            column = np.ascontiguousarray(given, kind)
        if column.dtype.kind == "i" and given.dtype != kind and not np.array_equal(column, given):
            raise DataError(f"feedback: {name} holds numbers beyond {np.dtype(kind)}; number users and queries from 0")
        columns.append(column)
    lengths = {len(each) for each in columns}
    if len(lengths) > 1:
        raise DataError(f"feedback: columns of {sorted(lengths)} items; all have the same number")
    if len(columns[0]) > MAX_ITEMS:
        raise DataError(f"feedback: {len(columns[0]):,} items; at most {MAX_ITEMS:,}: weigh a longer log in parts")
    return FeedbackBatch(*columns)


def everything(items: int) -> Filtered:
    """All items kept with weight 1."""
    return Filtered(np.ones(items, np.float32), np.ones(items, bool), np.zeros(items, np.int8))


def as_filtered(weight: Float[np.ndarray, " N"], reason: Int8[np.ndarray, " N"]) -> Filtered:
    """Weights and reasons as a result."""
    return Filtered(np.asarray(weight, np.float32), reason == Reason.KEPT, reason)
