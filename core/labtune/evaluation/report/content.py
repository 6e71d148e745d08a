"""What a run folder says, read for the report."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from labtune.errors import RunError
from labtune.evaluation.sections import DATA_CHECK, Section, Table, from_json
from labtune.folder import RunFolder

# What metrics.json may leave out, or hold as null.
ABSENT: Mapping[str, Any] = {
    "preset": "",
    "monitor": "",
    "baseline_name": "",
    **{
        key: {}
        for key in ("test", "valid", "baseline", "train", "predict", "data", "slices", "calibration", "conformal")
    },
    "warnings": [],
    "best_epoch": None,
}
ERRORS = frozenset({"rmse", "mae", "mse", "ece", "brier", "nll"})  # scores whose last word says: smaller is better


class Score(NamedTuple):
    """A score with its 95% interval; None is undefined or unknown."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ScoreRow:
    """One score on each split, beside the trivial model's."""

    name: str
    test: Score
    baseline: Score
    valid: Score

    @property
    def judged(self) -> Score:
        """The score that counts: on test data, or on validation data where there is no test split."""
        return self.valid if self.test.value is None else self.test


@dataclass(frozen=True)
class RunContent:
    """The run's files, parsed.

    Parameters
    ----------
    name
        Of the run folder.
    settings
        ``run.toml``.
    metrics
        ``metrics.json``, with empty tables for absent ones.
    sections
        ``sections.json``; empty when there is none.
    log
        The lines of ``log.jsonl``; empty when there is none.
    """

    name: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    sections: tuple[Section, ...]
    log: tuple[Mapping[str, Any], ...]

    @property
    def judged_on(self) -> str:
        """The split whose scores count: ``test``, or ``valid`` when the run had no test split."""
        return "test" if self.metrics["test"] else "valid"

    @property
    def monitor(self) -> str:
        """Name of the main score."""
        return str(self.metrics["monitor"]).removeprefix("-")

    @property
    def serious(self) -> list[str]:
        """Findings of the data check because of which scores will not hold."""
        tables = [part for part in self.sections if isinstance(part, Table) and part.title == DATA_CHECK]
        return [str(row[1]) for table in tables for row in table.rows if row[0] == "serious"]

    def smaller_is_better(self, name: str) -> bool:
        """Whether a score is an error: the monitored one says so itself, others by their name."""
        if name == self.monitor:
            return str(self.metrics["monitor"]).startswith("-")
        return name.rpartition("_")[2] in ERRORS

    def scores(self) -> list[ScoreRow]:
        """Every score, the main one first."""
        tables = [self.metrics[part] for part in ("test", "baseline", "valid")]
        names = dict.fromkeys([self.monitor, *(name for table in tables for name in table)])
        return [
            ScoreRow(name, *(_score(table.get(name)) for table in tables))
            for name in names
            if any(name in table for table in tables)
        ]


def read_run(path: Path) -> RunContent:
    """Read a finished run.

    Raises
    ------
    RunError
        If the folder is no finished run, or one of its files cannot be read.
    """
    folder = RunFolder(path)
    folder.require_complete()
    try:
        settings = tomllib.loads(folder.settings.read_text(encoding="utf-8"))
        metrics = json.loads(folder.metrics.read_text(encoding="utf-8"))
        metrics = {**ABSENT, **{key: value for key, value in metrics.items() if value is not None}}
        parts = json.loads(folder.sections.read_text(encoding="utf-8")) if folder.sections.exists() else []
        sections = tuple(from_json(part) for part in parts)
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: the run cannot be read ({error}); run it again, or restore its files") from error
    return RunContent(path.resolve().name, settings, metrics, sections, _read_log(folder.log))


def _read_log(path: Path) -> tuple[Mapping[str, Any], ...]:
    """Read the lines that are whole: a process may have died within the last one."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return tuple(lines)


def _score(entry: Mapping[str, float | None] | None) -> Score:
    return Score(entry.get("value"), entry.get("low"), entry.get("high")) if entry else Score(None)
