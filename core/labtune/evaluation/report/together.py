"""Several runs side by side: their scores, what repetitions with other seeds say, and which settings differ."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from labtune.errors import RunError
from labtune.evaluation.report.content import RunContent
from labtune.evaluation.report.markdown import interval, section_markdown
from labtune.evaluation.report.page import environment
from labtune.evaluation.report.standing import Standing, main_score, repetitions, settings_of, standing
from labtune.evaluation.report.words import label, setting
from labtune.evaluation.sections import Bar, Bars, Cell, Section, Table


@dataclass(frozen=True)
class Together:
    """Runs of one task.

    Parameters
    ----------
    task
        Of all of them.
    runs
        At least two.
    """

    task: str
    runs: Sequence[RunContent]

    @classmethod
    def of(cls, runs: Sequence[RunContent]) -> Together:
        """Put runs together; raises RunError when they are of different tasks."""
        tasks = sorted({str(run.metrics.get("task")) for run in runs})
        if len(tasks) > 1:
            raise RunError(f"runs of different tasks cannot stand side by side: {', '.join(tasks)}")
        return cls(tasks[0], runs)

    @property
    def names(self) -> list[str]:
        """Names of the runs, made unequal where folders are called alike."""
        names = [run.name for run in self.runs]
        return [f"{name} ({row + 1})" if names.count(name) > 1 else name for row, name in enumerate(names)]

    @property
    def verdict(self) -> Standing:
        """How they stand to each other."""
        return standing(self.runs, self.names)

    def sections(self) -> list[Section]:
        """The main score drawn, all scores, repetitions, settings that differ, and the data."""
        return [self._main(), self._scores(), *self._repetitions(), *self._settings(), self._data()]

    def markdown(self) -> str:
        """Write everything as Markdown."""
        blocks = [block for section in self.sections() for block in section_markdown(section)]
        verdict = f"**{self.verdict.headline}.** {self.verdict.explanation}"
        return "\n\n".join([f"# {self.task}: {len(self.runs)} runs", verdict, *blocks]) + "\n"

    def html(self) -> str:
        """Return a page of its own."""
        templates = environment()
        style = Markup(templates.get_template("style.css").render())  # noqa: S704 our own file
        return templates.get_template("together.html.j2").render(together=self, sections=self.sections(), style=style)

    def to_json(self) -> dict[str, Any]:
        """Return the scores of each run and its settings."""
        return {
            "task": self.task,
            "verdict": f"{self.verdict.headline}. {self.verdict.explanation}",
            "runs": [
                {"name": name, "settings": settings_of(run), "metrics": run.metrics}
                for name, run in zip(self.names, self.runs, strict=True)
            ],
        }

    def _main(self) -> Section:
        monitor = self.runs[0].monitor
        found = [{row.name: row.judged for row in run.scores()} for run in self.runs]
        bars = [
            Bar(name, *scores[monitor], run.metrics["data"].get(run.judged_on, {}).get("records"))
            for name, scores, run in zip(self.names, found, self.runs, strict=True)
            if monitor in scores
        ]
        note = "Intervals that overlap may still hide a difference: labtune diff compares two runs record by record."
        return Bars(f"{label(monitor)} side by side", label(monitor), bars, note)

    def _scores(self) -> Section:
        found = [{row.name: row.judged for row in run.scores()} for run in self.runs]
        names = dict.fromkeys(name for scores in found for name in scores)
        rows = [[label(name), *(interval(s[name]) if name in s else None for s in found)] for name in names]
        return Table("Scores", ("score", *self.names), rows, "With 95% intervals over the judged records.")

    def _repetitions(self) -> list[Section]:
        """Mean and spread of runs that differ in nothing but the seed."""
        rows: list[list[Cell]] = []
        for some in repetitions(self.runs):
            known = [value for run in some if (value := main_score(run).value) is not None]
            if len(known) > 1:
                names = ", ".join(run.name for run in some)
                rows.append(
                    [names, len(known), statistics.fmean(known), statistics.stdev(known), min(known), max(known)]
                )
        columns = ("runs", "seeds", "mean", "standard deviation", "lowest", "highest")
        note = f"{label(self.runs[0].monitor)} of runs that differ in nothing but the seed."
        return [Table("Several seeds", columns, rows, note)] if rows else []

    def _settings(self) -> list[Section]:
        tables = [settings_of(run) for run in self.runs]
        keys = [
            key for key in dict.fromkeys(k for t in tables for k in t) if len({repr(t.get(key)) for t in tables}) > 1
        ]
        rows = [[key, *(setting(table.get(key)) for table in tables)] for key in keys]
        return [Table("Settings that differ", ("setting", *self.names), rows)] if rows else []

    def _data(self) -> Section:
        parts = dict.fromkeys(part for run in self.runs for part in run.metrics["data"])
        rows: list[list[Cell]] = []
        for part in parts:
            data = [run.metrics["data"].get(part, {}) for run in self.runs]
            rows.append([f"{part}: records", *(entry.get("records") for entry in data)])
            rows.append([f"{part}: file", *(str(entry.get("sha256", ""))[:12] for entry in data)])
        rows.append(["split", *(str(run.metrics.get("split", "")) for run in self.runs)])
        return Table("Data", ("", *self.names), rows, "Hashes of files and split: equal ones name equal data.")
