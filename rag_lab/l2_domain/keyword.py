"""Domain detection by words: lexicons learned from train passages, no encoder.

A word's weight for a domain is its log-odds against the other domains with an informative Dirichlet prior from
all domains together, in standard deviations (Monroe, Colaresi and Quinn 2008, "Fightin' Words", Political
Analysis 16(4)); a query's score is the sum over its words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import Field

from rag_lab.encoder.live import Live
from rag_lab.l2_domain.signature import Calibration, Labelled, Signature, calibrate_scores, sign

WORD = re.compile(r"\w\w+")


class Keyword:
    """The detector stage, and once fitted the detector itself."""

    def __init__(self, precision: float, prior_words: float) -> None:
        self.precision, self.prior_words = precision, prior_words
        self.lexicon: dict[str, Float[np.ndarray, " C"]] = {}
        self.calibration = Calibration(1.0, 0.0)

    def fit(self, train: Labelled, live: Live | None) -> Keyword:
        """Learn the lexicons from passages, and on train queries when to be silent."""
        self.lexicon = lexicon(train.passages, self.prior_words)
        self.calibration = calibrate_scores(
            self._scores(train.texts, len(train.passages)), train.domain, self.precision
        )
        return self

    def __call__(self, texts: Sequence[str], vectors: Float[np.ndarray, "Q D"] | None = None) -> Signature:
        """The signature of each text; vectors are not looked at."""
        classes = len(next(iter(self.lexicon.values())))
        scores = self._scores(texts, classes) / self.calibration.temperature
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return sign(powers / powers.sum(axis=1, keepdims=True), self.calibration.threshold)

    def _scores(self, texts: Sequence[str], classes: int) -> Float[np.ndarray, "Q C"]:
        silent = np.zeros(classes, np.float32)
        return np.array(
            [sum((self.lexicon.get(word, silent) for word in WORD.findall(text.lower())), silent) for text in texts]
        )


def lexicon(passages: Sequence[Sequence[str]], prior_words: float) -> dict[str, Float[np.ndarray, " C"]]:
    """Every word's log-odds for each domain, in standard deviations.

    passages: texts by domain; prior_words: how many words the prior is worth.
    """
    counts = [Counter(word for text in texts for word in WORD.findall(text.lower())) for texts in passages]
    words = sorted(set().union(*counts))
    table = np.array([[one[word] for one in counts] for word in words], np.float64)
    total = table.sum(axis=1, keepdims=True)
    prior = prior_words * total / total.sum()
    inside, outside = table + prior, total - table + prior
    all_inside, all_outside = inside.sum(axis=0), outside.sum(axis=0)
    odds = np.log(inside / (all_inside - inside)) - np.log(outside / (all_outside - outside))
    weights = (odds / np.sqrt(1 / inside + 1 / outside)).astype(np.float32)
    return dict(zip(words, weights, strict=True))


def build(*, precision: Annotated[float, Field(ge=0, le=1)], prior_words: Annotated[float, Field(gt=0)]) -> Keyword:
    """The detector. precision: as for `batched`; prior_words: how many words the prior is worth."""
    return Keyword(precision, prior_words)
