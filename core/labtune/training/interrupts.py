"""Stopping on request: the step in progress is finished and saved, so that the run can be resumed."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """The user asked to stop; the message says how to go on."""


class StopRequest:
    """Within this context, a first Ctrl-C or SIGTERM is a request; a second one stops at once.

    Parameters
    ----------
    folder
        The run folder, for the message.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requested = False
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

    def obey(self) -> None:
        """Stop here if it was requested; call it after a checkpoint."""
        if self.requested:
            raise Interrupted(f"stopped; go on with: labtune run --out {self.folder} --resume")

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
