"""Contact maps for the report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from labtune.evaluation.sections import Figure, Section
from labtune.specs import Labels, Prediction, Record
from labtune_protein.pairs.metrics import ContactPrecision

SHOWN = 6  # chains drawn
SIZE = 320  # pixels of a map
TRUE, RIGHT, WRONG = "#999999", "#009e73", "#d55e00"  # told apart also with colour blindness (Okabe and Ito 2008)
STYLE = (
    "<style>text{font:11px sans-serif;fill:#333}.frame{fill:none;stroke:#999}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>"
)
NOTE = (
    "Upper right: the true contacts (grey). Lower left: the L likeliest pairs of each range, right (green) and wrong "
    "(orange); a fainter one is less likely. Pairs less than six residues apart are not judged."
)


def map_view(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Draw true against predicted contacts of chains from the worst to the best predicted, evenly chosen."""
    metric = ContactPrecision(labels)
    known = [row for row, record in enumerate(records) if record.target is not None]
    scores = {row: metric([predictions[row]], [records[row]])["p_at_l_long"] for row in known}
    ranked = sorted((row for row in known if scores[row] == scores[row]), key=scores.__getitem__)
    step = max(1, len(ranked) // SHOWN)
    return [_map(predictions[row], records[row], labels.names[0], scores[row]) for row in ranked[::step][:SHOWN]]


def _map(prediction: Prediction, record: Record, contact: str, score: float) -> Figure:
    size = len(record.input)
    true = {(first, second) for first, second, name in record.target if name == contact}
    cells = [_cell(first, second, TRUE, 1.0) for first, second in sorted(true)]
    for pairs in prediction.details["pairs"].values():
        for first, second, probability in pairs[:size]:
            colour = RIGHT if (first, second) in true else WRONG
            cells.append(_cell(second, first, colour, 0.3 + 0.7 * probability))
    scale = SIZE / size
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-30 -4 {SIZE + 40} {SIZE + 24}" width="{SIZE + 40}">{STYLE}'
        f'<g transform="scale({scale:.4f})">{"".join(cells)}</g><rect class="frame" width="{SIZE}" height="{SIZE}"/>'
        f'<text x="0" y="{SIZE + 14}">1</text><text x="{SIZE}" y="{SIZE + 14}" text-anchor="end">{size}</text></svg>'
    )
    alt = f"{escape(record.id)}: {score:.0%} of the L likeliest long-range pairs are contacts"
    return Figure(f"Contacts of {record.id}", svg, alt, NOTE)


def _cell(row: int, column: int, colour: str, opacity: float) -> str:
    return f'<rect x="{column}" y="{row}" width="1" height="1" fill="{colour}" opacity="{opacity:.2f}"/>'
