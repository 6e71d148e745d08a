"""Scores of parts of the data, and whether the gap between the best and the worst is more than chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labtune.catalog import resolve
from labtune.evaluation.intervals import Interval, bootstrap, units_of
from labtune.evaluation.report.words import label
from labtune.evaluation.sections import Bar, Bars
from labtune.protocols import AdditiveMetric, Metric
from labtune.specs import Prediction, Record, Task

SMALL = 20  # records below which slices are pooled
QUARTERS = 10  # distinct numbers of a column above which it is cut in quarters
PERMUTATIONS = 500
RECOMPUTED = 99  # permutations where each needs the metric anew
LEVEL = 0.05

SliceOf = Callable[[Record], str]


@dataclass(frozen=True, slots=True)
class Sliced:
    """The monitored score of each slice of one slicing.

    Parameters
    ----------
    name, score
        Of the slicing, and of the score.
    slices
        Interval and number of records of each slice, the most records first.
    best, worst
        Of the slices with a score and ``SMALL`` records; empty when there are fewer than two.
    gap, p
        Between them, and the chance of such a gap between slices drawn at random.
    beyond_chance
        Whether p is below 0.05 over the number of slicings (Bonferroni).
    """

    name: str
    score: str
    slices: Mapping[str, tuple[Interval, int]]
    best: str = ""
    worst: str = ""
    gap: float | None = None
    p: float | None = None
    beyond_chance: bool = False


def slicings(
    task: Task, columns: Sequence[str], records: Sequence[Record], train: Sequence[Record] = ()
) -> dict[str, list[str]]:
    """Name the slice of each record, for every slice function of the task and every column asked for.

    A column of more than ten different numbers is cut in quarters. A slice function with an attribute ``fit`` is
    replaced by what ``fit(train)`` returns: it says how a record lies to the training data.
    """
    own: dict[str, SliceOf] = {name: _fitted(resolve(target), train) for name, target in task.slices.items()}
    found = {name: [str(slice_of(record)) for record in records] for name, slice_of in own.items()}
    return found | {column: _column([record.columns.get(column) for record in records]) for column in columns}


def _fitted(slice_of: Any, train: Sequence[Record]) -> SliceOf:
    fit = getattr(slice_of, "fit", None)
    found: SliceOf = slice_of if fit is None else fit(train)
    return found


def score_slices(
    metric: Metric,
    predictions: Sequence[Prediction],
    records: Sequence[Record],
    named: Mapping[str, Sequence[str]],
    *,
    seed: int = 0,
) -> list[Sliced]:
    """Score every slice of every slicing.

    Parameters
    ----------
    metric
        Its ``monitor`` is scored.
    predictions, records
        R of each.
    named
        For each slicing the slice of each record. Slices with few records are pooled; a slicing with one slice is left
        out.
    seed
        Of the bootstrap and the permutations.
    """
    found = []
    for name, slices in named.items():
        pooled = _pooled(slices)
        if len(set(pooled)) > 1:
            found.append(_score(metric, predictions, records, name, pooled, len(named), seed))
    return found


def _score(
    metric: Metric,
    predictions: Sequence[Prediction],
    records: Sequence[Record],
    name: str,
    slices: Sequence[str],
    slicings: int,
    seed: int,
) -> Sliced:
    score, smaller = metric.monitor.removeprefix("-"), metric.monitor.startswith("-")
    scored: dict[str, tuple[Interval, int]] = {}
    for slice_, count in Counter(slices).most_common():
        rows = [row for row, other in enumerate(slices) if other == slice_]
        some = [predictions[row] for row in rows], [records[row] for row in rows]
        scored[slice_] = bootstrap(metric, *some, seed=seed)[score], count
    ranked = sorted(
        (-interval.value if smaller else interval.value, slice_)
        for slice_, (interval, count) in scored.items()
        if count >= SMALL and math.isfinite(interval.value)
    )
    if len(ranked) < 2:
        return Sliced(name, score, scored)
    gap = ranked[-1][0] - ranked[0][0]
    compared = {slice_ for _, slice_ in ranked}
    p = _chance(metric, predictions, records, slices, compared, gap, seed)
    return Sliced(name, score, scored, ranked[-1][1], ranked[0][1], gap, p, p * slicings < LEVEL)


def _chance(
    metric: Metric,
    predictions: Sequence[Prediction],
    records: Sequence[Record],
    slices: Sequence[str],
    compared: Collection[str],
    gap: float,
    seed: int,
) -> float:
    """Share of permutations of the slices, the observed one among them, with at least this gap.

    Where every group lies in one slice, groups are permuted, because their records vary together.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(slices))}
    slice_of = np.array([numbers[name] for name in slices])
    groups = units_of([record.group for record in records])
    of_group = np.zeros(groups.max() + 1, dtype=np.int64)
    of_group[groups] = slice_of
    units = groups if (of_group[groups] == slice_of).all() else np.arange(len(records))
    of_unit = of_group if units is groups else slice_of
    generator = np.random.default_rng(seed)
    chosen = [numbers[name] for name in compared]
    additive, score = metric if isinstance(metric, AdditiveMetric) else None, metric.monitor.removeprefix("-")
    parts = additive.parts(predictions, records) if additive else np.zeros((0, 0))  # (R, K)
    summed = additive is not None and score in additive.scores(parts.sum(0))

    def gap_of(drawn: NDArray[np.int64]) -> float:
        if additive is not None and summed:
            totals = np.stack([parts[drawn == number].sum(0) for number in chosen])
            return _range(additive.scores(totals)[score])
        rows = [np.flatnonzero(drawn == number).tolist() for number in chosen]
        scored = (metric([predictions[row] for row in some], [records[row] for row in some]) for some in rows)
        return _range(np.array([scores[score] for scores in scored]))

    repeats = PERMUTATIONS if summed else RECOMPUTED
    gaps = [gap_of(generator.permutation(of_unit)[units]) for _ in range(repeats)]
    return (1 + sum(other >= gap - 1e-12 for other in gaps)) / (1 + repeats)


def _range(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.max() - known.min()) if known.size else 0.0


def _pooled(slices: Sequence[str]) -> list[str]:
    counts = Counter(slices)
    small = {name for name, count in counts.items() if count < SMALL}
    return [f"{len(small)} small slices" if len(small) > 1 and name in small else name for name in slices]


def _column(cells: Sequence[Any]) -> list[str]:
    try:
        numbers = np.array([float(cell) for cell in cells])
    except (TypeError, ValueError):
        return ["none" if cell is None else str(cell) for cell in cells]
    if len(set(numbers.tolist())) <= QUARTERS:
        return [str(cell) for cell in cells]
    edges = np.quantile(numbers, [0.25, 0.5, 0.75])
    names = [f"to {edges[0]:.4g}", *(f"to {edge:.4g}" for edge in edges[1:]), f"over {edges[-1]:.4g}"]
    return [names[index] for index in np.searchsorted(edges, numbers)]


def slices_json(sliced: Sequence[Sliced]) -> dict[str, Any]:
    """What ``metrics.json`` says of slices."""
    return {
        one.name: {
            "score": one.score,
            "slices": {
                name: {**interval._asdict(), "records": count} for name, (interval, count) in one.slices.items()
            },
            "best": one.best,
            "worst": one.worst,
            "gap": one.gap,
            "p": one.p,
            "beyond_chance": one.beyond_chance,
        }
        for one in sliced
    }


def slice_sections(sliced: Sequence[Sliced], whole: Mapping[str, Mapping[str, float | None]]) -> list[Bars]:
    """Draw the slices of each slicing, beside the score of everything together."""
    return [
        Bars(
            f"Slices by {one.name}",
            label(one.score),
            [Bar(name, *interval, count) for name, (interval, count) in one.slices.items()],
            _note(one),
            whole.get(one.score, {}).get("value"),
        )
        for one in sliced
    ]


def _note(one: Sliced) -> str:
    if one.gap is None:
        return ""
    judged = "more than chance explains" if one.beyond_chance else "no more than chance explains"
    return f"Between {one.best} and {one.worst} lie {one.gap:.3f}, {judged} (p = {one.p:.2g})."
