"""Which method and bit width to use: the cheapest of those that validation data cannot tell from the best.

The one-standard-error rule of Breiman, Friedman, Olshen and Stone, *Classification and Regression Trees* (1984): among
the candidates whose score is at most one standard error below the best, the simplest is taken, here the one that needs
the least memory, or the fastest of those that need as little but for chance. Test scores take no part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from labtune.evaluation.report.words import label, score
from labtune.experiments.combinations import Combination

SAME_MEMORY = 1.02  # ratio up to which the peaks of two processes count as equal


@dataclass(frozen=True)
class Recommendation:
    """What to use, the sentence that says so, and the standard error by which it was chosen."""

    method: str
    bits: int
    sentence: str
    standard_error: float


def recommend(combinations: Sequence[Combination], monitor: str) -> Recommendation | None:
    """Choose by validation score and cost; None when no validation score is defined.

    Parameters
    ----------
    combinations
        The candidates.
    monitor
        Name of the score, with a leading ``-`` when smaller is better.
    """
    known = comparable(combinations)
    if not known:
        return None
    best = max(known, key=lambda item: goodness(item, monitor))
    error = best.valid.standard_error()
    good = [item for item in known if goodness(best, monitor) - goodness(item, monitor) <= error]
    little = SAME_MEMORY * min(item.memory_mb for item in good)
    chosen = min((item for item in good if item.memory_mb <= little), key=lambda item: item.seconds)
    whole = [item for item in known if (item.method, item.bits) == ("full", 32)]
    others = [item for item in [*whole, best, *known] if item is not chosen]
    sentence = (
        f"{chosen.name}: {_compared(chosen, others[0], monitor)}"
        if others
        else f"{chosen.name}: nothing to compare it with"
    )
    return Recommendation(chosen.method, chosen.bits, f"{sentence}.", error)


def comparable(combinations: Sequence[Combination]) -> list[Combination]:
    """Return those with a validation score over as many seeds as any has: seeds also decide the split of the data."""
    most = max((len(item.seeds) for item in combinations), default=0)
    return [item for item in combinations if item.valid.value is not None and len(item.seeds) == most]


def goodness(item: Combination, monitor: str) -> float:
    """Validation score with larger better; the worst when it is undefined."""
    value = item.valid.value
    return -math.inf if value is None else -value if monitor.startswith("-") else value


def front(combinations: Sequence[Combination], monitor: str) -> list[Combination]:
    """Return those that no other beats in both validation score and memory, the smallest first."""
    kept: list[Combination] = []
    for item in sorted(comparable(combinations), key=lambda item: (item.memory_mb, -goodness(item, monitor))):
        if all(goodness(item, monitor) > goodness(other, monitor) for other in kept):
            kept.append(item)
    return kept


def _compared(item: Combination, other: Combination, monitor: str) -> str:
    gap = goodness(item, monitor) - goodness(other, monitor)
    memory = f"{item.memory_mb / other.memory_mb:.0%}".replace("%", " %")
    return f"{_distance(gap, monitor)} {other.name} at {memory} of its memory"


def _distance(gap: float, monitor: str) -> str:
    """Say a difference in points (hundredths) of a score, or in the unit of an error."""
    size, where = abs(gap), "above" if gap > 0 else "below"
    if monitor.startswith("-"):
        told, where = f"{label(monitor[1:])} {score(size)}", "better than" if gap > 0 else "worse than"
        return f"{told} {where}"
    told = f"{100 * size:.1f}"
    return "level with" if told == "0.0" else f"{told} points {where}"
