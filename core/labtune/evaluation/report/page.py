"""Writing the page: the run's content through the template."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from labtune.evaluation.report import frames, layout, plots, words
from labtune.evaluation.report.content import RunContent, read_run
from labtune.evaluation.report.curves import learning_curves
from labtune.evaluation.report.limits import limits
from labtune.evaluation.report.verdict import judge
from labtune.evaluation.sections import Examples, Matrix
from labtune.folder import RunFolder, write_text
from labtune.settings import FACTS


def write_report(run: Path) -> Path:
    """Write ``report.html`` from the other files of a run folder.

    Parameters
    ----------
    run
        The folder of a finished run.

    Returns
    -------
    Path
        The page: one file that needs no other and no network, and runs no script but those of its frames.

    Raises
    ------
    RunError
        If the folder is no finished run, a file in it cannot be read, or the page cannot be written.
    """
    page = RunFolder(run).report
    write_text(page, render(read_run(run)))
    return page


def render(run: RunContent) -> str:
    """Return the page as HTML."""
    templates = environment()
    folder, again = shlex.quote(f"{run.name}/run.toml"), shlex.quote(f"{run.name}-again")
    return templates.get_template("report.html.j2").render(
        run=run,
        verdict=judge(run),
        limits=limits(run),
        style=Markup(templates.get_template("style.css").render()),  # noqa: S704 our own file
        findings=[section for section in run.sections if not isinstance(section, Examples)],
        examples=[section for section in run.sections if isinstance(section, Examples)],
        curves=learning_curves(run),
        command=f"labtune run {folder} --out {again}",
        settings=dict(_flat({key: value for key, value in run.settings.items() if key != FACTS})),
        facts=dict(_flat(run.settings.get(FACTS, {}))),
    )


def environment(*packages: str) -> Environment:
    """Return the templates of the report, and those of further packages before them."""
    templates = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "labtune.evaluation.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals.update(
        frames=frames,
        plots=plots,
        words=words,
        layout=layout,
        shades=shades,
        kind=lambda section: type(section).__name__,
    )
    templates.filters["image"] = image
    return templates


def image(svg: str) -> str:
    """Return markup as the address of an image: a browser runs no script in it and lets it load nothing."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def shades(matrix: Matrix) -> list[list[float]]:
    """Share of each row's total, 0 to 1, for its shading."""
    rows = [[abs(value or 0) for value in row] for row in matrix.values]
    return [[round(value / (sum(row) or 1), 3) for value in row] for row in rows]


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Entries of nested tables under dotted names."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
