"""The page of a comparison or a search, in the dress of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from labtune.evaluation.report.page import environment
from labtune.evaluation.sections import Section


@dataclass(frozen=True)
class Page:
    """What the page says.

    Parameters
    ----------
    kind, task
        ``comparison`` or ``search``, and of which task.
    headline, explanation
        The result in one sentence, and how it was found.
    facts
        Names and values under the headline.
    parts
        Sections by the title of their chapter; empty chapters are left out.
    command
        What to do next.
    """

    kind: str
    task: str
    headline: str
    explanation: str
    facts: Mapping[str, str | int]
    parts: Mapping[str, Sequence[Section]]
    command: str

    def render(self) -> str:
        """Return the page as HTML: one file that loads nothing."""
        templates = environment("labtune.experiments")
        style = Markup(templates.get_template("style.css").render())  # noqa: S704 our own file
        return templates.get_template("experiment.html.j2").render(page=self, style=style)
