"""Who runs which trial: claims, interruptions, owners that died, several processes on every kind of storage."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import storages
from optuna.trial import TrialState

from rag_lab.errors import ConfigError
from rag_lab.sweep import ledger, methods, space, storage

SPACE = space.read({"x": "interval(0,1)", "y": "int(interval(1,9))"}, [], None)
TERMS = ledger.Terms(["maximize score"], {"x": "interval(0,1)"}, "config")
STALE_S = 60.0
TOTAL = 15
TESTS = Path(__file__).parents[2]


def open_ledger(
    kept: Any, total: int = 4, name: str = "study", terms: ledger.Terms = TERMS, **changes: Any
) -> ledger.Ledger:
    sampler = methods.sampler(changes.get("sampler", {"_target_": "optuna.samplers.TPESampler"}), 3, "sampler")
    pruner = methods.pruner(changes.get("pruner", {"_target_": "optuna.pruners.NopPruner"}), "pruner")
    study = ledger.open_study(kept, "url", name, terms, sampler, pruner)
    return ledger.Ledger(study, kept, changes.get("space", SPACE), total, STALE_S)


@pytest.fixture
def kept() -> optuna.storages.InMemoryStorage:
    return optuna.storages.InMemoryStorage()


def score(trial: optuna.Trial | optuna.trial.FrozenTrial) -> float:
    return float(trial.params["x"] - abs(trial.params["y"] - 5) / 10)


def told(book: ledger.Ledger) -> list[tuple[int, str, dict[str, Any], float | None]]:
    """All that is kept of a study's trials but the clock."""
    return [(one.number, one.state.name, one.params, one.value) for one in book.study.get_trials(deepcopy=False)]


def go_through(book: ledger.Ledger) -> None:
    while trial := book.claim():
        book.finish(trial, [score(trial)], {})


def test_a_study_ends_at_its_total_and_is_read_back_after_that(kept: Any) -> None:
    book = open_ledger(kept)
    assert book.left() == 4
    go_through(book)
    assert [row[1] for row in told(book)] == ["COMPLETE"] * 4 and book.left() == 0
    assert open_ledger(kept).claim() is None
    more = open_ledger(kept, total=5)
    assert more.left() == 1
    go_through(more)
    whole = open_ledger(optuna.storages.InMemoryStorage(), total=5)
    go_through(whole)
    assert told(more) == told(whole)  # a larger total goes on as if it had been asked for at first


@pytest.mark.parametrize("at", [0, 5, 12])
def test_a_study_that_was_interrupted_ends_like_one_that_was_not(kept: Any, at: int) -> None:
    whole = open_ledger(kept, 13, "whole")
    go_through(whole)
    first = open_ledger(kept, 13, "cut")
    for _ in range(at):
        trial = first.claim()
        assert trial is not None
        first.finish(trial, [score(trial)], {})
    assert first.claim() is not None
    first.release()
    assert [row[1] for row in told(first)] == ["COMPLETE"] * at + ["WAITING"]
    second = open_ledger(kept, 13, "cut")
    assert second.left() == 13 - at
    go_through(second)
    assert told(second) == told(whole)


def test_failed_and_pruned_trials_are_recorded_and_count(kept: Any) -> None:
    book = open_ledger(kept)
    for how in ({"values": None}, {"values": None, "pruned": True}, {"values": [0.5]}):
        trial = book.claim()
        assert trial is not None
        book.finish(trial, notes={"error": "why"}, **how)  # type: ignore[arg-type]
    assert [row[1] for row in told(book)] == ["FAIL", "PRUNED", "COMPLETE"]
    assert book.frozen(0).user_attrs["error"] == "why"
    assert book.left() == 1


def dead() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("owner", "ago_s", "taken"),
    [
        (lambda host: f"{host}:{dead()}", 0, True),
        (lambda host: f"{host}:1", 0, False),  # which lives
        (lambda host: f"{host}:1", 2 * STALE_S, True),  # an id that another process has by now
        (lambda host: "elsewhere:1", 0, False),
        (lambda host: "elsewhere:1", 2 * STALE_S, True),
    ],
    ids=["dead", "alive", "silent", "elsewhere", "silent elsewhere"],
)
def test_a_trial_is_taken_over_when_its_owner_is_gone(
    kept: Any, owner: Callable[[str], str], ago_s: float, taken: bool
) -> None:
    theirs = open_ledger(kept, total=1)
    trial = theirs.claim()
    assert trial is not None
    trial.set_user_attr(ledger.OWNER, owner(theirs._host))
    trial.set_user_attr(ledger.BEAT, time.time() - ago_s)
    ours = open_ledger(kept, total=1)
    assert ours.left() == int(taken)
    again = ours.claim()
    assert (again is not None) == taken
    if again is not None:
        assert (again.number, again.params) == (trial.number, trial.params)
        ours.finish(again, [1.0], {})
        theirs.finish(trial, [2.0], {"late": True})  # which was alive after all: the first result stands
        assert told(ours)[0][3] == 1.0 and "late" not in ours.frozen(0).user_attrs


def test_a_trial_just_begun_elsewhere_is_left_alone(kept: Any) -> None:
    """Its owner has not said yet who it is."""
    book = open_ledger(kept, total=1)
    book.study.ask()
    assert open_ledger(kept, total=1).claim() is None


def test_one_s_own_trials_are_not_taken_for_left_ones(kept: Any) -> None:
    book = open_ledger(kept, total=2)
    first, second = book.claim(), book.claim()
    assert first is not None and second is not None and first.number != second.number
    assert book.claim() is None


def test_a_trial_that_waits_again_bears_no_owner_s_name(kept: Any) -> None:
    """Else who takes it next would, for a moment, be taken for the dead one."""
    first, second, third = (open_ledger(kept) for _ in range(3))
    trial = first.claim()
    assert trial is not None
    kept.set_trial_user_attr(trial._trial_id, ledger.OWNER, f"{socket.gethostname()}:{dead()}")
    second.left()
    assert [row[1] for row in told(second)] == ["WAITING"]
    second.study.ask(SPACE.distributions)  # running, and not yet signed
    third.left()
    assert [row[1] for row in told(third)] == ["RUNNING"]


def test_who_was_taken_for_dead_may_still_finish(kept: Any) -> None:
    """And where another has finished the trial meanwhile, that one's word stands."""
    first, second = open_ledger(kept), open_ledger(kept)
    ours = [trial for trial in (first.claim(), first.claim()) if trial is not None]
    for trial in ours:
        kept.set_trial_user_attr(trial._trial_id, ledger.OWNER, f"{socket.gethostname()}:{dead()}")
    assert second.left() == 4  # both wait again
    again = second.claim()
    assert again is not None
    second.finish(again, [0.25], {})
    assert not first.report(ours[again.number], 0.5, 0)
    for trial in ours:
        first.finish(trial, [0.75], {"run": "late"})
    values = {row[0]: row[3] for row in told(first)}
    assert values == {again.number: 0.25, 1 - again.number: 0.75}


def test_signs_of_life_are_given_when_it_is_time(kept: Any) -> None:
    book = open_ledger(kept)
    trial = book.claim()
    assert trial is not None
    before = book.frozen(0).user_attrs[ledger.BEAT]
    book.beat()
    assert book.frozen(0).user_attrs[ledger.BEAT] == before
    book._beaten -= book.beat_s
    book.beat()
    assert book.frozen(0).user_attrs[ledger.BEAT] > before


def test_who_comes_too_late_for_the_last_trial_leaves_no_trace_in_the_total(kept: Any) -> None:
    late = open_ledger(kept, total=2)
    late.left = lambda: 1  # type: ignore[method-assign] # it looked before the others asked
    go_through(open_ledger(kept, total=2))
    assert late.claim() is None
    assert [row[1] for row in told(late)] == ["COMPLETE", "COMPLETE", "WAITING"]
    go_through(open_ledger(kept, total=3))
    assert [row[1] for row in told(late)] == ["COMPLETE"] * 3


def test_every_combination_once_and_no_more(kept: Any) -> None:
    searched = space.read({"x": "choice(a,b,c)", "y": "range(1,3)"}, [], None)
    brute = {"_target_": "optuna.samplers.BruteForceSampler"}
    for _ in range(2):
        book = open_ledger(kept, 20, sampler=brute, space=searched)
        while trial := book.claim():
            book.finish(trial, [0.0], {})
        tried = {tuple(one.params.values()) for one in book.study.get_trials(deepcopy=False)}
        assert tried == {(x, y) for x in "abc" for y in (1, 2)}
        assert len(told(book)) == 6


def test_a_sampler_that_cannot_serve_the_space_says_so(kept: Any) -> None:
    book = open_ledger(kept, sampler={"_target_": "optuna.samplers.BruteForceSampler"})
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.sampler: .*step"):
        book.claim()


def test_reports_reach_the_pruner_and_may_be_repeated(kept: Any) -> None:
    book = open_ledger(kept, pruner={"_target_": "optuna.pruners.ThresholdPruner", "lower": 0.5})
    trial = book.claim()
    assert trial is not None
    assert book.report(trial, 0.7, 0) and book.report(trial, 0.6, 0)  # the first stands
    assert book.frozen(0).intermediate_values == {0: 0.7}
    assert not book.report(trial, 0.4, 1)


def test_with_several_objectives_no_report_ends_a_trial(kept: Any) -> None:
    terms = TERMS._replace(objectives=["maximize score", "minimize cost"])
    book = open_ledger(kept, terms=terms)
    trial = book.claim()
    assert trial is not None and book.report(trial, 0.0, 0)
    book.finish(trial, [1.0, 2.0], {})
    assert book.frozen(0).values == [1.0, 2.0] and book.study.metric_names == ["score", "cost"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"objectives": ["minimize score"]}, "has objectives maximize score, this sweep has minimize score"),
        ({"objectives": ["maximize score", "minimize cost"]}, "has maximize score, minimize cost; give another"),
        ({"space": {"x": "interval(0,2)"}}, r"has space x=interval\(0,1\), this sweep has x=interval\(0,2\)"),
        ({"config": "other"}, "has config config, this sweep has other"),
    ],
)
def test_a_study_about_something_else_is_refused(kept: Any, changes: dict[str, Any], says: str) -> None:
    open_ledger(kept)
    with pytest.raises(ConfigError, match=f"study_name=study: the study in url has .*{says.removeprefix('has ')}"):
        open_ledger(kept, terms=TERMS._replace(**changes))


def test_a_study_that_others_made_is_refused(kept: Any) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    optuna.create_study(storage=kept, study_name="theirs", directions=["minimize"])
    with pytest.raises(ConfigError, match="has objectives minimize, this sweep has maximize score"):
        open_ledger(kept, name="theirs")


# Several processes


@pytest.fixture(params=["sqlite", "journal", "redis", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A storage of each kind; servers are real."""
    if request.param == "redis":
        with storages.redis(tmp_path) as address:
            yield address
    elif request.param == "postgresql":
        with storages.postgresql() as address:
            yield address
    else:
        yield f"{request.param}:///{tmp_path / 'deep' / 'kept'}"


def part(*arguments: object) -> subprocess.Popen[str]:
    """A process that takes part in a study."""
    code = f"import storages; print(*storages.take_part(*{arguments!r}))"
    return subprocess.Popen([sys.executable, "-c", code], cwd=TESTS, text=True, stdout=subprocess.PIPE)


def test_several_processes_share_a_study_that_another_left_by_dying(url: str) -> None:
    """One claims two trials and is killed. Those that follow, at once, run these as they were, and all others."""
    killed = part(url, "shared", TOTAL, True)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    searched = space.read({"x": "interval(0,1)"}, [], None)
    with storage.opened(url) as kept:
        book = open_ledger(kept, TOTAL, "shared", ledger.Terms(*TERMS[:2], ""), space=searched)
        left = book.study.get_trials(deepcopy=False)
        assert [one.state for one in left] == [TrialState.RUNNING] * 2
        processes = [part(url, "shared", TOTAL) for _ in range(2)]
        claimed = [int(number) for one in processes for number in one.communicate()[0].split()]
        assert [one.returncode for one in processes] == [0, 0]
        assert sorted({*claimed}) == list(range(TOTAL))
        twice = {number for number in claimed if claimed.count(number) > 1}
        assert twice <= {0, 1}  # who takes over at the same moment may do it twice: no storage can part them
        trials = book.study.get_trials(deepcopy=False)[:TOTAL]
        assert [one.state for one in trials] == [TrialState.COMPLETE] * TOTAL
        assert [one.params for one in trials[:2]] == [one.params for one in left]
        assert len({one.params["x"] for one in trials}) == TOTAL
        assert book.left() == 0 and book.claim() is None


def test_processes_that_start_at_once_make_one_storage(tmp_path: Path) -> None:
    """Of several that make the tables all but one fail at first."""
    processes = [part(f"sqlite:///{tmp_path / 'kept.db'}", "new", TOTAL) for _ in range(3)]
    claimed = [int(number) for one in processes for number in one.communicate()[0].split()]
    assert [one.returncode for one in processes] == [0] * 3 and sorted(claimed) == list(range(TOTAL))
