"""The study: who runs which trial, how it stands, how it ended. Several processes and machines may share one.

A trial is claimed, then finished; what is claimed and not finished is released when a sweep is interrupted, or
taken over when its owner is gone: at once where that was a process of this machine, else once it has given no sign
of life for a while (so clocks of machines that share a study must agree to well within that). A trial keeps its
number and its parameters whoever runs it, so a study cut short ends like a whole one. In the worst case, an owner
that was taken for dead or two that take over the same trial at the same moment, a trial is run twice and its first
result stands.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from rag_lab.errors import ConfigError
from rag_lab.sweep.settings import WHERE
from rag_lab.sweep.storage import quiet

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

    from rag_lab.sweep.space import Space

OWNER, BEAT = "owner", "beat"  # kept with a trial
TERMS, EXHAUSTED = "terms", "exhausted"  # kept with the study
BEATS = 8  # signs of life in the time after which a trial is given up
REHEARSED = 2  # trials: many samplers draw the first one otherwise than the rest


class Terms(NamedTuple):
    """What a study is about, and stays about. objectives: "maximize metric", "minimize …". space: a mark for each
    key. config: a hash of all other settings."""

    objectives: Sequence[str]
    space: Mapping[str, str]
    config: str


class Ledger:
    """One process's view of a study."""

    def __init__(self, study: Study, storage: BaseStorage, space: Space, n_trials: int, stale_after_s: float) -> None:
        self.study, self._storage, self._space = study, storage, space
        self._total, self._stale_after_s, self.beat_s = n_trials, stale_after_s, stale_after_s / BEATS
        self._host, self._beaten = socket.gethostname(), time.monotonic()
        self._mine: dict[int, Trial] = {}

    def claim(self) -> Trial | None:
        """The next trial to run, with its parameters, or None where none is left for us.

        ConfigError where the sampler cannot serve this space.
        """
        if not self.left():
            return None
        with quiet():
            try:
                trial = self.study.ask(self._space.distributions)
            except (ValueError, ImportError) as error:
                raise ConfigError(f"{WHERE}.sampler: {' '.join(str(error).split())}") from error
        if trial.number >= self._total:  # others were quicker; it waits for a larger total
            self._return(trial._trial_id)
            return None
        self._mine[trial.number] = trial
        self._note(trial, OWNER, f"{self._host}:{os.getpid()}")
        self._note(trial, BEAT, time.time())
        return trial

    def left(self) -> int:
        """How many trials are still to be begun, those included whose owner is gone."""
        self._take_over()
        trials = self.study.get_trials(deepcopy=False)
        waiting = sum(one.state == _waiting() and one.number < self._total for one in trials)
        exhausted = EXHAUSTED in self.study.user_attrs
        return waiting if exhausted else waiting + max(0, self._total - len(trials))

    def beat(self) -> None:
        """Give a sign of life for our trials, when it is time again."""
        if time.monotonic() - self._beaten >= self.beat_s:
            self._beaten = time.monotonic()
            for trial in self._mine.values():
                self._note(trial, BEAT, time.time())

    def report(self, trial: Trial, value: float, step: int) -> bool:
        """Keep an intermediate value; whether the trial is worth going on: with several objectives, always."""
        if len(self.study.directions) > 1:
            return True
        with _unless_finished(), quiet():  # a trial that was interrupted tells the same again
            trial.report(value, step)
            return not trial.should_prune()
        return False

    def finish(
        self, trial: Trial, values: Sequence[float] | None, notes: Mapping[str, Any], *, pruned: bool = False
    ) -> None:
        """Record how a trial ended: with values, pruned, or failed (neither). notes: kept beside it."""
        from optuna.trial import TrialState

        del self._mine[trial.number]
        state = TrialState.PRUNED if pruned else TrialState.FAIL if values is None else TrialState.COMPLETE
        for name, note in notes.items():
            self._note(trial, name, note)
        with _unless_finished(), quiet():
            # Who took us for dead has let it wait again; a running trial stays as it is.
            self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
            self.study.tell(trial, values=values, state=state, skip_if_finished=True)

    def release(self) -> None:
        """Give back what was claimed and not finished."""
        for number in list(self._mine):
            self._return(self._mine.pop(number)._trial_id)

    def frozen(self, number: int) -> FrozenTrial:
        """A trial as it stands."""
        return self.study.get_trials(deepcopy=False)[number]

    def _note(self, trial: Trial, name: str, note: Any) -> None:
        with _unless_finished():
            self._storage.set_trial_user_attr(trial._trial_id, name, note)

    def _return(self, trial_id: int) -> None:
        """Let a trial wait, without its owner's name, which the next one's takes a moment to replace."""
        with _unless_finished():
            self._storage.set_trial_user_attr(trial_id, OWNER, "")
            self._storage.set_trial_user_attr(trial_id, BEAT, time.time())
            self._storage.set_trial_state_values(trial_id, _waiting())

    def _take_over(self) -> None:
        """Let every trial wait again whose owner is gone."""
        from optuna.trial import TrialState

        for one in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if one.number in self._mine or not self._is_orphan(one):
                continue
            now = self._storage.get_trial(one._trial_id)  # others see the same orphans at the same time
            if now.state == TrialState.RUNNING and self._is_orphan(now):
                self._return(one._trial_id)

    def _is_orphan(self, trial: FrozenTrial) -> bool:
        """Whether the owner of a trial that is not ours is gone."""
        host, _, process = str(trial.user_attrs.get(OWNER, "")).rpartition(":")
        if host == self._host and (int(process) == os.getpid() or not _lives(int(process))):
            return True
        assert trial.datetime_start is not None
        last = trial.user_attrs.get(BEAT, trial.datetime_start.timestamp())
        return bool(time.time() - last > self._stale_after_s)


def open_study(storage: BaseStorage, url: str, name: str, terms: Terms, sampler: Any, pruner: Any) -> Study:
    """The study of that name, made if there is none; ConfigError where there is one about something else.

    url: of the storage, as it may be shown.
    """
    import optuna

    class Exhaustible(optuna.Study):
        """A study that its sampler may call exhausted, also outside of `optimize`."""

        def stop(self) -> None:
            self.set_user_attr(EXHAUSTED, True)

    directions: list[Any] = [one.partition(" ")[0] for one in terms.objectives]
    with quiet():
        made = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
        theirs = [one.name.lower() for one in made.directions]
        if TERMS not in made.user_attrs and theirs == directions and not made.get_trials(deepcopy=False):
            made.set_metric_names([one.partition(" ")[2] for one in terms.objectives])
            made.set_user_attr(TERMS, terms._asdict())
    kept = made.user_attrs.get(TERMS, {"objectives": theirs})  # the studies of others say no more
    for what, ours in terms._asdict().items():
        if what in kept and kept[what] != ours:
            raise ConfigError(
                f"{WHERE}.study_name={name}: the study in {url} has {what} {_told(kept[what])}, this sweep has "
                f"{_told(ours)}; give another {WHERE}.study_name, or null for one of its own"
            )
    return Exhaustible(name, storage, sampler, pruner)


def rehearse(terms: Terms, sampler: Any, pruner: Any, space: Space) -> None:
    """Go through a study in memory; ConfigError where the sampler cannot serve these objectives in this space."""
    from optuna.storages import InMemoryStorage

    kept = InMemoryStorage()
    book = Ledger(open_study(kept, "memory", "rehearsal", terms, sampler, pruner), kept, space, REHEARSED, 1.0)
    while trial := book.claim():
        book.finish(trial, [0.0] * len(terms.objectives), {})


def _unless_finished() -> suppress:
    """Another process that took us for dead may have finished a trial of ours; then its word stands."""
    from optuna.exceptions import UpdateFinishedTrialError

    return suppress(UpdateFinishedTrialError)


def _waiting() -> Any:
    from optuna.trial import TrialState

    return TrialState.WAITING


def _told(term: Any) -> str:
    pairs = [f"{key}={mark}" for key, mark in term.items()] if isinstance(term, Mapping) else term
    return pairs if isinstance(pairs, str) else ", ".join(pairs)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
