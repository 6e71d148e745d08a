"""The page of explanations, in the dress of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from labtune.evaluation.report.page import environment
from labtune.explain import logo
from labtune.explain.attribution import Explanation

SHOWN = 50  # explanations on the page


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Parameters
    ----------
    task
        Of the run.
    score
        What is explained, and what attributions mean, in words.
    facts
        Names and values under the title.
    explanations
        At most ``SHOWN``.
    """

    task: str
    score: str
    facts: Mapping[str, str | int]
    explanations: Sequence[Explanation]

    def render(self) -> str:
        """Return the page as HTML: one file that loads nothing."""
        templates = environment("labtune.explain")
        style = Markup(templates.get_template("style.css").render())  # noqa: S704 our own file
        return templates.get_template("explain.html.j2").render(page=self, logo=logo, style=style)
