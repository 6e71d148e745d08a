"""Reports of one or several runs, in any format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labtune.evaluation.report.content import RunContent, read_run
from labtune.evaluation.report.markdown import run_markdown
from labtune.evaluation.report.page import render
from labtune.evaluation.report.together import Together
from labtune.evaluation.sections import to_json
from labtune.folder import write_json, write_text


def write_reports(runs: Sequence[Path], out: Path | None = None, kind: str = "html") -> Path:
    """Write the report of a run, or one of several runs.

    Parameters
    ----------
    runs
        Folders of finished runs.
    out
        File; by default ``report`` with the kind as suffix, in the folder of a single run or in the current one.
    kind
        ``html``, ``md`` or ``json``.

    Raises
    ------
    RunError
        If a folder is no finished run, or the runs are of different tasks.
    """
    read = [read_run(path) for path in runs]
    folder = runs[0] if len(runs) == 1 else Path()
    target = out or folder / f"report.{kind}"
    if kind == "json":
        write_json(target, _content(read[0]) if len(read) == 1 else Together.of(read).to_json())
    elif len(read) == 1:
        write_text(target, render(read[0]) if kind == "html" else run_markdown(read[0]))
    else:
        together = Together.of(read)
        write_text(target, together.html() if kind == "html" else together.markdown())
    return target


def _content(run: RunContent) -> dict[str, object]:
    return {"name": run.name, "metrics": run.metrics, "sections": [to_json(section) for section in run.sections]}
