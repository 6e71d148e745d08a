"""Every method at every bit width by ``labtune compare``, cell by cell: what was measured is kept, the rest goes on.

The result is written after each cell. Test data take no part in the choice; each run scores them once.

    python benchmarks/quality/grid.py phrasebank conll2003 secondary_structure --seeds 0 --out grid
    python benchmarks/quality/grid.py phrasebank --seeds 0 1 2 --out grid --minutes 9
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
from subsets import SUBSETS

from labtune.catalog import load_catalog
from labtune.errors import LabtuneError
from labtune.experiments.combinations import combine, read_runs
from labtune.experiments.comparison import compare
from labtune.experiments.grid import Cell, plan_grid
from labtune.experiments.recommendation import recommend
from labtune.experiments.request import Request
from labtune.settings import METHODS

BITS = (32, 16, 8, 4)
EPOCHS = 3
SIZES = {
    "phrasebank": {"train": 400, "valid": 200, "test": 500},
    "conll2003": {"train": 600, "valid": 200, "test": 600},
    "secondary_structure": {"train": 100, "valid": 30, "test": 80},
}


def main() -> None:
    """Run what is missing, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", choices=SUBSETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--bits", type=int, nargs="+", choices=BITS, default=list(BITS))
    parser.add_argument("--out", type=Path, default=Path("grid"), help="folder of the runs")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so long")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    try:
        for name in arguments.data:
            work_on(name, arguments, end)
    except LabtuneError as error:  # only refused cells were asked for, or the folder holds other runs
        parser.error(str(error))


def work_on(name: str, arguments: argparse.Namespace, end: float) -> None:
    """Run what is missing of one data set; the page is written when nothing is."""
    request, folder = request_of(name, arguments.out), arguments.out / name
    axes = axes_of(arguments.methods, arguments.bits, arguments.seeds)
    cells = sorted(plan_grid(request, folder, axes).cells, key=lambda cell: cell.settings.seed)
    for cell in cells:
        if cell.is_finished():
            continue
        if time.monotonic() > end:
            return
        run(request, folder, cell)
        collect(name, request, folder)
    compare(request, folder, axes)


def request_of(name: str, out: Path) -> Request:
    """Say what all runs of a data set share; its files are written once."""
    subset = SUBSETS[name]
    data = subset.write(out / "data" / name, SIZES[name])
    flags: dict[str, Any] = {
        **subset.settings,
        "encoder": subset.encoder,
        "epochs": EPOCHS,
        "data": data,
        "audit": "off",
    }
    flags["learning_rate"] = "auto"  # the method's own, not one that a preset chose for one of them
    return Request(load_catalog(), subset.task, flags)


def axes_of(methods: Sequence[str], bits: Sequence[int], seeds: Sequence[int]) -> dict[str, Sequence[str]]:
    """Write the values as they are typed."""
    return {"method": methods, "bits": [str(value) for value in bits], "seed": [str(seed) for seed in seeds]}


def run(request: Request, folder: Path, cell: Cell) -> None:
    """Run one cell."""
    chosen = cell.settings
    compare(request, folder, axes_of([chosen.method], [chosen.bits], [chosen.seed]))
    print(f"{time.strftime('%H:%M:%S')} {folder.name} {cell.name}", flush=True)


def collect(name: str, request: Request, folder: Path) -> None:
    """Write everything that is finished, whichever call it came from."""
    seeds = sorted({int(path.name.rpartition("-")[2]) for path in (folder / "runs").glob("*-bits-seed-*[0-9]")})
    grid = plan_grid(request, folder, axes_of(METHODS, BITS, seeds))
    runs = read_runs(grid)
    combinations = combine(runs)
    found = recommend(combinations, runs[0]["monitor"])
    content: dict[str, Any] = {
        "command": f"python benchmarks/quality/grid.py {name} --seeds {' '.join(map(str, seeds))}",
        "task": SUBSETS[name].task,
        "encoder": SUBSETS[name].encoder,
        "score": SUBSETS[name].score,
        "epochs": EPOCHS,
        "records": SIZES[name],
        "recommendation": asdict(found) if found else None,
        "combinations": [asdict(item) for item in combinations],
        "refused": [asdict(item) for item in grid.refused],
        "runs": [brief(run) for run in runs],
    }
    common.write(f"grid-{name}", content)


def brief(run: dict[str, Any]) -> dict[str, Any]:
    """What is kept of one run's ``metrics.json``."""
    score = run["monitor"].removeprefix("-")
    kept = {key: run[key] for key in ("method", "bits", "seed", "train", "disk_mb")}
    return kept | {part: run[part][score] for part in ("valid", "test", "baseline")}


if __name__ == "__main__":
    main()
