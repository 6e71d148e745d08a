"""Sections of the report: true and predicted states along the chains."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from labtune.evaluation.sections import Figure, Section
from labtune.specs import Labels, Prediction, Record

SHOWN = 8  # chains drawn
LINE = 100  # residues a row
CELL, ROW = 8, 13  # pixels
# Colours that people with colour blindness tell apart (Okabe and Ito 2008); further classes repeat them.
COLOURS = ("#d55e00", "#0072b2", "#999999", "#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#f0e442")
STYLE = "<style>text{font:11px monospace;fill:#333}@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>"
NOTE = (
    "One chain each: letters, the true classes, the predicted ones, and how confident the model is (darker is more "
    "confident). Residues without truth are left blank."
)


def track_view(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Draw chains from the worst to the best predicted, evenly chosen, with truth and prediction below each other."""
    if labels.kind != "classes":
        return []
    known = [row for row, record in enumerate(records) if isinstance(record.target, list)]
    ranked = sorted(known, key=lambda row: _accuracy(predictions[row], records[row]))
    step = max(1, len(ranked) // SHOWN)
    return [_track(predictions[row], records[row], labels) for row in ranked[::step][:SHOWN]]


def _accuracy(prediction: Prediction, record: Record) -> float:
    pairs = [(true, found) for true, found in zip(record.target, prediction.value, strict=True) if true is not None]
    return sum(true == found for true, found in pairs) / max(len(pairs), 1)


def _track(prediction: Prediction, record: Record, labels: Labels) -> Figure:
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(labels.names)}
    parts: list[str] = []
    top = ROW
    for start in range(0, len(record.input), LINE):
        parts += _row(prediction, record, colours, start, top)
        top += 5 * ROW
    legend = "".join(
        f'<rect x="{90 * index}" y="{top - 10}" width="10" height="10" fill="{colour}"/>'
        f'<text x="{90 * index + 14}" y="{top}">{escape(name[:10])}</text>'
        for index, (name, colour) in enumerate(colours.items())
    )
    width = max(60 + CELL * min(LINE, len(record.input)), 90 * len(colours))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + 4}" width="{width}">'
        f"{STYLE}{''.join(parts)}{legend}</svg>"
    )
    share = _accuracy(prediction, record)
    return Figure(f"Chain {record.id}", svg, f"{record.id}: {share:.0%} of the residues are right", NOTE)


def _row(prediction: Prediction, record: Record, colours: dict[str, str], start: int, top: int) -> list[str]:
    end = min(start + LINE, len(record.input))
    cells = [f'<text x="0" y="{top + line * ROW}">{name}</text>' for line, name in enumerate(("", "truth", "found"))]
    confidence = prediction.confidence if isinstance(prediction.confidence, Sequence) else [1.0] * len(record.input)
    for position in range(start, end):
        x = 50 + CELL * (position - start)
        cells.append(f'<text x="{x}" y="{top}" textLength="{CELL - 1}">{record.input[position]}</text>')
        if record.target[position] is not None:
            cells.append(_cell(x, top + ROW, colours[record.target[position]], 1.0))
        cells.append(_cell(x, top + 2 * ROW, colours[prediction.value[position]], confidence[position]))
    return cells


def _cell(x: int, baseline: int, colour: str, opacity: float) -> str:
    return f'<rect x="{x}" y="{baseline - 10}" width="{CELL}" height="10" fill="{colour}" opacity="{opacity:.2f}"/>'
