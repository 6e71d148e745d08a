"""The run folder: what a training leaves, enough to repeat, judge and deploy it.

Layer by layer: ``run.toml`` settings and provenance, ``split.json`` which record
is in which part, ``audit.json`` findings on the data, ``metrics.json`` scores, ``sections.json`` the report's content,
``predictions.jsonl``, ``report.html``, ``model/``, ``checkpoints/`` and ``log.jsonl``.
"""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labtune.errors import RunError
from labtune.settings import FACTS


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Names of the files in a run folder, and safe writing of them."""

    path: Path

    @property
    def settings(self) -> Path:
        """Resolved settings, versions and data hashes."""
        return self.path / "run.toml"

    @property
    def metrics(self) -> Path:
        """Scores; it is written last, so a folder that has it is complete."""
        return self.path / "metrics.json"

    @property
    def sections(self) -> Path:
        """Tables and figures of the report."""
        return self.path / "sections.json"

    @property
    def audit(self) -> Path:
        """What the data check found."""
        return self.path / "audit.json"

    @property
    def split(self) -> Path:
        """Ids of the records of each part, and their hash; ``--split ids:FILE`` takes it."""
        return self.path / "split.json"

    @property
    def predictions(self) -> Path:
        """Test predictions with confidence."""
        return self.path / "predictions.jsonl"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    @property
    def model(self) -> Path:
        """Weights, tokenizer and labels."""
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        """Latest and best state of training."""
        return self.path / "checkpoints"

    @property
    def log(self) -> Path:
        """One JSON line a step or event."""
        return self.path / "log.jsonl"

    def facts(self) -> dict[str, Any]:
        """With what the run was begun: versions and data hashes; empty when it was not."""
        try:
            facts: dict[str, Any] = tomllib.loads(self.settings.read_text(encoding="utf-8")).get(FACTS, {})
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RunError(f"{self.settings} cannot be read; the run folder is damaged") from error
        return facts

    def require_complete(self) -> None:
        """Raise RunError unless this is the folder of a finished run."""
        if not self.path.is_dir():
            raise RunError(f"{self.path}: no such run folder")
        if not self.metrics.exists():
            state = "was not finished; go on with --resume" if self.settings.exists() else "is not a run folder"
            raise RunError(f"{self.path} {state}")


def claim(out: Path | None, task: str, *, resume: bool) -> RunFolder:
    """Choose the run folder and make sure it is free, or resumable; nothing is written yet.

    Raises
    ------
    RunError
        If the folder exists and ``resume`` is not set, or holds something else than a run.
    """
    if out is None:
        if resume:
            raise RunError("--resume needs the run folder: add --out FOLDER")
        return RunFolder(_free_name(Path("runs"), task))
    folder = RunFolder(out)
    if not out.exists():
        return folder
    if not out.is_dir():
        raise RunError(f"{out} is a file; choose another --out")
    if resume and (folder.settings.exists() or not any(out.iterdir())):
        return folder
    if any(out.iterdir()):
        hint = (
            "add --resume to go on with it, or choose another --out"
            if folder.settings.exists()
            else "choose another --out"
        )
        raise RunError(f"{out} exists and is not empty; {hint}")
    return folder


def write_text(path: Path, text: str) -> None:
    """Write beside and rename, so that a reader sees the whole file or none."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot write ({error.strerror})") from error


def write_json(path: Path, content: Any) -> None:
    """Write JSON, with null for numbers that are not finite."""
    write_text(path, json.dumps(finite(content), indent=2, ensure_ascii=False) + "\n")


def finite(content: Any) -> Any:
    """Replace NaN and infinities, which JSON does not have, by None."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return content


def _free_name(parent: Path, task: str) -> Path:
    number = 1
    while (parent / f"{task}-{number}").exists():
        number += 1
    return parent / f"{task}-{number}"
