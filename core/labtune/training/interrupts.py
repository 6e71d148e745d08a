"""Stopping on request: the step in progress is finished and saved, so that the run can be resumed."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """The user asked to stop; the message says how to go on."""


def how_to_go_on(folder: Path, command: str = "run", processes: int | None = None) -> str:
    """Say the command that resumes what is in a folder, by default with as many processes as there are."""
    count = processes or int(os.environ.get("WORLD_SIZE", "1"))
    several = f" --processes {count}" if count > 1 else ""
    return f"go on with: labtune {command} --out {shlex.quote(str(folder))} --resume{several}"


class StopRequest:
    """Within this context, Ctrl-C or SIGTERM is a request; a second Ctrl-C stops at once.

    A second SIGTERM says nothing new: cluster managers and launchers send the same one twice.

    Parameters
    ----------
    folder
        The run folder, for the message.
    command
        Likewise, what goes on with it.
    """

    def __init__(self, folder: Path, command: str = "run") -> None:
        self.folder = folder
        self.command = command
        self.requested = False
        self.terminated = False
        self.previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # signals reach no other thread
            for number in (signal.SIGINT, signal.SIGTERM):
                self.previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        if self.terminated:
            from labtune.processes import is_loss  # it loads torch, and a command line does without

            if is_loss(error):  # the launcher ends this process because another one died, and will say so
                signal.raise_signal(signal.SIGTERM)

    def obey(self) -> None:
        """Stop here if it was requested; call it after a checkpoint."""
        if self.requested:
            raise self.interruption()

    def interruption(self) -> Interrupted:
        """Say how to go on."""
        return Interrupted(f"stopped; {how_to_go_on(self.folder, self.command)}")

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
        self.terminated = self.terminated or number == signal.SIGTERM
