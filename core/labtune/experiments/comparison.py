"""The comparison: run the grid, then tell which method at which bits to use, on a page, in JSON and in Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labtune.evaluation.report.words import cell, duration, label, score
from labtune.evaluation.sections import Cell, Curve, Section, Table
from labtune.experiments.combinations import Combination, SeedScore, combine, read_runs
from labtune.experiments.grid import Grid, plan_grid, run_grid
from labtune.experiments.page import Page
from labtune.experiments.recommendation import Recommendation, front, recommend
from labtune.experiments.request import Request
from labtune.folder import write_json, write_text

NAME = "compare"  # of the files, before .html, .json and .md
UNKNOWN = "No validation score is defined, so nothing is recommended."


@dataclass(frozen=True)
class Comparison:
    """What a finished grid says. ``runs`` hold each run's ``metrics.json``, its folder and the size of its model."""

    grid: Grid
    runs: Sequence[Mapping[str, Any]]
    combinations: Sequence[Combination]
    recommendation: Recommendation | None

    @property
    def monitor(self) -> str:
        """The main score, with a leading ``-`` when smaller is better."""
        return str(self.runs[0]["monitor"])

    @property
    def verdict(self) -> str:
        """The recommendation in one sentence."""
        return self.recommendation.sentence if self.recommendation else UNKNOWN

    def to_json(self) -> dict[str, Any]:
        """Return what ``compare.json`` holds."""
        return {
            "task": self.runs[0]["task"],
            "encoder": self.runs[0]["encoder"],
            "monitor": self.monitor,
            "recommendation": asdict(self.recommendation) if self.recommendation else None,
            "combinations": [asdict(item) for item in self.combinations],
            "runs": [dict(run) for run in self.runs],
            "refused": [asdict(item) for item in self.grid.refused],
            "failed": dict(self.grid.failed),
        }


def compare(request: Request, out: Path, axes: Mapping[str, Sequence[str]]) -> Comparison:
    """Run every method at every bit width with every seed, and write what came out.

    Parameters
    ----------
    request
        The task and what all runs share.
    out
        Folder of the runs and of ``compare.html``, ``compare.json`` and ``compare.md``. Finished runs in it are kept,
        interrupted ones go on.
    axes
        Values of ``method``, ``bits`` and ``seed`` as typed.

    Raises
    ------
    LabtuneError
        If nothing can be run, or the folder holds something else.
    Interrupted
        If the user asked to stop; the same command goes on.
    """
    grid = plan_grid(request, out, axes)
    run_grid(request, grid)
    runs = read_runs(grid)
    combinations = combine(runs)
    found = Comparison(grid, runs, combinations, recommend(combinations, runs[0]["monitor"]))
    write_json(out / f"{NAME}.json", found.to_json())
    write_text(out / f"{NAME}.md", markdown(found))
    write_text(out / f"{NAME}.html", page(found).render())
    return found


def table(found: Comparison) -> Table:
    """Return the scores and costs, a row for each combination."""
    name = label(found.monitor.removeprefix("-"))
    efficient = front(found.combinations, found.monitor)
    columns = ["method", "bits", f"validation {name}", f"test {name}", "seeds", "trained", "memory (MB)", "training"]
    rows: list[list[Cell]] = [
        [
            item.method,
            item.bits,
            _score(item.valid),
            _score(item.test),
            len(item.seeds),
            f"{item.trainable:.2%}",
            round(item.memory_mb),
            duration(item.seconds),
            cell(item.disk_mb),
            "yes" if item in efficient else "",
        ]
        for item in found.combinations
    ]
    note = "Means over seeds; in brackets the mean 95% interval, after ± the standard deviation over seeds. " + COSTS
    return Table("Scores and costs", [*columns, "model (MB)", "on the front"], rows, note)


COSTS = (
    "Memory: the most that a run of its own process used, Python and libraries included when there is no accelerator. "
    "Model: the saved folder on disk. On the front: no other has both a better validation score and less memory."
)


def page(found: Comparison) -> Page:
    """Lay out the page."""
    first, grid = found.runs[0], found.grid
    why = (
        "Chosen by validation data and cost alone: of those at most one standard error below the best, the one that "
        "needs the least memory; within 2%, the fastest. Test scores stand beside it and took no part."
    )
    best = found.recommendation
    run = next((run for run in found.runs if best and (run["method"], run["bits"]) == (best.method, best.bits)), first)
    return Page(
        kind="comparison",
        task=first["task"],
        headline=found.verdict,
        explanation=why if best else "",
        facts={"Encoder": first["encoder"], "Runs": len(found.runs), "Score": label(found.monitor.removeprefix("-"))},
        parts={"Scores": [table(found)], "Score against memory": [_tradeoff(found)], "Not run": _missing(grid)},
        command=f"labtune predict {shlex.quote(run['run'])} FILE",
    )


def markdown(found: Comparison) -> str:
    """Write the table and the recommendation for a README or notebook."""
    content = table(found)
    lines = [list(content.columns), ["---"] * len(content.columns), *content.rows]
    rows = ["| " + " | ".join(cell(value) for value in line) + " |" for line in lines]
    notes = [f"- {line}" for section in _missing(found.grid) for line in map(_line, section.rows)]
    return "\n".join([f"**{found.verdict}**", "", *rows, "", content.note, *(["", *notes] if notes else []), ""])


def _tradeoff(found: Comparison) -> Section:
    name = label(found.monitor.removeprefix("-"))
    series = {
        method: [
            (item.memory_mb, item.valid.value)
            for item in sorted(found.combinations, key=lambda item: item.memory_mb)
            if item.method == method
        ]
        for method in dict.fromkeys(item.method for item in found.combinations)
    }
    best = ", ".join(item.name for item in front(found.combinations, found.monitor))
    note = f"A point for each bit width. On the Pareto front, from little memory to much: {best}." if best else ""
    return Curve("Score against memory", "peak memory (MB)", f"validation {name}", series, note)


def _missing(grid: Grid) -> list[Table]:
    refused: list[list[Cell]] = [[f"{item.method}, {item.bits} bits", item.reason] for item in grid.refused]
    failed: list[list[Cell]] = [[name, reason] for name, reason in grid.failed.items()]
    tables = [("Refused", refused), ("Failed", failed)]
    return [Table(title, ["run", "reason"], rows) for title, rows in tables if rows]


def _line(row: Sequence[Cell]) -> str:
    return ": ".join(map(str, row))


def _score(value: SeedScore) -> str:
    interval = f" [{score(value.low)}, {score(value.high)}]" if None not in (value.low, value.high) else ""
    return score(value.value) + (f" ± {score(value.spread)}" if value.spread is not None else "") + interval
