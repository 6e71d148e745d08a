"""Repeated stratified cross-validation: a run for every fold, and an honest summary of all of them.

``split = "cv:5x10"`` is ten times five folds. Every fold is an ordinary run with ``split = "fold:5:I"`` in a folder of
its own, with another seed in each repetition; of its weights nothing is kept.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from labtune.catalog import Catalog, load_catalog
from labtune.errors import SettingsError
from labtune.folder import RunFolder, claim, write_json, write_text
from labtune.pipeline import run_settings
from labtune.settings import Settings

SUMMARY = "crossval.json"
SHARED = ("task", "preset", "encoder", "method", "bits", "seed", "monitor")


class Plan(NamedTuple):
    """How many folds, and how often."""

    folds: int
    repeats: int


class Fold(NamedTuple):
    """One of the runs: the name of its folder, and the settings by which it differs from the others."""

    name: str
    split: str
    seed: int


def cross_validate(
    settings: Settings, out: Path | None = None, *, resume: bool = False, catalog: Catalog | None = None
) -> tuple[Path, dict[str, Any]]:
    """Run every fold and summarise.

    Parameters
    ----------
    settings
        With a split ``cv:K`` or ``cv:KxR``.
    out, resume, catalog
        As for a run; finished folds are not run again.

    Returns
    -------
    tuple
        The folder, and what is in its ``crossval.json``.

    Raises
    ------
    SettingsError
        If the split is malformed, or there is more than one data file.
    """
    plan, known = read_plan(settings), catalog or load_catalog()
    folder = claim(out, settings.task, resume=resume)
    folder.path.mkdir(parents=True, exist_ok=True)
    write_text(folder.settings, settings.to_toml())
    runs = []
    for fold in folds_of(settings, plan):
        chosen, place = replace(settings, split=fold.split, seed=fold.seed), folder.path / fold.name
        runs.append(run_settings(chosen, place, resume=resume and place.exists(), catalog=known).metrics)
        drop_weights(RunFolder(place))
    summary = summarise(runs)
    write_json(folder.path / SUMMARY, summary)
    return folder.path, summary


def read_plan(settings: Settings) -> Plan:
    """Read ``cv:K`` or ``cv:KxR``; raises SettingsError."""
    folds, times, repeats = settings.split.partition(":")[2].partition("x")
    if not (folds.isdecimal() and int(folds) > 1 and (repeats.isdecimal() and int(repeats) > 0 if times else True)):
        raise SettingsError(f"split {settings.split!r} is not of the form cv:K or cv:KxR, such as cv:5x10")
    if settings.data.keys() & {"valid", "test"}:
        raise SettingsError("cross-validation makes its own validation and test data: give one file with --train")
    return Plan(int(folds), int(repeats or 1))


def folds_of(settings: Settings, plan: Plan) -> Iterator[Fold]:
    """Yield every fold of every repetition; each repetition deals the records by another seed."""
    for repeat in range(plan.repeats):
        for fold in range(plan.folds):
            name = f"repeat-{repeat + 1}-fold-{fold + 1}"
            yield Fold(name, f"fold:{plan.folds}:{fold}", settings.seed + repeat)


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise the test scores of folds.

    The interval of a mean over folds takes into account that their training data overlap, by the corrected resampled
    variance ``(1 / n + test / train) s²`` with n - 1 degrees of freedom (Nadeau and Bengio 2003,
    doi:10.1023/A:1024068626366); the plain one is far too narrow.

    Parameters
    ----------
    runs
        What is in the ``metrics.json`` of each fold.

    Returns
    -------
    dict
        ``test`` and ``baseline``: mean and corrected interval of every score; ``gain``: the same of the difference,
        with the p-value of the corrected t-test; ``spread``: standard deviation over folds; ``runs``: their number.
    """
    ratio = float(np.mean([_size(run, "test") / (_size(run, "train") + _size(run, "valid")) for run in runs]))
    tables = {part: _columns(runs, part) for part in ("test", "baseline")}
    shared = tables["test"].keys() & tables["baseline"].keys()
    gains = {name: tables["test"][name] - tables["baseline"][name] for name in tables["test"] if name in shared}
    return {
        **{key: runs[0].get(key) for key in SHARED},
        "runs": len(runs),
        "test": {name: corrected(values, ratio) for name, values in tables["test"].items()},
        "baseline": {name: corrected(values, ratio) for name, values in tables["baseline"].items()},
        "gain": {name: corrected(values, ratio, test=True) for name, values in gains.items()},
        "spread": {name: float(np.std(values, ddof=1)) for name, values in tables["test"].items()},
        "warnings": list(dict.fromkeys(warning for run in runs for warning in run["warnings"])),
    }


def corrected(values: np.ndarray, ratio: float, *, test: bool = False, level: float = 0.95) -> dict[str, float]:
    """Mean of fold scores with its corrected interval and, if asked, the p-value of a mean of zero.

    Parameters
    ----------
    values
        One a fold.
    ratio
        Of test records to those that were trained on or chosen with.
    test
        Whether to give ``p``.
    level
        Of the interval.
    """
    count, mean = len(values), float(np.mean(values))
    error = math.sqrt((1 / count + ratio) * float(np.var(values, ddof=1)))
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    found = {"value": mean, "low": mean - half, "high": mean + half}
    if test:
        found["p"] = float(2 * stats.t.sf(abs(mean) / error, count - 1)) if error else float(mean == 0)
    return found


def _columns(runs: Sequence[Mapping[str, Any]], part: str) -> dict[str, np.ndarray]:
    """Every score that each fold has, ``(folds,)``."""
    tables = [{name: entry["value"] for name, entry in run[part].items() if entry["value"] is not None} for run in runs]
    return {name: np.array([table[name] for table in tables]) for name in tables[0] if all(name in t for t in tables)}


def _size(run: Mapping[str, Any], part: str) -> int:
    return int(run["data"].get(part, {}).get("records", 0))


def drop_weights(folder: RunFolder) -> None:
    """Keep of a fold's run its predictions and scores alone."""
    for place in (folder.checkpoints, folder.model):
        shutil.rmtree(place, ignore_errors=True)
