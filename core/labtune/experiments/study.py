"""Trials that several processes share: Optuna's journal in the folder of the search, one JSON line an operation."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from labtune.encoder.extras import require
from labtune.errors import RunError
from labtune.experiments.spaces import Range, Space, applies

JOURNAL = "trials.jsonl"
BEGUN = "begun"
INTERRUPTED = "interrupted"
OWNER = "owner"
ERROR = "error"
PRUNERS = ("median", "hyperband", "none")


class Study:
    """The trials of a folder.

    Parameters
    ----------
    folder
        Of the search.
    begun
        What all its trials have in common, as JSON types; processes that come later must say the same.
    seed
        With the same seed one process alone tries the same values in the same order, also when it was interrupted.
    pruner
        One of :data:`PRUNERS`.
    epochs
        The most that a trial trains.

    Raises
    ------
    RunError
        If the folder holds a search that was begun differently, or its journal is damaged.
    """

    def __init__(self, folder: Path, begun: Mapping[str, Any], *, seed: int, pruner: str, epochs: int) -> None:
        self.optuna = require("optuna", "search", "'labtune search'")
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        self.folder, self.seed = folder, seed
        journal = self.optuna.storages.journal
        self.lock = journal.JournalFileOpenLock(str(folder / ".search"))
        with self.locked():
            path = str(folder / JOURNAL)
            try:
                backend = journal.JournalFileBackend(path, lock_obj=journal.JournalFileOpenLock(path))
                self.study = self.optuna.create_study(
                    storage=self.optuna.storages.JournalStorage(backend),
                    study_name="search",
                    direction="maximize",
                    pruner=_pruner(self.optuna, pruner, epochs),
                    load_if_exists=True,
                )
            except ValueError as error:
                raise RunError(f"{path} is damaged ({error}); start anew with another --out") from error
            self._check(begun)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this search out."""
        self.lock.acquire()
        try:
            yield
        finally:
            self.lock.release()

    def ask(self, limit: int) -> Any:
        """Begin a trial; None when as many as the limit were begun, by whichever process."""
        with self.locked():
            self._take_back()
            begun = len(self.begun())
            if begun >= limit:
                return None
            # A sampler of its own for each trial: nothing has to be remembered from one process to the next.
            seed = int(np.random.SeedSequence([self.seed, begun]).generate_state(1)[0])
            self.study.sampler = self.optuna.samplers.TPESampler(seed=seed)
            trial = self.study.ask()
            trial.set_user_attr(OWNER, _owner())
            return trial

    def watch(self, trial: Any, epoch: int, score: float) -> None:
        """Report an epoch; raises :class:`optuna.TrialPruned` when others were better by then."""
        trial.report(score, epoch)
        if trial.should_prune():
            raise self.optuna.TrialPruned

    def finish(self, trial: Any, score: float) -> None:
        """Store a trial's best score, larger better."""
        self.study.tell(trial, score)

    def prune(self, trial: Any) -> None:
        """Store that a trial was given up."""
        self.study.tell(trial, state=self.optuna.trial.TrialState.PRUNED)

    def fail(self, trial: Any, reason: str) -> None:
        """Store that a trial could not be run."""
        trial.set_user_attr(ERROR, reason)
        self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)

    def interrupt(self, trial: Any) -> None:
        """Give a trial's values to whoever asks next."""
        with self.locked():
            self._free(self.trials()[trial.number])

    def trials(self) -> list[Any]:
        """Every trial as Optuna's frozen ones, by number."""
        found: list[Any] = self.study.get_trials(deepcopy=False)
        return found

    def begun(self) -> list[Any]:
        """Those trials that count: not the interrupted ones, nor the values that wait for a trial."""
        freed = self.study.user_attrs.get(INTERRUPTED, [])
        return [trial for trial in self.trials() if trial.state.name != "WAITING" and trial.number not in freed]

    def importances(self) -> dict[str, float]:
        """How much each value decides the score, by PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023); they sum to 1.

        Empty when there are too few trials to tell.
        """
        done = [trial for trial in self.trials() if trial.state == self.optuna.trial.TrialState.COMPLETE]
        if len({trial.value for trial in done}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that few trials tell little is said on the page
            found: dict[str, float] = self.optuna.importance.get_param_importances(self.study)
        return found

    def _check(self, begun: Mapping[str, Any]) -> None:
        before = self.study.user_attrs.get(BEGUN)
        if before is None:
            self.study.set_user_attr(BEGUN, dict(begun))
            return
        for name, value in begun.items():
            if before.get(name) != value:
                raise RunError(
                    f"{self.folder} holds a search with other {name}; say the same again, or choose another --out"
                )

    def _take_back(self) -> None:
        """Free the trials of processes that have died on this machine."""
        for trial in self.trials():
            if trial.state == self.optuna.trial.TrialState.RUNNING and not _lives(trial.user_attrs.get(OWNER)):
                self._free(trial)

    def _free(self, trial: Any) -> None:
        freed = [*self.study.user_attrs.get(INTERRUPTED, []), trial.number]
        self.study.set_user_attr(INTERRUPTED, freed)
        self.study.tell(trial.number, state=self.optuna.trial.TrialState.FAIL)
        self.study.enqueue_trial(trial.params)


def _owner() -> dict[str, Any]:
    return {"host": socket.gethostname(), "process": os.getpid(), "since": psutil.Process().create_time()}


def _lives(owner: Mapping[str, Any] | None) -> bool:
    if owner is None:  # it died between asking and signing
        return False
    if owner["host"] != socket.gethostname():
        return True
    try:
        return bool(abs(psutil.Process(owner["process"]).create_time() - owner["since"]) < 1)
    except psutil.NoSuchProcess:
        return False


def suggest(trial: Any, space: Space, method: str) -> dict[str, Any]:
    """Choose a value for everything in the space that means something with the trial's method.

    ``method`` is the one where the space does not vary it.
    """
    values: dict[str, Any] = {}
    for name, dimension in space.items():
        if not applies(name, values.get("method", method)):
            continue
        if not isinstance(dimension, Range):
            values[name] = trial.suggest_categorical(name, dimension)
        elif isinstance(dimension.low, int) and isinstance(dimension.high, int):
            values[name] = trial.suggest_int(name, dimension.low, dimension.high, log=dimension.log)
        else:
            values[name] = trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
    return values


def _pruner(optuna: Any, name: str, epochs: int) -> Any:
    pruners = optuna.pruners
    if name == "hyperband":
        return pruners.HyperbandPruner(min_resource=1, max_resource=epochs)
    # The first epoch says little: warm-up is not over, and heads start from nothing.
    return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2) if name == "median" else pruners.NopPruner()
