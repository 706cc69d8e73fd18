"""One change that makes a sentence false: worked cases."""

from __future__ import annotations

import numpy as np
import pytest

from rag_lab.experiment.corruptions import negated, offers, swapped

OTHERS = ["It opened in Lima in 1901.", "Later, Marie Curie won it."]


def test_names_and_numbers_are_found() -> None:
    text = "In 1943, the Little Prince of Antoine de Saint-Exupéry sold 1,200.5 copies in New York."
    assert offers([text]) == (("Antoine", "Little Prince", "New York", "Saint-Exupéry"), ("1,200.5", "1943"))
    assert offers(["Paris sleeps. Rome wakes."]).names == ()  # each opens its sentence
    assert offers([]) == ((), ())


@pytest.mark.parametrize("seed", range(8))
def test_one_name_or_number_becomes_another_of_its_kind(seed: int) -> None:
    text = "The bridge in Ghana opened in 1957."
    found = swapped(text, offers([text, *OTHERS]), np.random.default_rng(seed))
    by_name = {f"The bridge in {name} opened in 1957." for name in ("Lima", "Marie Curie")}
    assert found in by_name | {"The bridge in Ghana opened in 1901."}


def test_what_has_nothing_to_exchange_is_left_out() -> None:
    random = np.random.default_rng(0)
    assert swapped("sleep helps.", offers(OTHERS), random) is None
    assert swapped("It opened in 1957.", offers(["It opened in 1957.", "Sleep helps."]), random) is None


@pytest.mark.parametrize(
    ("text", "opposite"),
    [
        ("Sleep is good.", "Sleep is not good."),
        ("It can help and will heal.", "It can not help and will heal."),
        ("It does not help.", "It does help."),
        ("It isn't safe and does not help.", "It is safe and does not help."),
        ("There is no evidence.", "There is evidence."),
        ("Sleep helps.", None),
    ],
)
def test_the_other_way_round(text: str, opposite: str | None) -> None:
    found = negated(text)
    assert (None if found is None else " ".join(found.split())) == opposite
