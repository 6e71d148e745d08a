"""What a search found: the best settings as TOML, every trial as JSON, and a page."""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labtune.errors import RunError
from labtune.evaluation.report.words import count, label, score
from labtune.evaluation.sections import Bar, Bars, Curve, Point, Scatter, Section, Table
from labtune.experiments.page import Page
from labtune.experiments.spaces import Range, Space
from labtune.experiments.study import ERROR, Study
from labtune.folder import write_json, write_text
from labtune.settings import Settings

NAME = "search"  # of the files, before .html and .json
BEST = "best.toml"
ENDS = {"COMPLETE": "finished", "PRUNED": "given up", "FAIL": "failed", "RUNNING": "running"}
SHOWN = 10  # trials in the table


@dataclass(frozen=True)
class Trial:
    """One trial: how it ended, its best validation score in the metric's own direction, and what it tried."""

    number: int
    state: str
    score: float | None
    epochs: int
    values: Mapping[str, Any]
    error: str


@dataclass(frozen=True)
class Findings:
    """A search's trials in order, the best of them, and the share of each value in what decides the score."""

    task: str
    monitor: str
    trials: Sequence[Trial]
    best: Trial
    importances: Mapping[str, float]

    @property
    def name(self) -> str:
        """The monitored score in words."""
        return label(self.monitor.removeprefix("-"))

    def to_json(self) -> dict[str, Any]:
        """Return what ``search.json`` holds."""
        return asdict(self)


def find(study: Study, task: str, monitor: str) -> Findings:
    """Read the trials of a study.

    Parameters
    ----------
    study
        The trials.
    task, monitor
        The task, and its main score with a leading ``-`` when smaller is better.

    Raises
    ------
    RunError
        If no trial has finished.
    """
    sign = -1 if monitor.startswith("-") else 1
    trials = [_read(trial, sign) for trial in study.begun()]
    done = [trial for trial in trials if trial.state == "finished" and trial.score is not None]
    if not done:
        told = [trial.error for trial in trials if trial.error]
        raise RunError(f"no trial has finished: {told[0] if told else 'every score was undefined'}")
    best = max(done, key=lambda trial: sign * (trial.score or 0.0))
    return Findings(task, monitor, trials, best, study.importances())


def write(found: Findings, settings: Settings, space: Space, out: Path) -> None:
    """Write ``best.toml``, which ``labtune run`` takes, ``search.json`` and ``search.html``.

    Parameters
    ----------
    found
        The trials.
    settings
        Those of the best one.
    space
        What was searched.
    out
        The folder of the search.
    """
    write_text(out / BEST, settings.to_toml())
    write_json(out / f"{NAME}.json", found.to_json())
    write_text(out / f"{NAME}.html", page(found, settings, space, out).render())


def page(found: Findings, settings: Settings, space: Space, out: Path) -> Page:
    """Lay out the page."""
    tried = ", ".join(f"{name} {_value(value)}" for name, value in found.best.values.items())
    ends = [trial.state for trial in found.trials]
    told = ", ".join(f"{ends.count(end)} {end}" for end in ENDS.values() if end in ends)
    return Page(
        kind="search",
        task=found.task,
        headline=f"Best validation {found.name}: {score(found.best.score)}",
        explanation=f"Trial {found.best.number}: {tried}. Trials are judged on validation data alone. The best of many "
        "is lucky, too: run these settings for a score on test data, which no trial has seen.",
        facts={"Encoder": settings.encoder, "Trials": told, "Seed": settings.seed},
        parts={
            "Trials": [_history(found), _table(found)],
            "What decides": _importance(found),
            "One setting at a time": [_slice(found, name, part) for name, part in space.items()],
        },
        command=f"labtune run {shlex.quote(str(out / BEST))}",
    )


def _read(trial: Any, sign: int) -> Trial:
    value = trial.value if trial.state.name == "COMPLETE" else max(trial.intermediate_values.values(), default=None)
    return Trial(
        number=trial.number,
        state=ENDS[trial.state.name],
        score=sign * value if value is not None and math.isfinite(value) else None,
        epochs=len(trial.intermediate_values),
        values=dict(trial.params),
        error=trial.user_attrs.get(ERROR, ""),
    )


def _history(found: Findings) -> Section:
    """Draw every trial's score, and the best so far."""
    better = min if found.monitor.startswith("-") else max
    scored = [trial for trial in found.trials if trial.score is not None]
    best: list[Point] = []
    for trial in scored:
        if trial.state == "finished":
            best.append((trial.number, better([y for _, y in best[-1:] if y is not None] + [trial.score or 0.0])))
    series: dict[str, list[Point]] = {"trial": [(trial.number, trial.score) for trial in scored], "best so far": best}
    return Curve(
        "History", "trial", f"validation {found.name}", series, "Given-up trials count only in the first line."
    )


def _table(found: Findings) -> Section:
    sign = -1 if found.monitor.startswith("-") else 1
    finished = [trial for trial in found.trials if trial.state == "finished" and trial.score is not None]
    ranked = sorted(finished, key=lambda trial: -sign * (trial.score or 0.0))[:SHOWN]
    names = list(dict.fromkeys(name for trial in ranked for name in trial.values))
    rows = [
        [str(trial.number), trial.score, trial.epochs, *(_value(trial.values.get(name, "")) for name in names)]
        for trial in ranked
    ]
    note = f"The best {count(len(rows), 'trial')}."
    return Table("Best trials", ["trial", found.name, "epochs", *map(label, names)], rows, note)


def _importance(found: Findings) -> list[Section]:
    bars = [Bar(label(name), share) for name, share in found.importances.items()]
    note = (
        "Share of each setting in telling good trials from the others, by PED-ANOVA. With few trials it is rough, and "
        "a setting can matter only together with another."
    )
    return [Bars("Importance", "share", bars, note)] if bars else []


def _slice(found: Findings, name: str, part: Range | tuple[Any, ...]) -> Section:
    """Draw the score by one setting: points over a range, and the middle and extremes of each choice."""
    done = [trial for trial in found.trials if name in trial.values and trial.score is not None]
    if isinstance(part, Range):
        x_label = f"log10 of {label(name)}" if part.log else label(name)
        points = [(math.log10(trial.values[name]) if part.log else trial.values[name], trial.score) for trial in done]
        return Scatter(label(name), x_label, f"validation {found.name}", points, diagonal=False)
    groups = {choice: [trial.score for trial in done if trial.values[name] == choice] for choice in part}
    bars = [
        Bar(str(choice), statistics.median(scores), min(scores), max(scores), len(scores))
        for choice, some in groups.items()
        if (scores := [score for score in some if score is not None])
    ]
    return Bars(label(name), f"validation {found.name}", bars, "Median, lowest and highest score of each choice.")


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
