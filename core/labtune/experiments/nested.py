"""Nested cross-validation: what a search, and training with what it finds, is worth on records that it never saw.

The best of many trials is lucky, too. Here every outer fold has a search of its own, on the records of the other folds;
its best settings are trained once and scored on the fold. The scores belong to the whole procedure, not to one model.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labtune.crossval import SUMMARY, Fold, Plan, drop_weights, folds_of, read_plan, summarise
from labtune.errors import RunError
from labtune.evaluation.report.words import count, label, score
from labtune.evaluation.sections import Bar, Bars, Section, Table
from labtune.experiments.findings import BEST, Findings
from labtune.experiments.page import Page
from labtune.experiments.request import Request, claim_folder
from labtune.experiments.search import search
from labtune.folder import RunFolder, write_json, write_text
from labtune.pipeline import run_settings
from labtune.settings import Settings

BEGUN = "begun.json"
PAGE = "nested.html"


@dataclass(frozen=True)
class Outer:
    """One outer fold: its name, what the search found without it, and the ``metrics.json`` of the run scored on it."""

    name: str
    found: Findings
    metrics: Mapping[str, Any]


def nested_search(request: Request, out: Path, trials: int, pruner: str = "median") -> dict[str, Any]:
    """Search and train in every fold, and summarise the scores.

    Parameters
    ----------
    request
        With a split ``cv:K`` or ``cv:KxR``.
    out
        Folder. Finished searches and runs in it are kept, and interrupted ones go on.
    trials, pruner
        Of each fold's search.

    Returns
    -------
    dict
        What is in ``crossval.json``: see :func:`labtune.crossval.summarise`; and ``chosen``: the best values of each
        fold.

    Raises
    ------
    LabtuneError
        If the split is malformed, the folder holds something else, or a search or run fails.
    Interrupted
        If the user asked to stop; the same command goes on.
    """
    base = request.base()
    plan = read_plan(base)
    claim_folder(out, BEGUN, "nested search")
    _check(out / BEGUN, {"settings": base.to_toml(), "trials": trials, "pruner": pruner})
    done = [_outer(request, fold, plan, out, trials, pruner) for fold in folds_of(base, plan)]
    summary = summarise([one.metrics for one in done])
    summary["chosen"] = {one.name: dict(one.found.best.values) for one in done}
    write_json(out / SUMMARY, summary)
    write_text(out / PAGE, _page(base, done, summary, trials).render())
    return summary


def _outer(request: Request, fold: Fold, plan: Plan, out: Path, trials: int, pruner: str) -> Outer:
    """Search without a fold, then train with the best settings and score on it."""
    inner = replace(request, sets=[*request.sets, f"split={fold.split}", f"seed={fold.seed}"])
    found = search(inner, out / fold.name / "search", trials, pruner)
    place = out / fold.name / "run"
    settings = Settings.from_toml(out / fold.name / "search" / BEST)
    run = run_settings(settings, place, resume=place.exists(), catalog=request.catalog)
    drop_weights(RunFolder(place))
    return Outer(fold.name, found, run.metrics)


def _check(mark: Path, begun: Mapping[str, Any]) -> None:
    """Write with what it was begun, or refuse what differs from it."""
    if not mark.exists():
        write_json(mark, begun)
        return
    before = json.loads(mark.read_text(encoding="utf-8"))
    for name, value in begun.items():
        if before.get(name) != value:
            raise RunError(f"{mark.parent} was begun with other {name}; say the same again, or choose another --out")


def _page(base: Settings, done: Sequence[Outer], summary: Mapping[str, Any], trials: int) -> Page:
    name = str(summary["monitor"]).removeprefix("-")
    whole, baseline = summary["test"][name], summary["baseline"].get(name)
    told = f"{score(whole['low'])} to {score(whole['high'])}"
    beside = f"; the baseline, on the same folds, {score(baseline['value'])}" if baseline else ""
    return Page(
        kind="nested search",
        task=base.task,
        headline=f"{label(name)} {score(whole['value'])} (95% interval {told})",
        explanation=f"The mean over {count(len(done), 'fold')} of a search and a training that never saw the fold"
        f"{beside}. The interval allows for folds that share training records. It is the worth of the procedure; for a "
        "model to use, search once on all records with an ordinary split.",
        facts={"Encoder": base.encoder, "Trials in each fold": trials, "Seed": base.seed},
        parts={"Folds": [_scores(name, done, whole["value"]), _chosen(name, done)]},
        command=f"labtune search {shlex.quote(base.task)} --trials {trials}",
    )


def _scores(name: str, done: Sequence[Outer], mean: float) -> Section:
    bars = []
    for one in done:
        found = one.metrics["test"][name]
        records = int(one.metrics["data"]["test"]["records"])
        bars.append(Bar(one.name, found["value"], found["low"], found["high"], records))
    note = "Each with the 95% interval of its own test records. The upright line is the mean."
    return Bars(f"{label(name)} of each fold", label(name), bars, note, mean)


def _chosen(name: str, done: Sequence[Outer]) -> Section:
    names = list(dict.fromkeys(key for one in done for key in one.found.best.values))
    rows = [
        [one.name, one.found.best.score, one.metrics["test"][name]["value"], *map(one.found.best.values.get, names)]
        for one in done
    ]
    columns = ("fold", f"validation {label(name)}", f"test {label(name)}", *map(label, names))
    note = "Where folds choose differently, the data do not decide these settings, or the trials are too few."
    return Table("What each fold chose", columns, rows, note)
