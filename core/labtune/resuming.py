"""What a resumed run must have in common with its beginning: the settings and the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labtune.catalog import Catalog
from labtune.errors import RunError, SettingsError
from labtune.folder import RunFolder
from labtune.settings import FIELDS, Settings, resolve_settings

FREE = ("batch_tokens", "shard", "tracker")  # of no consequence for what is learned from what; memory may call for it


def choose_settings(
    catalog: Catalog,
    task: str | None,
    flags: Mapping[str, Any],
    sets: Sequence[str],
    out: Path | None,
    resume: bool,
) -> Settings:
    """Resolve the settings of a new run, or take those that a run was begun with.

    Parameters
    ----------
    catalog
        What is installed.
    task, flags, sets
        What the user gave; see :func:`labtune.settings.resolve_settings`. To resume, nothing of it is needed.
    out, resume
        The run folder, and whether to go on with what is in it.

    Raises
    ------
    SettingsError
        If no task is named, or what is given differs from what the run was begun with.
    RunError
        If there is nothing to resume.
    """
    begun = RunFolder(out).settings if out and resume else None
    if begun is None or not begun.exists():
        if task:
            return resolve_settings(catalog, task, flags, sets)
        if not resume:
            raise SettingsError("name a task: 'labtune tasks' lists them")
        raise RunError(
            f"there is no run to resume in {out}" if out else "--resume needs the run folder: add --out FOLDER"
        )
    saved = Settings.from_toml(begun)
    file = task if task and task.endswith(".toml") else str(begun)
    given = resolve_settings(catalog, file, flags, sets)
    if task and file != task and task != saved.task:
        raise SettingsError(f"{begun.parent} is a run of {saved.task!r}, not of {task!r}; choose another --out")
    for name in FIELDS:
        now, before = getattr(given, name), getattr(saved, name)
        if now != before and name not in FREE:
            raise SettingsError(
                f"{name} is {now!r}, but {begun} says {before!r}: a resumed run keeps its settings; leave it out, or "
                "choose another --out"
            )
    return given


def check_data(folder: RunFolder, sha256: Mapping[str, str]) -> None:
    """Raise RunError if a data file is no longer what the run was begun with."""
    for part, digest in folder.facts().get("sha256", {}).items():
        if sha256.get(part) != digest:
            raise RunError(
                f"{folder.path}: the {part} data has changed since this run began; bring the old file back, or start "
                "anew with another --out"
            )
