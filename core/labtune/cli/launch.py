"""Several processes on one machine: the same command again in each, under PyTorch's own launcher."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence

from labtune.errors import TrainingError

GRACE = 5.0  # seconds; launchers need a tenth


def is_worker() -> bool:
    """Say whether a launcher, ours or another, started this process."""
    return "RANK" in os.environ


def is_first_process() -> bool:
    """Say whether this is the process that speaks for all."""
    return os.environ.get("RANK", "0") == "0"


def wait_for_first() -> None:
    """Let the first process tell an error that all have: when it ends, the launcher ends this one meanwhile."""
    if not is_first_process():
        time.sleep(GRACE)


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Add the option that asks for several."""
    parser.add_argument("--processes", metavar="P", type=count, default=1, help="processes on this machine")


def launch(processes: int, argv: Sequence[str], *, advice: str = "go on with --resume") -> int:
    """Run ``labtune`` with these arguments in each process.

    Parameters
    ----------
    processes
        How many.
    argv
        Words after ``labtune``.
    advice
        What to do when one of them was killed.

    Returns
    -------
    int
        0, or the exit code of the first process that failed; 128 and the number for a signal, as shells have it.

    Raises
    ------
    TrainingError
        If a process was killed, because then it could not say so itself.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in ("", ".agent.server.api"):  # the workers tell their own errors
        logging.getLogger(f"torch.distributed.elastic{name}").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id=f"labtune-{os.getpid()}",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "labtune.cli", *argv)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode > 0:
            return int(failure.exitcode)
        name = signal.Signals(-failure.exitcode).name
        raise TrainingError(f"process {rank + 1} of {processes} was killed ({name}); {advice}") from error
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


def count(text: str) -> int:
    """Read a number of processes or the like; argparse tells what it raises."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, not {text!r}")
    return int(text)
