"""Explain the predictions of a finished run for a file: a table and a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from labtune.catalog import call_target
from labtune.deploy.predictor import Predictor, load
from labtune.errors import DataError, SettingsError
from labtune.explain.attribution import STEPS, Explanation, by_gradients, by_substitution
from labtune.explain.page import SHOWN, Page
from labtune.explain.scoring import Scorer
from labtune.explain.table import writer_of
from labtune.folder import write_text
from labtune.specs import Record

METHODS = ("substitution", "gradients")
SCORES = {
    "classes": "Scores are logarithms of the probability of the named class",
    "multilabel": "Scores are log odds of the named label",
    "values": "Scores are predicted numbers",
}
MEANINGS = {
    "substitution": "a part carries how much the score falls on average when something else stands in its place.",
    "gradients": "parts add up to what the record scores beyond a blank one (integrated gradients).",
}


def explain_file(
    run: str | Path,
    file: str | Path,
    out: str | Path | None = None,
    *,
    method: str = "substitution",
    output: str | None = None,
    steps: int = STEPS,
) -> dict[str, Any]:
    """Explain every record of a file.

    Parameters
    ----------
    run
        Run folder.
    file
        In any format that the task reads; labels are not needed.
    out
        Table to write, ``.jsonl`` or ``.csv``; ``FILE.explained.jsonl`` by default. The page lies beside it.
    method
        ``substitution`` or ``gradients``.
    output
        Name of the class, label or number to explain; the predicted one, or every number, by default.
    steps
        Of gradients.

    Returns
    -------
    dict
        ``out``, ``page``, ``records``, ``explanations``, and with gradients ``largest_gap``.

    Raises
    ------
    LabtuneError
        If the run, the file or the method does not fit.
    """
    target = Path(out) if out else Path(file).with_name(f"{Path(file).name}.explained.jsonl")
    lines, heading = writer_of(target)
    predictor = load(run)
    scorer = Scorer(predictor)
    explain = explainer(scorer, method, output, steps)
    explanations: list[Explanation] = []
    records = 0
    for record in read_records(predictor, Path(file)):
        records += 1
        explanations += explain(record)
    table = [heading(explanations[0]), *(line for one in explanations for line in lines(one))]
    facts = {"run": Path(run).resolve().name, "file": Path(file).name, "records": records, "method": method}
    page = target.with_suffix(".html")
    write_text(target, "".join(table))
    write_text(page, _page(scorer, method, facts, explanations).render())
    found = {"out": str(target), "page": str(page), "records": records, "explanations": len(explanations)}
    gaps = [one.gap for one in explanations if one.gap is not None]
    return {**found, "largest_gap": max(gaps)} if gaps else found


def _page(scorer: Scorer, method: str, facts: dict[str, Any], explanations: list[Explanation]) -> Page:
    if len(explanations) > SHOWN:
        facts = {**facts, "shown here": f"{SHOWN} of {len(explanations)}; the table has all"}
    words = f"{SCORES[scorer.labels.kind]}; {MEANINGS[method]}"
    return Page(scorer.parts.task.name, words, facts, explanations[:SHOWN])


def explainer(
    scorer: Scorer, method: str, output: str | None = None, steps: int = STEPS
) -> Callable[[Record], list[Explanation]]:
    """Return a function that explains one record.

    Raises
    ------
    SettingsError
        If the method is unknown, there are too few steps, or the run knows no way at all.
    """
    if method not in METHODS:
        raise SettingsError(f"the method of an explanation is {method!r}; use {' or '.join(METHODS)}")
    if steps < 2:
        raise SettingsError(f"gradients are taken at {steps} points; 2 is the least")
    _check_ways(scorer)
    if method == "gradients":
        return partial(by_gradients, scorer, wanted=output, steps=steps)
    return partial(by_substitution, scorer, wanted=output)


def _check_ways(scorer: Scorer) -> None:
    """Refuse records that have no pieces, lest the message of one method send to the other."""
    replaces = any(getattr(scorer.tokenizer, name, None) is not None for name in ("alphabet", "vocabulary"))
    if not replaces and not scorer.model.encoder.fades:
        raise SettingsError(
            f"this run of {scorer.parts.task.name} reads a record as numbers, not in pieces that can be explained: "
            "train a preset whose tokenizer makes tokens"
        )


def read_records(predictor: Predictor, file: Path) -> Iterator[Record]:
    """Yield the records of a file without their targets; raises DataError when there is none."""
    reader, options = predictor.parts.task.reader, predictor.settings.reader
    count = 0
    for record in call_target(reader, file, what="reader option", labelled=False, **options):
        count += 1
        yield replace(record, target=None)
    if not count:
        raise DataError(f"{file}: no record found; give a file with at least one")
