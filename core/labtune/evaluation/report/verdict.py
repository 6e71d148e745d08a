"""The verdict: three plain sentences on what was trained, how good it is, and what to mind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from labtune.evaluation.report.content import RunContent, Score, ScoreRow
from labtune.evaluation.report.words import PARTS, count, label, score
from labtune.evaluation.sections import Table

Outcome = Literal["better", "unclear", "worse", "unknown"]

SMALL = 100  # records of a test set below which one record is more than a point of accuracy
NAMED = 3  # labels named in a sentence
OUTCOMES: dict[Outcome, str] = {
    "better": "Better than the baseline",
    "unclear": "Not shown to be better than the baseline",
    "worse": "No better than the baseline",
    "unknown": "Not compared with a baseline",
}


@dataclass(frozen=True)
class Verdict:
    """What the model is worth, in a word and in three sentences."""

    outcome: Outcome
    trained: str
    scored: str
    mind: str

    @property
    def headline(self) -> str:
        """The outcome in words."""
        return OUTCOMES[self.outcome]


def judge(run: RunContent) -> Verdict:
    """Judge a run by its main score, its baseline, and what happened to its data."""
    main, outcome = _main(run), compare_main(run)
    scored = _scored(run, main, outcome) if main else "It was not scored, because no labelled data was held out."
    return Verdict(outcome, _trained(run), scored, _mind(run))


def _main(run: RunContent) -> ScoreRow | None:
    rows = run.scores()
    return rows[0] if rows and rows[0].name == run.monitor else None


def compare_main(run: RunContent) -> Outcome:
    """Compare the main score with the baseline's."""
    main = _main(run)
    return compare(main, smaller_is_better=run.smaller_is_better(run.monitor)) if main else "unknown"


def compare(row: ScoreRow, *, smaller_is_better: bool = False) -> Outcome:
    """Compare a score with the baseline's: better or worse only when their intervals lie apart.

    Intervals that overlap may still hide a real difference, so this errs on the side of "unclear". A model that is not
    ahead at all is "worse".
    """
    model, baseline = row.judged, row.baseline
    if model.value is None or baseline.value is None:
        return "unknown"
    ahead = model.value < baseline.value if smaller_is_better else model.value > baseline.value
    if not ahead:
        return "worse"
    lower, upper = (model, baseline) if smaller_is_better else (baseline, model)
    if lower.high is None or upper.low is None:
        return "unclear"
    return "better" if lower.high < upper.low else "unclear"


def _trained(run: RunContent) -> str:
    metrics = run.metrics
    train = metrics["train"]
    share = ""
    if train.get("total_parameters"):
        part = train.get("trainable_parameters", 0) / train["total_parameters"]
        share = f", which trains {_percent(part)} of its weights"
    bits = "" if metrics["bits"] == 32 else f" on weights stored in {metrics['bits']} bits"
    records = metrics["data"].get("train", {}).get("records")
    data = f" from {count(records, 'record')}" if records is not None else ""
    return (
        f"The encoder {metrics.get('encoder')} learned the task {metrics.get('task')}{data}"
        f" with the method {metrics.get('method')}{bits}{share}."
    )


def _scored(run: RunContent, row: ScoreRow, outcome: Outcome) -> str:
    records = run.metrics["data"].get(run.judged_on, {}).get("records")
    split = f"{PARTS[run.judged_on]} records"
    where = f"the {split}" if records is None else f"{records:,} {split}"
    reached = f"On {where} it reaches {label(row.name)} {score(row.judged.value)}{_interval(row.judged)}"
    if outcome == "unknown":
        return f"{reached}; there is no baseline score to compare it with."
    return f"{reached}; that {_comparison(run, row, outcome)}."


def _comparison(run: RunContent, row: ScoreRow, outcome: Outcome) -> str:
    model, baseline = row.judged, row.baseline
    gap = abs((model.value or 0) - (baseline.value or 0))
    smaller = ", smaller is better" if run.smaller_is_better(row.name) else ""
    against = f"({score(model.value)} against {score(baseline.value)}{smaller})"
    if outcome == "better":
        return f"beats the baseline by {score(gap)} {against}, beyond the 95% intervals of both"
    if outcome == "worse":
        return f"does not beat the baseline {against}"
    if None in (model.low, baseline.low):
        return f"is {score(gap)} better than the baseline {against}, but without intervals this may be chance"
    return f"is {score(gap)} better than the baseline {against}, but their 95% intervals overlap: it may be chance"


def _mind(run: RunContent) -> str:
    caveats = list(_caveats(run))
    if not caveats:
        return "No record was dropped or cut short, and the data check found nothing to warn of."
    return f"To mind: {'; '.join(caveats)}."


def _caveats(run: RunContent) -> Iterator[str]:
    data = run.metrics["data"]
    if run.serious:
        yield f"the data check found what makes scores too good: {'; '.join(run.serious)}"
    if run.judged_on == "valid" and run.metrics["valid"]:
        yield "there was no test split, and the validation records chose the best epoch, so expect less on new data"
    records = data.get(run.judged_on, {}).get("records")
    if records is not None and records < SMALL:
        yield f"only {count(records, f'{PARTS[run.judged_on]} record')}, so the score may differ much on others"
    yield from _gaps(run)
    yield from _unseen(run)
    yield from _losses(data)
    warnings = run.metrics["warnings"]
    if warnings:
        yield f"{count(len(warnings), 'warning')} on the data, listed under Data"


def _gaps(run: RunContent) -> Iterator[str]:
    """Slices that differ by more than chance."""
    for name, sliced in run.metrics["slices"].items():
        if sliced["beyond_chance"]:
            best, worst = (sliced["slices"][sliced[end]]["value"] for end in ("best", "worst"))
            yield (
                f"it is not equally good everywhere: {label(sliced['score'])} {score(best)} on {sliced['best']} but "
                f"{score(worst)} on {sliced['worst']} (by {name}, beyond chance)"
            )


def _unseen(run: RunContent) -> Iterator[str]:
    """Labels without a true case, by the first table that has a column ``support``."""
    tables = [part for part in run.sections if isinstance(part, Table) and "support" in part.columns]
    names = [str(row[0]) for table in tables[:1] for row in table.rows if row[table.columns.index("support")] == 0]
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield f"no {PARTS[run.judged_on]} record shows how well it finds {', '.join(names[:NAMED])}{more}"


def _losses(data: dict[str, Any]) -> Iterator[str]:
    for key, what in (("dropped", "left out"), ("truncated", "cut short"), ("windowed", "read in windows")):
        parts = [f"{part[key]:,} in {PARTS.get(split, split)}" for split, part in data.items() if part.get(key)]
        if parts:
            yield f"records {what}: {', '.join(parts)}"


def _interval(value: Score) -> str:
    if value.low is None or value.high is None:
        return ""
    return f" (95% interval {score(value.low)} to {score(value.high)})"


def _percent(share: float) -> str:
    if share == 1:
        return "all"
    return f"{share:.2%}" if share < 0.1 else f"{share:.0%}"
