"""What the data of a run do not support: the part of the model card that nobody likes to write."""

from __future__ import annotations

from collections.abc import Iterator

from labtune.evaluation.report.content import RunContent
from labtune.evaluation.report.verdict import compare_main
from labtune.evaluation.report.words import PARTS, count, score
from labtune.evaluation.sections import Table

FEW = 10  # cases of a label, below which its scores say little
SMALL = 20  # records of a slice
DECISIONS = 200  # for a calibration error
BEHIND_COVERAGE = 100  # validation records
GROUPS = 20  # below which percentile intervals are too narrow; benchmarks/evaluation/intervals.py simulates it
BY_CHANCE = ("random", "stratified", "fold")
NAMED = 8


def limits(run: RunContent) -> list[str]:
    """Say in a sentence each what cannot be concluded from the run."""
    return [sentence for check in CHECKS for sentence in check(run)]


def _leaks(run: RunContent) -> Iterator[str]:
    """Serious findings of the data check."""
    if run.serious:
        yield f"That the scores hold on new data. The data check found: {'; '.join(run.serious)}."


def _gain(run: RunContent) -> Iterator[str]:
    """Whether it is worth more than the baseline."""
    if compare_main(run) in ("unclear", "worse"):
        yield "That it is better than the baseline, which costs next to nothing to train and to run."


def _labels(run: RunContent) -> Iterator[str]:
    """Labels with few true cases, by the first table that counts them."""
    tables = [part for part in run.sections if isinstance(part, Table) and "support" in part.columns]
    few = [str(row[0]) for table in tables[:1] for row in table.rows if _below(row[table.columns.index("support")])]
    if few:
        yield f"Scores of single labels with fewer than {FEW} {PARTS[run.judged_on]} cases: {_listed(few)}."


def _below(support: object) -> bool:
    return isinstance(support, int) and support < FEW


def _slices(run: RunContent) -> Iterator[str]:
    """Slices that are too small to be judged."""
    few = [
        f"{name} ({by})"
        for by, sliced in run.metrics["slices"].items()
        for name, entry in sliced["slices"].items()
        if entry["records"] < SMALL
    ]
    if few:
        yield f"How well it does on parts of the data with fewer than {SMALL} records: {_listed(few)}."


def _sources(run: RunContent) -> Iterator[str]:
    """Records from elsewhere, or that depend on each other."""
    judged, train = (run.metrics["data"].get(part, {}) for part in (run.judged_on, "train"))
    split = str(run.settings.get("split", "stratified")).partition(":")[0]
    if judged.get("sha256") and judged.get("sha256") == train.get("sha256") and split in BY_CHANCE:
        yield (
            f"How well it does on later records or on those of another source: the {PARTS[run.judged_on]} records were "
            "drawn by chance from the file that it was trained on."
        )
    if 0 < judged.get("groups", 0) < GROUPS:
        yield (
            f"Intervals of the stated width: they rest on {count(judged['groups'], 'group')}, and from fewer than "
            f"{GROUPS} they hold the true score clearly less often than in 95% of cases."
        )
    if judged.get("groups") == 0:
        yield (
            "Intervals for records that belong together: all were taken as independent, because no group was named. "
            "Where several come from one source, the intervals are too narrow."
        )


def _confidence(run: RunContent) -> Iterator[str]:
    """Coverage that was not reached, or rests on few records; a calibration error of few decisions."""
    coverage, decided = run.metrics["conformal"], run.metrics["calibration"].get("decisions")
    if coverage and coverage["realised"]["high"] < coverage["target"]:
        reached = coverage["realised"]
        yield (
            f"The promised coverage of {coverage['target']:g}: on test records it was {score(reached['value'])} "
            f"(95% interval {score(reached['low'])} to {score(reached['high'])})."
        )
    elif coverage and coverage["calibrated_on"] < BEHIND_COVERAGE:
        grouped = run.metrics["data"].get("valid", {}).get("groups", 0)
        behind = count(coverage["calibrated_on"], "group" if grouped else "record")
        yield f"A coverage of {coverage['target']:g} to the last percent: it rests on {behind} of validation data."
    if decided is not None and decided < DECISIONS:
        yield f"A calibration error to the second digit: it rests on {count(decided, 'decision')}."


def _seed(run: RunContent) -> Iterator[str]:
    yield "How much another seed would change: one training was judged. Run several and put them side by side."


CHECKS = (_leaks, _gain, _labels, _slices, _sources, _confidence, _seed)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
