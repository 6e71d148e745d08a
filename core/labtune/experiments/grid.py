"""Every method at every bit width with every seed: one folder, a run and a process for each."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labtune.data.splits import load_splits
from labtune.errors import RunError, SettingsError
from labtune.experiments.children import Child, wait_for
from labtune.experiments.request import Request, claim_folder
from labtune.folder import RunFolder, write_text
from labtune.resuming import FREE
from labtune.settings import FIELDS, Layer, Settings, read_setting

VARIED = {"method": "--methods", "bits": "--bits", "seed": "--seeds"}
RUNS = "runs"


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    settings: Settings
    folder: RunFolder

    @property
    def name(self) -> str:
        """Name of its folder, such as ``lora-4-bits-seed-0``."""
        return self.folder.path.name

    def is_finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.folder.metrics.exists()


@dataclass(frozen=True)
class Refusal:
    """A combination that cannot be run, and why."""

    method: str
    bits: int
    reason: str


@dataclass(frozen=True)
class Grid:
    """The runs to compare; ``failed`` maps the name of a cell to the reason."""

    folder: Path
    cells: tuple[Cell, ...]
    refused: tuple[Refusal, ...]
    failed: dict[str, str] = field(default_factory=dict)


def plan_grid(request: Request, out: Path, axes: Mapping[str, Sequence[str]]) -> Grid:
    """Say which runs there will be.

    Parameters
    ----------
    request
        The task and what all runs share.
    out
        The folder of the grid.
    axes
        Values of ``method``, ``bits`` and ``seed`` as typed.

    Raises
    ------
    SettingsError
        If a value is not acceptable, or no combination is.
    RunError
        If the folder holds something else, or runs with other settings.
    """
    values = {name: _read(name, words) for name, words in axes.items()}
    for name in VARIED.keys() & request.given().keys():
        raise SettingsError(f"{name} is what differs between the runs: say it with {VARIED[name]}")
    request.check_tuning(values["method"])
    cells, refused = [], []
    for method in values["method"]:
        for bits in values["bits"]:
            try:
                chosen = [request.settings(method=method, bits=bits, seed=seed) for seed in values["seed"]]
            except SettingsError as error:
                refused.append(Refusal(method, bits, str(error)))
                continue
            cells += [Cell(settings, RunFolder(out / RUNS / _name(settings))) for settings in chosen]
    if not cells:
        raise SettingsError(f"nothing to compare: {refused[0].reason}")
    return Grid(out, tuple(cells), tuple(refused))


def run_grid(request: Request, grid: Grid) -> None:
    """Run what is not finished, one after the other; a run that fails does not end the others.

    Raises
    ------
    DataError
        If the data that all runs share cannot be used.
    RunError
        If the folder holds something else, or a run with other settings.
    Interrupted
        If the user asked to stop.
    """
    claim_folder(grid.folder, RUNS, "comparison")
    (grid.folder / RUNS).mkdir(exist_ok=True)
    for cell in grid.cells:
        _check_begun(cell)
    if not all(cell.is_finished() for cell in grid.cells):
        first = grid.cells[0].settings
        load_splits(request.catalog.task(first.task), first)  # so that bad data is told once, and at once
    for number, cell in enumerate(grid.cells, 1):
        if cell.is_finished():
            continue
        print(f"run {number} of {len(grid.cells)}: {cell.name}", file=sys.stderr)
        reason = _run(cell)
        if reason:
            grid.failed[cell.name] = reason
            print(f"run {number} failed: {reason}", file=sys.stderr)


def _check_begun(cell: Cell) -> None:
    if not cell.folder.settings.exists():
        return
    saved = Settings.from_toml(cell.folder.settings)
    for name in FIELDS:
        before, now = getattr(saved, name), getattr(cell.settings, name)
        if before != now and name not in FREE:
            raise RunError(f"{cell.folder.path} was run with {name} {before!r}, not {now!r}; choose another --out")


def _run(cell: Cell) -> str | None:
    """Run one cell to its end; return why it failed, if it did."""
    path = cell.folder.path
    settings = path.with_name(f"{path.name}.toml")
    write_text(settings, cell.settings.to_toml())
    words = ["run", str(settings), "--out", str(path), "--resume"]
    with Child(words, path.with_name(f"{path.name}.log")) as child:
        wait_for([child], path)
    return child.failure()


def _read(name: str, words: Sequence[str]) -> list[Any]:
    layers = [Layer(VARIED[name], {name: word}, typed=True) for word in words]
    return list(dict.fromkeys(read_setting(name, layer) for layer in layers))


def _name(settings: Settings) -> str:
    return f"{settings.method}-{settings.bits}-bits-seed-{settings.seed}"
