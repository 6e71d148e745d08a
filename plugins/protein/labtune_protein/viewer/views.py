"""Views of chains whose coordinates are known: coloured by prediction, truth, error and confidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from labtune.evaluation.sections import Section
from labtune.specs import Labels, Prediction, Record
from labtune_protein.structure.chains import Chain
from labtune_protein.structure.sources import chain_of
from labtune_protein.structure.writing import LONGEST
from labtune_protein.viewer.scenes import RIGHT, UNKNOWN, WRONG, Scene, frame, shade
from labtune_protein.views import COLOURS

SHOWN = 8  # chains
LINES = 2  # a predicted contact is drawn for every so many residues
NOTE = "Drag to turn, scroll to come nearer. "
ERROR = (("right", RIGHT), ("wrong", WRONG), ("no truth", UNKNOWN))
CONFIDENCE = (("unsure", shade(0)), ("sure", shade(1)))
NUMBERS = (("low", shade(0)), ("high", shade(1)))
VALUE_LEGENDS = {
    "prediction": NUMBERS,
    "truth": NUMBERS,
    "error": (("near", shade(0)), ("far off", shade(1)), ("no truth", UNKNOWN)),
}

Known: TypeAlias = tuple[Prediction, Record, Chain]


def residue_scenes(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Show chains coloured by what is predicted of each residue."""
    known = list(_known(predictions, records))
    if not known:
        return []
    if labels.kind == "values":
        return [frame("Chains", _value_scenes(known), VALUE_LEGENDS, NOTE)]
    named = tuple(zip(labels.names, _cycle(labels.names), strict=True))
    legends = {"prediction": named, "truth": named, "error": ERROR, "confidence": CONFIDENCE}
    return [frame("Chains", [_class_scene(*one, labels.names) for one in known], legends, NOTE)]


def contact_scenes(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Show chains with their likeliest long-range contacts as lines, and how many of each residue's are right."""
    scenes = [_contact_scene(*known, labels.names[0]) for known in _known(predictions, records)]
    error = (("all right", shade(0)), ("all wrong", shade(1)), ("none predicted", UNKNOWN))
    likely = (("unlikely", shade(0)), ("likely", shade(1)), ("none predicted", UNKNOWN))
    note = f"{NOTE}Lines are the likeliest long-range pairs, one for every {LINES} residues: green right, orange wrong."
    return [frame("Contacts in the chains", scenes, {"error": error, "probability": likely}, note)] if scenes else []


def _known(predictions: Sequence[Prediction], records: Sequence[Record]) -> Iterator[Known]:
    """Yield the first records whose structure can be read."""
    found = 0
    for prediction, record in zip(predictions, records, strict=True):
        chain = chain_of(record) if found < SHOWN and record.target is not None else None
        if chain is not None and len(chain.sequence) <= LONGEST:
            found += 1
            yield prediction, record, chain


def _class_scene(prediction: Prediction, record: Record, chain: Chain, names: Sequence[str]) -> Scene:
    colour: dict[str | None, str] = {None: UNKNOWN, **dict(zip(names, _cycle(names), strict=True))}
    sure = prediction.confidence if isinstance(prediction.confidence, Sequence) else [None] * len(record.target)
    colours = {
        "prediction": [colour[name] for name in prediction.value],
        "truth": [colour[name] for name in record.target],
        "error": [
            UNKNOWN if true is None else RIGHT if true == found else WRONG
            for true, found in zip(record.target, prediction.value, strict=True)
        ],
        "confidence": [shade(number) for number in sure],
    }
    return Scene.of(record.id, chain, colours)


def _value_scenes(known: Sequence[Known]) -> list[Scene]:
    """Colour numbers on one scale over all truths shown."""
    truths = np.concatenate([_numbers(record.target) for _, record, _ in known])
    low, high = (float(np.nanquantile(truths, share)) for share in (0.02, 0.98))
    spread = (high - low) or 1.0
    scenes = []
    for prediction, record, chain in known:
        true, found = _numbers(record.target), _numbers(prediction.value)
        shown = {
            "prediction": (found - low) / spread,
            "truth": (true - low) / spread,
            "error": np.abs(true - found) / spread,
        }
        colours = {
            name: [shade(None if np.isnan(number) else float(number)) for number in numbers]
            for name, numbers in shown.items()
        }
        scenes.append(Scene.of(record.id, chain, colours))
    return scenes


def _contact_scene(prediction: Prediction, record: Record, chain: Chain, contact: str) -> Scene:
    true = {(first, second) for first, second, name in record.target if name == contact}
    size = len(record.input)
    drawn = prediction.details.get("pairs", {}).get("long", ())[: size // LINES]
    wrong: list[list[float]] = [[] for _ in range(size)]
    likely: list[list[float]] = [[] for _ in range(size)]
    lines = []
    for first, second, probability in drawn:
        right = (first, second) in true
        lines.append((first + 1, second + 1, RIGHT if right else WRONG))
        for residue in (first, second):
            wrong[residue].append(float(not right))
            likely[residue].append(probability)
    colours = {
        "error": [shade(float(np.mean(some)) if some else None) for some in wrong],
        "probability": [shade(max(some) if some else None) for some in likely],
    }
    return Scene.of(record.id, chain, colours, lines)


def _cycle(names: Sequence[str]) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(len(names))]


def _numbers(values: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if value is None else float(value) for value in values])
