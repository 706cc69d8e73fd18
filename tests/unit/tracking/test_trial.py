"""A job that is a trial, and one that is not."""

from __future__ import annotations

import pytest

from rag_lab.tracking import trial
from rag_lab.tracking.trial import Pruned, Trial

TRIAL = Trial("study", 3, {"x": "1"}, "parent", "score")


def test_without_a_sweep_a_report_goes_nowhere() -> None:
    assert trial.current() is None
    trial.report({"score": 0.5}, 0)


def test_a_report_reaches_the_sweep_which_may_end_the_trial() -> None:
    heard: list[tuple[float, int]] = []

    def go_on(value: float, step: int) -> bool:
        heard.append((value, step))
        return step < 2

    with trial.run_as(TRIAL, go_on):
        assert trial.current() == TRIAL
        trial.report({"score": 0.5, "cost": 3.0}, 0)
        trial.report({"cost": 3.0}, 0)  # not what the sweep is about
        trial.report({"score": 1}, 1)
        with pytest.raises(Pruned, match=r"at step 2, with 0\.25"):
            trial.report({"score": 0.25}, 2)
    assert heard == [(0.5, 0), (1.0, 1), (0.25, 2)]
    assert trial.current() is None


def test_a_trial_that_fails_leaves_nothing_behind() -> None:
    with pytest.raises(ZeroDivisionError), trial.run_as(TRIAL, lambda value, step: True):
        raise ZeroDivisionError
    assert trial.current() is None
