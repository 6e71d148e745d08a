"""The search: trials until there are enough, each judged by its validation score, alone or beside other processes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from labtune.data.splits import Splits, load_splits
from labtune.device import precision_of
from labtune.errors import DataError, LabtuneError
from labtune.experiments.findings import Findings, find, write
from labtune.experiments.request import Request, claim_folder
from labtune.experiments.spaces import Range, Space, build_space, choices, settings_of
from labtune.experiments.study import JOURNAL, Study, suggest
from labtune.folder import RunFolder
from labtune.parts import build_parts, fit_parts
from labtune.pipeline import train
from labtune.processes import start
from labtune.settings import Settings
from labtune.training.interrupts import Interrupted
from labtune.training.training import Watch

TRIALS = "trials"  # folder of what trials need while they run


def search(request: Request, out: Path, trials: int, pruner: str = "median") -> Findings:
    """Try settings until ``trials`` were tried, and write which were best.

    Parameters
    ----------
    request
        The task and what all trials share. What is said there is not searched.
    out
        Folder of the search. Its trials are kept, and shared with other processes that search in it.
    trials
        How many in all, by all processes.
    pruner
        How trials that fall behind are given up, after any epoch: ``median``, ``hyperband`` or ``none``.

    Returns
    -------
    Findings
        What is in ``search.json``; the best settings are in ``best.toml``.

    Raises
    ------
    LabtuneError
        If the data cannot be used, the folder holds something else, or no trial could be run.
    Interrupted
        If the user asked to stop; the same command goes on.
    """
    space = build_space(request)
    first = choices(space, "method")[:1] if "method" in space else ()
    base = request.settings(**dict(zip(["method"], first, strict=False)))
    task = request.catalog.task(base.task)
    splits = _without_test(load_splits(task, base))
    monitor = request.catalog.build("metrics", task.metrics[0], splits.labels).monitor
    claim_folder(out, JOURNAL, "search")
    begun = {"settings": base.to_toml(), "space": _plain(space), "data": dict(splits.sha256), "pruner": pruner}
    study = Study(out, begun, seed=base.seed, pruner=pruner, epochs=base.epochs)
    while (trial := study.ask(trials)) is not None:
        values = suggest(trial, space, base.method)
        print(f"trial {len(study.begun())} of {trials}: {_told(values)}", file=sys.stderr)
        _try(study, trial, request, settings_of(request, values), splits, out)
    with study.locked():
        found = find(study, task.name, monitor)
        write(found, settings_of(request, found.best.values), space, out)
    return found


def _try(study: Study, trial: Any, request: Request, settings: Settings, splits: Splits, out: Path) -> None:
    """Train one trial and store how it ended."""
    folder = RunFolder(out / TRIALS / f"{trial.number:05d}")
    shutil.rmtree(folder.path, ignore_errors=True)
    try:
        folder.path.mkdir(parents=True)
        score = _train(request, settings, splits, folder, lambda epoch, value: study.watch(trial, epoch, value))
        study.finish(trial, score)
    except study.optuna.TrialPruned:
        study.prune(trial)
        print("given up: others were better by then", file=sys.stderr)
    except LabtuneError as error:
        study.fail(trial, str(error))
        print(f"trial failed: {error}", file=sys.stderr)
    except KeyboardInterrupt as error:
        study.interrupt(trial)
        raise Interrupted("stopped; the same command goes on from here") from error
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)


def _train(request: Request, settings: Settings, splits: Splits, folder: RunFolder, watch: Watch) -> float:
    """Train on the training data; return the best score on validation data, larger better."""
    accelerator = start(precision_of(settings.precision))
    parts = build_parts(settings, request.catalog, splits.labels, splits.records["train"])
    tokenised = {part: parts.tokenizer(records) for part, records in splits.records.items()}
    fit_parts(parts, tokenised["train"])
    progress = train(settings, parts, tokenised, folder, accelerator, watch=watch)
    return progress.best_score if progress.best_score is not None else float("-inf")


def _without_test(splits: Splits) -> Splits:
    """Put the test records away before anything is trained."""
    kept = {part: splits.records[part] for part in ("train", "valid") if part in splits.records}
    if "valid" not in kept:
        raise DataError("a search needs validation data: add --valid FILE, or more training data to split it from")
    return replace(splits, records=kept)


def _plain(space: Space) -> dict[str, Any]:
    return {name: asdict(part) if isinstance(part, Range) else list(part) for name, part in space.items()}


def _told(values: Mapping[str, Any]) -> str:
    said = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in said.items())
