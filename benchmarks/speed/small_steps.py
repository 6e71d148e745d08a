"""What a small step saves by keeping memory that it frees, and a table for the gradient of token embeddings.

Processor time (the program's and the system's) and fresh pages of one training step of CoNLL-2003 with minilm, in one
thread: medians over the same steps. Time of the processor says little about time of the clock, but other work on the
machine hardly changes it.

    OMP_NUM_THREADS=1 python benchmarks/speed/small_steps.py
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import cases
import common
import torch
from accelerate import Accelerator

from labtune.data.batching import epoch_steps
from labtune.encoder.rows import row_gradients
from labtune.memory import keep_freed_memory
from labtune.training.journal import Journal
from labtune.training.optimisation import build_optimizer
from labtune.training.steps import StepRunner

STEPS = 4


def main() -> None:
    """Measure one after the other: what is kept once is kept for good."""
    torch.set_num_threads(1)
    case = cases.build("conll2003", steps=STEPS, asked=1, batch_size=32)
    rows = {"as the system does it": measure(case, rows=False), "a table for rows": measure(case, rows=True)}
    if not keep_freed_memory():
        raise SystemExit("this system's allocator cannot be told to keep memory")
    rows["memory kept"] = measure(case, rows=False)
    rows["both, as labtune does"] = measure(case, rows=True)
    print("written:", common.write("small_steps", {"command": "benchmarks/speed/small_steps.py", "rows": rows}))


def measure(case: cases.Case, *, rows: bool) -> dict[str, float]:
    """Medians of the steps, after one pass over them."""
    training = case.training(Path(tempfile.mkdtemp()))
    optimizer = build_optimizer(training.model.trainable(), case.settings, training.rates)
    accelerator = Accelerator(mixed_precision="bf16", cpu=True)
    wrapped, prepared = accelerator.prepare(training.model.train(), optimizer)
    step = StepRunner(training, accelerator, wrapped, prepared, case.settings.batch_tokens)
    plan = epoch_steps(len(case.train), case.settings.batch_size, seed=0, epoch=0)
    found = []
    with row_gradients(training.model) if rows else nullcontext():
        for number, chosen in enumerate([*plan, *plan]):
            before = used()
            step(chosen, number, Journal(None, total=None))
            found.append([after - start for after, start in zip(used(), before, strict=True)])
    seconds, pages = zip(*found[STEPS:], strict=True)
    result = {"processor_milliseconds": 1e3 * statistics.median(seconds), "fresh_pages": statistics.median(pages)}
    print(result, flush=True)
    return result


def used() -> tuple[float, int]:
    """Processor time and pages of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_minflt


if __name__ == "__main__":
    main()
