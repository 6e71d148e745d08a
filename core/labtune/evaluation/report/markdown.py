"""A run in Markdown, for a pull request or a supplement: the page without its plots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from labtune.evaluation.report.content import RunContent, Score
from labtune.evaluation.report.limits import limits
from labtune.evaluation.report.verdict import judge
from labtune.evaluation.report.words import cell, label, score
from labtune.evaluation.sections import Bars, Curve, Examples, Matrix, Section, Table, Text

POINTS = 30  # of a curve that is still worth a table


def run_markdown(run: RunContent) -> str:
    """Write the verdict, the scores, every section that is no drawing, the warnings and the limits."""
    verdict = judge(run)
    blocks = [
        f"# {run.metrics.get('task')}: {run.name}",
        f"**{verdict.headline}.** {verdict.trained} {verdict.scored} {verdict.mind}",
        "## Scores",
        table(("score", run.judged_on, "baseline"), _scores(run)),
    ]
    if run.metrics["baseline_name"]:
        blocks.append(f"Baseline: {run.metrics['baseline_name']}.")
    for section in run.sections:
        blocks += section_markdown(section)
    if run.metrics["warnings"]:
        blocks += ["## Warnings", "\n".join(f"- {warning}" for warning in run.metrics["warnings"])]
    blocks += ["## What the data do not support", "\n".join(f"- {sentence}" for sentence in limits(run))]
    return "\n\n".join(blocks) + "\n"


def section_markdown(section: Section) -> Iterator[str]:
    """Yield the blocks of a section; nothing for drawings and long curves."""
    body = _body(section)
    if body:
        yield f"## {section.title}"
        note = getattr(section, "note", "")
        if note:
            yield note
        yield body


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a table; bars within cells are escaped."""
    lines = [columns, ["---"] * len(columns), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(entry.replace('|', chr(92) + '|') for entry in line)} |" for line in lines)


def interval(value: Score) -> str:
    """Write a score with its interval."""
    if value.low is None or value.high is None:
        return score(value.value)
    return f"{score(value.value)} [{score(value.low)}, {score(value.high)}]"


def _scores(run: RunContent) -> list[list[str]]:
    return [[label(row.name), interval(row.judged), interval(row.baseline)] for row in run.scores()]


def _body(section: Section) -> str:
    if isinstance(section, Text):
        return "\n\n".join(section.paragraphs)
    if isinstance(section, Table):
        return table(section.columns, section.rows)
    if isinstance(section, Matrix):
        rows = zip(section.row_labels, section.values, strict=True)
        return table(["", *section.column_labels], ([name, *values] for name, values in rows))
    if isinstance(section, Bars):
        bars = ((bar.label, interval(Score(bar.value, bar.low, bar.high)), bar.records) for bar in section.bars)
        return table(("", section.x_label, "records"), bars)
    if isinstance(section, Curve) and sum(map(len, section.series.values())) <= POINTS:
        points = ((name, *point) for name, series in section.series.items() for point in series)
        return table(("", section.x_label, section.y_label), points)
    if isinstance(section, Examples):
        return "\n".join(
            f"- `{item.id}` {item.headline}: {''.join(piece.text for piece in item.segments)}" for item in section.items
        )
    return ""
