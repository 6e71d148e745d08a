"""How several runs stand to each other, in words: what repetitions say together, or which run is ahead."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labtune.evaluation.report.content import RunContent, Score
from labtune.evaluation.report.words import capital, label, score
from labtune.settings import FACTS

IDLE = ("seed",)  # settings by which repetitions differ


@dataclass(frozen=True)
class Standing:
    """A headline, and a sentence or two on how sure it is."""

    headline: str
    explanation: str


def settings_of(run: RunContent) -> dict[str, Any]:
    """Return the settings of a run by dotted names, without the facts of its making."""
    found: dict[str, Any] = {}
    for key, value in run.settings.items():
        if isinstance(value, Mapping) and key != FACTS:
            found |= {f"{key}.{name}": entry for name, entry in value.items()}
        elif key != FACTS:
            found[key] = value
    return found


def repetitions(runs: Sequence[RunContent]) -> list[list[RunContent]]:
    """Put runs together that differ in nothing but the seed."""
    alike: defaultdict[str, list[RunContent]] = defaultdict(list)
    for run in runs:
        alike[repr(sorted((k, v) for k, v in settings_of(run).items() if k not in IDLE))].append(run)
    return list(alike.values())


def main_score(run: RunContent) -> Score:
    """Return the judged main score of a run; unknown where it has none."""
    return next((row.judged for row in run.scores() if row.name == run.monitor), Score(None))


def standing(runs: Sequence[RunContent], names: Sequence[str]) -> Standing:
    """Sum up runs of one task.

    Parameters
    ----------
    runs, names
        At least two, and how they are called.
    """
    monitor, smaller = runs[0].monitor, runs[0].smaller_is_better(runs[0].monitor)
    scored = [(main_score(run), name) for run, name in zip(runs, names, strict=True)]
    known = [(found, name) for found, name in scored if found.value is not None]
    if len(known) < 2:
        return Standing("Nothing to compare", f"Fewer than two of these runs have a {label(monitor)}.")
    if len(repetitions(runs)) == 1:
        drawn = len({run.metrics.get("split") for run in runs}) > 1
        return _repeated(label(monitor), [found.value or 0.0 for found, _ in known], drawn=drawn)
    ranked = sorted(known, key=lambda pair: pair[0].value or 0.0, reverse=not smaller)
    return _ahead(label(monitor), ranked[0], ranked[1], smaller=smaller)


def _repeated(name: str, values: Sequence[float], *, drawn: bool) -> Standing:
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    return Standing(
        f"{capital(name)} {score(mean)} on average over {len(values)} seeds",
        f"The runs differ in nothing but the seed{', which also drew the split' if drawn else ''}: from "
        f"{score(min(values))} to {score(max(values))}, with a standard deviation of {score(spread)}. A gain of that "
        "size by another setting may be luck.",
    )


def _ahead(name: str, best: tuple[Score, str], next_: tuple[Score, str], *, smaller: bool) -> Standing:
    ahead, behind = best[0], next_[0]
    lower, upper = (ahead, behind) if smaller else (behind, ahead)
    apart = lower.high is not None and upper.low is not None and lower.high < upper.low
    sure = (
        "Their 95% intervals lie apart."
        if apart
        else "Their 95% intervals overlap, so this may be chance: labtune diff compares two runs record by record."
    )
    return Standing(
        f"{best[1]} has the best {name}" if ahead.value != behind.value else f"{best[1]} and {next_[1]} are level",
        f"{capital(name)} is {score(ahead.value)} for {best[1]} and {score(behind.value)} for {next_[1]}, the next. "
        f"{sure}",
    )
