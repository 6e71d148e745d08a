"""Learning curves from the lines of the training log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labtune.evaluation.report.content import RunContent
from labtune.evaluation.report.words import label
from labtune.evaluation.sections import Curve, Point

POINTS = 200  # of a curve; more than its width in millimetres on paper adds nothing


def learning_curves(run: RunContent) -> list[Curve]:
    """Curves of the loss and of the main validation score, and the learning rate, over optimiser steps."""
    steps = [line for line in run.log if line.get("event") == "step"]
    epochs = [line for line in run.log if line.get("event") == "epoch"]
    best = run.metrics["best_epoch"]
    chosen = "" if best is None else f"The weights of epoch {best} were kept."
    main, loss, rate = _valid(epochs, run.monitor), _points(steps, "loss"), _points(steps, "learning_rate")
    averaged = f"Averages over {_group(loss)} steps." if _group(loss) > 1 else ""
    curves = [
        Curve("Training loss", "step", "loss", {"training": _thinned(loss)}, averaged),
        Curve(f"Validation {label(run.monitor)}", "step", label(run.monitor), {"validation": main}, chosen),
        Curve("Learning rate", "step", "learning rate", {"learning rate": _thinned(rate)}),
    ]
    return [curve for curve in curves if any(curve.series.values())]


def _points(lines: Sequence[Mapping[str, Any]], key: str) -> list[Point]:
    return [(line["step"], line[key]) for line in lines if line.get(key) is not None]


def _valid(epochs: Sequence[Mapping[str, Any]], name: str) -> list[Point]:
    return [(line["step"], line["valid"][name]) for line in epochs if line.get("valid", {}).get(name) is not None]


def _thinned(points: list[Point]) -> list[Point]:
    """Average neighbours until at most ``POINTS`` are left; the first and last step keep their places."""
    size = _group(points)
    if size <= 1:
        return points
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    averages = [(group[len(group) // 2][0], sum(y or 0 for _, y in group) / len(group)) for group in groups]
    averages[0] = (points[0][0], averages[0][1])
    averages[-1] = (points[-1][0], averages[-1][1])
    return [*averages]


def _group(points: Sequence[Point]) -> int:
    """How many neighbours are averaged into one."""
    return -(-len(points) // POINTS)
