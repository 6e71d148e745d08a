"""What audit, baseline, intervals, calibration and slices add to a run on CoNLL-2003.

The functions that do them are timed where the run calls them, and compared with the rest of the same run. One epoch is
trained, where presets train five: the less is trained, the larger the share of the rest.

    python benchmarks/evaluation/cost.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common

from labtune.catalog import load_catalog
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings

# What the run calls, by what it is for; what one calls of another is its own.
STEPS = {
    "audit": ("labtune.pipeline:audit_records",),
    "baseline": ("labtune.evaluation.evaluate:score_baseline",),
    "intervals": ("labtune.evaluation.evaluate:score",),
    "calibration": (
        "labtune.evaluation.evaluate:fit_calibration",
        "labtune.evaluation.evaluate:_judge_confidence",
    ),
    "slices": ("labtune.evaluation.evaluate:_judge_slices",),
}


class Clock:
    """Adds up wall-clock and processor seconds of functions while they are replaced by timed ones."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.running = False

    def time(self, step: str, target: str) -> None:
        """Replace a function, given as ``module:name``, by one that is timed under the name of a step."""
        module, name = target.split(":")
        self._replace(import_module(module), name, step)

    def _replace(self, module: Any, name: str, step: str) -> None:
        original: Callable[..., Any] = getattr(module, name)
        total = self.seconds.setdefault(step, [0.0, 0.0])

        def timed(*arguments: Any, **options: Any) -> Any:
            if self.running:
                return original(*arguments, **options)
            began, self.running = (time.perf_counter(), time.process_time()), True
            try:
                return original(*arguments, **options)
            finally:
                self.running = False
                total[0] += time.perf_counter() - began[0]
                total[1] += time.process_time() - began[1]

        setattr(module, name, timed)


def main() -> None:
    """Run once, print the shares, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, metavar="K", help="take every K-th document")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    catalog = load_catalog()
    clock = Clock()
    for step, targets in STEPS.items():
        for target in targets:
            clock.time(step, target)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        files = {p: str(common.conll2003(place / "data", p, arguments.every)) for p in ("train", "valid", "test")}
        settings = resolve_settings(catalog, "ner.conll2003", {"data": files, "epochs": arguments.epochs})
        began = time.perf_counter(), time.process_time()
        metrics = run_settings(settings, place / "run", catalog=catalog).metrics
    total = [time.perf_counter() - began[0], time.process_time() - began[1]]
    found = shares(clock.seconds, total)
    found |= {
        "epochs": arguments.epochs,
        "every": arguments.every,
        "train_seconds": metrics["train"]["seconds"],
        "split": metrics["split"],
    }
    print(found)
    if not arguments.dry:
        print(
            "written:",
            common.write("cost", {"command": f"benchmarks/evaluation/cost.py --every {arguments.every}", **found}),
        )


def shares(steps: dict[str, list[float]], total: list[float]) -> dict[str, Any]:
    """Seconds of each step and of the rest, and what all steps add to the rest."""
    together = [sum(seconds[clock] for seconds in steps.values()) for clock in (0, 1)]
    return {
        "steps": {step: {"wall": seconds[0], "processor": seconds[1]} for step, seconds in steps.items()},
        "total": {"wall": total[0], "processor": total[1]},
        "added": {
            name: together[clock] / (total[clock] - together[clock]) for clock, name in enumerate(("wall", "processor"))
        },
    }


if __name__ == "__main__":
    main()
