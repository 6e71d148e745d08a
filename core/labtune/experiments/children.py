"""Runs in processes of their own: what one uses or breaks, no other feels."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from labtune.training.interrupts import Interrupted, StopRequest

POLL = 0.05  # seconds


class Child:
    """A ``labtune`` command in a process of its own.

    Parameters
    ----------
    words
        Those after ``labtune``.
    log
        File for everything that it prints; None leaves its messages on standard error and drops its output.
    """

    def __init__(self, words: Sequence[str], log: Path | None = None) -> None:
        self.log = log
        stream = log.open("w", encoding="utf-8") if log else None
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "labtune.cli", *words],
                stdin=subprocess.DEVNULL,
                stdout=stream or subprocess.DEVNULL,
                stderr=stream,
            )
        finally:
            if stream:
                stream.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def code(self) -> int:
        """Exit code of one that has ended, 128 and the number for a signal, as shells have it."""
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def failure(self) -> str | None:
        """Why it failed, in one line; None when it did not."""
        code = self.process.returncode
        if code == 0:
            return None
        if code < 0:
            return f"killed by {signal.Signals(-code).name}; see {self.log}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log else []
        told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        return told[-1] if told else f"{next(iter(reversed(lines)), f'exit code {code}')}; see {self.log}"


def wait_for(children: Sequence[Child], folder: Path) -> None:
    """Wait until all have ended, and pass on a request to stop.

    Raises
    ------
    Interrupted
        If the user asked to stop; every child has ended then, and can be resumed.
    """
    with StopRequest(folder) as stop:
        told = False
        while any(child.process.poll() is None for child in children):
            if stop.requested and not told:
                told = True
                for child in children:
                    child.process.send_signal(signal.SIGTERM)
            time.sleep(POLL)
        if stop.requested:
            raise Interrupted("stopped; the same command goes on from here")
