"""One line for each method and bit width: the runs of its seeds, put together."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labtune.errors import RunError
from labtune.experiments.grid import Cell, Grid
from labtune.folder import RunFolder

QUANTILE = 1.96  # of the normal distribution, half of a 95% interval in standard errors


@dataclass(frozen=True)
class SeedScore:
    """A score over several seeds.

    Parameters
    ----------
    value
        Mean over the seeds; None when any is undefined.
    low, high
        Means of the ends of the runs' 95% intervals: how much the score of one run depends on the records.
    spread
        Standard deviation over the seeds; None for one seed.
    """

    value: float | None
    low: float | None
    high: float | None
    spread: float | None

    def standard_error(self) -> float:
        """Half the interval in units of the normal quantile, or the spread over the seeds where it is larger."""
        sampling = 0.0 if self.low is None or self.high is None else (self.high - self.low) / (2 * QUANTILE)
        return max(sampling, self.spread or 0.0)


@dataclass(frozen=True)
class Combination:
    """A method at a bit width, averaged over its finished runs; memory is the largest of them."""

    method: str
    bits: int
    seeds: tuple[int, ...]
    valid: SeedScore
    test: SeedScore
    trainable: float
    memory_mb: float
    seconds: float
    disk_mb: float

    @property
    def name(self) -> str:
        """The combination in words."""
        method = "full fine-tuning" if self.method == "full" else self.method
        return method if self.bits == 32 else f"{method} at {self.bits} bits"


def read_runs(grid: Grid) -> list[dict[str, Any]]:
    """Return ``metrics.json`` of every finished run, with its folder and the size of its model.

    Raises
    ------
    RunError
        If no run is finished, a file cannot be read, or runs saw different data.
    """
    runs = [_read(cell) for cell in grid.cells if cell.is_finished()]
    if not runs:
        raise RunError(f"no run has finished: {next(iter(grid.failed.values()), 'nothing was run')}")
    data = [{part: facts["sha256"] for part, facts in run["data"].items()} for run in runs]
    for run, hashes in zip(runs, data, strict=True):
        if hashes != data[0]:
            raise RunError(f"{run['run']} and {runs[0]['run']} saw different data; choose another --out")
    return runs


def combine(runs: Sequence[Mapping[str, Any]]) -> list[Combination]:
    """Put the seeds of each method and bit width together, in the order of the runs."""
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["method"], run["bits"]), []).append(run)
    return [
        Combination(
            method,
            bits,
            tuple(run["seed"] for run in group),
            _scores(group, "valid"),
            _scores(group, "test"),
            _mean([run["train"]["trainable_parameters"] / run["train"]["total_parameters"] for run in group]),
            max(run["train"]["peak_memory_mb"] for run in group),
            _mean([run["train"]["seconds"] for run in group]),
            _mean([run["disk_mb"] for run in group]),
        )
        for (method, bits), group in groups.items()
    ]


def _scores(runs: Sequence[Mapping[str, Any]], part: str) -> SeedScore:
    scores = [run.get(part, {}).get(run["monitor"].removeprefix("-"), {}) for run in runs]
    values, lows, highs = ([score.get(key) for score in scores] for key in ("value", "low", "high"))
    spread = statistics.stdev(values) if len(values) > 1 and None not in values else None
    return SeedScore(_mean_or_none(values), _mean_or_none(lows), _mean_or_none(highs), spread)


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if len(known) == len(values) else None


def _read(cell: Cell) -> dict[str, Any]:
    folder = cell.folder
    try:
        metrics = json.loads(folder.metrics.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{folder.metrics} cannot be read; remove {folder.path} to run it again") from error
    return {"run": str(folder.path), **metrics, "disk_mb": _size(folder)}


def _size(folder: RunFolder) -> float:
    """Size of the saved model in MB (10^6 bytes)."""
    files: list[Path] = [file for file in folder.model.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6
