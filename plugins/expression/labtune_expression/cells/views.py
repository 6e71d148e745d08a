"""What the report of a classifier of cells shows beside the usual: the learned space, and which classes are rare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from labtune.evaluation.sections import Figure, Section, Text
from labtune.specs import Labels, Prediction, Record
from labtune_expression.cells.drawing import draw_classes

FEWEST, MOST = 20, 1000  # cells that are worth a map, and that are drawn at most
RARE = 10  # cells of a class below which its scores say little


def cell_views(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Name the rare classes, and draw the cells as the model sees them."""
    return [*_rare(records, labels), *_map(predictions, records, labels)]


def _rare(records: Sequence[Record], labels: Labels) -> list[Section]:
    counts = Counter(str(record.target) for record in records if record.target is not None)
    rare = [f"{name} ({counts[name]})" for name in labels.names if counts[name] < RARE]
    if not rare or not counts:
        return []
    text = f"Fewer than {RARE} of the judged records: {', '.join(rare)}. Their scores may be far off on other data."
    return [Text("Rare classes", [text])]


def _map(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    rows = [row for row, prediction in enumerate(predictions) if prediction.state is not None]
    if len(rows) < FEWEST:
        return []
    chosen = [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, MOST).astype(int))]
    states = np.stack([predictions[row].state for row in chosen]).astype(np.float32)
    classes = [
        str(records[row].target if records[row].target is not None else predictions[row].value) for row in chosen
    ]
    svg = draw_classes(flatten(states), classes, labels.names)
    shown = f"{len(chosen):,} of {len(rows):,} records" if len(chosen) < len(rows) else f"{len(chosen):,} records"
    note = (
        f"{shown}, by t-SNE of the states from which the model predicts; near means alike to the model, but distances "
        "between groups say nothing. Colour and shape: the true class."
    )
    return [Figure("Learned space", svg, f"Map of {shown} in {len(set(classes))} classes", note)]


def flatten(states: NDArray[np.float32]) -> NDArray[np.float64]:
    """Lay states ``(R, C)`` out on a plane ``(R, 2)`` by t-SNE (van der Maaten and Hinton 2008), always alike."""
    centred = states - states.mean(0)
    spread = max(float(centred.std()), 1e-12)
    perplexity = min(30.0, (len(states) - 1) / 3)
    found: NDArray[np.float64] = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(centred / spread)
    return found
