"""What answers took, added up: worked arithmetic, and from many threads."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag_lab.l3_answer.meter import Meter, Price
from rag_lab.types import Usage

PRICE = Price(tokens_in=0.15, tokens_out=0.60)


def test_a_price_by_hand() -> None:
    """2,000 tokens at 0.15 a million and 100 at 0.60."""
    assert PRICE.usd(Usage(1, 2000, 100, True)) == pytest.approx(0.0003 + 0.00006)


def test_answers_add_up_and_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    meter = Meter(PRICE)
    with caplog.at_level(logging.INFO, "rag_lab.answers"):
        meter.add(Usage(1, 2000, 100, True), retries=2, seconds=1.5)
        meter.add(Usage(1, 1000, 50, False), retries=0, seconds=0.5)
    assert meter.taken._replace(usd=0) == (2, 2, 2, 3000, 150, 2.0, 0)
    assert meter.taken.usd == pytest.approx(0.00054)
    first, second = (record.getMessage() for record in caplog.records)
    assert first == "answer: 2000 tokens in, 100 out, 0.000360 USD, 1.50 s, 2 retries"
    assert second == "answer: 1000 tokens in, 50 out (estimated), 0.000180 USD, 0.50 s, 0 retries"


def test_no_answer_is_lost_between_threads() -> None:
    meter = Meter(PRICE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: meter.add(Usage(1, 3, 1, True), 1, 0.25), range(800)))
    assert meter.taken._replace(usd=0) == (800, 800, 800, 2400, 800, 200.0, 0)
