"""Several processes on one machine: the same command again in each, under PyTorch's own launcher."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence


def is_worker() -> bool:
    """Say whether a launcher, ours or another, started this process."""
    return "RANK" in os.environ


def is_first_process() -> bool:
    """Say whether this is the process that speaks for all."""
    return os.environ.get("RANK", "0") == "0"


def launch(processes: int, argv: Sequence[str]) -> int:
    """Run ``labtune`` with these arguments in each process and return the exit code of the first that failed, or 0."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the workers tell their own errors
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
        _, failure = error.get_first_failure()
        return int(failure.exitcode) if failure.exitcode > 0 else 128 - int(failure.exitcode)
    except SignalException as error:
        raise KeyboardInterrupt from error
    return 0
