"""What a training tells while it runs: ``log.jsonl``, and a bar on a terminal or plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from labtune.errors import RunError
from labtune.folder import finite, write_text
from labtune.training.trackers import Tracker


class Journal:
    """Appends one JSON line an event, and shows progress on standard error.

    Parameters
    ----------
    path
        The log file, or None for a process that is not the writer.
    total
        Optimiser steps of the whole run; None when it ends by the clock.
    start, epochs
        Steps and epochs that are already done. Later lines of an interrupted run are taken back.
    tracker
        Is told steps and epochs, too.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        total: int | None,
        start: int = 0,
        epochs: int = 0,
        tracker: Tracker | None = None,
    ) -> None:
        self.path = path
        self.tracker = tracker
        if path is not None:
            _keep_until(path, start, epochs)
        visible = path is not None and sys.stderr.isatty()
        self.bar = tqdm(total=total, initial=start, unit="step", disable=not visible, file=sys.stderr)
        self.plain = path is not None and not visible
        self.total = total
        self.said = time.monotonic()

    def step(self, step: int, *, loss: float, learning_rate: float, tokens: int) -> None:
        """One optimiser step is done."""
        self._append("step", step=step, loss=loss, learning_rate=learning_rate, tokens=tokens)
        if self.tracker is not None:
            self.tracker.log({"train/loss": loss, "train/learning_rate": learning_rate}, step)
        self.bar.update(1)
        self.bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        if self.plain and time.monotonic() - self.said > 10:
            self.say(f"step {step}/{self.total or '?'}  loss {loss:.4f}")

    def epoch(self, epoch: int, *, step: int, train_loss: float, valid: dict[str, float]) -> None:
        """One epoch is done and scored."""
        self._append("epoch", epoch=epoch, step=step, train_loss=train_loss, valid=valid)
        if self.tracker is not None:
            scored = {f"valid/{name}": value for name, value in valid.items()}
            self.tracker.log({"epoch": epoch, "train/epoch_loss": train_loss, **scored}, step)
        scores = "  ".join(f"{name} {value:.4f}" for name, value in list(valid.items())[:4])
        self.say(f"epoch {epoch}  train loss {train_loss:.4f}  {scores}")

    def event(self, kind: str, message: str, **fields: Any) -> None:
        """Anything else worth knowing later; with a ``step`` or ``epoch`` when it would happen again after resuming."""
        self._append(kind, message=message, **fields)
        self.say(message)

    def say(self, message: str) -> None:
        """Write a line for people."""
        if self.path is not None:
            self.said = time.monotonic()
            tqdm.write(message, file=sys.stderr)

    def close(self) -> None:
        """End the bar."""
        self.bar.close()
        if self.tracker is not None:
            self.tracker.close()

    def _append(self, event: str, **fields: Any) -> None:
        if self.path is None:
            return
        line = json.dumps(finite({"event": event, "time": round(time.time(), 3), **fields}), ensure_ascii=False)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot write ({error.strerror}); free space and go on with --resume"
            ) from error


def _keep_until(path: Path, step: int, epochs: int) -> None:
    """Drop lines after ``step`` or ``epochs``: a resumed run writes them again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # the process died within this line
            continue
        if event.get("step", 0) <= step and event.get("epoch", 0) <= epochs:
            kept.append(line + "\n")
    write_text(path, "".join(kept))
