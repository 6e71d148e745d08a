"""What variants do: the predictions for reference and alternative, and their difference."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labtune.deploy.predictor import load
from labtune.errors import DataError, SettingsError, nearest
from labtune.explain.explaining import read_records
from labtune.explain.scoring import Scorer
from labtune.explain.table import csv_line
from labtune.explain.variants import Variant, read_variants, spelling_of
from labtune.folder import finite, write_text
from labtune.specs import Labels, Prediction, Record

KEYS = ("id", "position", "ref", "alt", "output", "reference", "alternative", "difference", "spread")


def score_variants(
    run: str | Path, file: str | Path, variants: str | Path, out: str | Path | None = None
) -> dict[str, Any]:
    """Predict every variant beside its reference.

    Parameters
    ----------
    run
        Run folder.
    file
        The records that the variants change.
    variants
        See :func:`labtune.explain.variants.read_variants`.
    out
        Table to write, ``.jsonl`` or ``.csv``; ``VARIANTS.effects.jsonl`` by default.

    Returns
    -------
    dict
        ``out``, ``variants``, and ``largest``: the line with the largest difference.

    Raises
    ------
    LabtuneError
        If the run, a file or a variant does not fit; nothing is written then.
    """
    target = Path(out) if out else Path(variants).with_name(f"{Path(variants).name}.effects.jsonl")
    if target.suffix not in (".jsonl", ".csv"):
        raise SettingsError(f"{target}: effects are written as .jsonl or .csv; choose another --out")
    predictor = load(run)
    scorer = Scorer(predictor)  # refuses what predicts for parts of a record
    records = {record.id: record for record in read_records(predictor, Path(file))}
    asked = list(read_variants(Path(variants)))
    references = [_named(records, variant, file) for variant in asked]
    spelling = spelling_of(scorer.tokenizer)
    alternatives = [variant.of(record, spelling) for variant, record in zip(asked, references, strict=True)]
    if not asked:
        raise DataError(f"{variants}: there is no variant; give one a line")
    used = {record.id: record for record in references}
    known = dict(zip(used, predictor.predict(list(used.values())), strict=True))
    rows = [
        row
        for variant, changed in zip(asked, predictor.predict(alternatives), strict=True)
        for row in effects(variant, known[variant.id], changed, scorer.labels)
    ]
    write_text(target, "".join(_lines(rows, target.suffix)))
    largest = max(rows, key=lambda row: abs(row["difference"]))
    return {"out": str(target), "variants": len(asked), "largest": finite(largest)}


def effects(variant: Variant, before: Prediction, after: Prediction, labels: Labels) -> Iterator[dict[str, Any]]:
    """Compare two predictions: every number, or the probability of the class or label that was the likeliest.

    The spread is half the width of an interval for the difference, at the coverage of the run, that would hold if the
    errors of both predictions were independent. They are mostly alike, so it is wide rather than narrow. It is None
    where predictions have no intervals.
    """
    about = {"id": variant.id, "position": variant.position, "ref": variant.ref, "alt": variant.alt}
    if labels.kind == "values":
        first, second = (np.reshape(one.value, -1).astype(float) for one in (before, after))
        spreads = [_half_widths(one, len(first)) for one in (before, after)]
        for place, name in enumerate(labels.names):
            spread = None if None in spreads else math.hypot(*(some[place] for some in spreads if some))
            yield {**about, **_difference(name, first[place], second[place]), "spread": spread}
        return
    place = int(np.argmax(before.probabilities))
    yield {
        **about,
        **_difference(labels.names[place], before.probabilities[place], after.probabilities[place]),
        "spread": None,
    }


def _difference(name: str, before: float, after: float) -> dict[str, Any]:
    return {
        "output": name,
        "reference": float(before),
        "alternative": float(after),
        "difference": float(after) - float(before),
    }


def _half_widths(prediction: Prediction, outputs: int) -> list[float] | None:
    interval = prediction.details.get("interval")
    if interval is None:
        return None
    ends = np.reshape(interval, (outputs, 2)).astype(float)
    halves: list[float] = (np.diff(ends)[:, 0] / 2).tolist()
    return halves


def _named(records: Mapping[str, Record], variant: Variant, file: str | Path) -> Record:
    if variant.id not in records:
        raise DataError(f"{variant.source}: {file} has no record {variant.id!r}. {nearest(variant.id, records)}")
    return records[variant.id]


def _lines(rows: Sequence[Mapping[str, Any]], suffix: str) -> Iterator[str]:
    if suffix == ".csv":
        yield csv_line(list(KEYS))
        yield from (csv_line([row[key] for key in KEYS]) for row in rows)
    else:
        yield from (json.dumps(finite(row), ensure_ascii=False) + "\n" for row in rows)
