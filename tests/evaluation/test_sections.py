"""Sections go to JSON and back unchanged, whatever number types they were made of."""

import json

import numpy as np
import pytest

from labtune.evaluation.sections import (
    Bar,
    Bars,
    Curve,
    Example,
    Examples,
    Figure,
    Matrix,
    Scatter,
    Section,
    Segment,
    Table,
    Text,
    from_json,
    to_json,
)

EVERY_KIND = [
    Text("About", ["One paragraph.", "Another."], note="Read this."),
    Table("Per class", ["class", "F1", "records"], [["a", 0.5, 3], ["b", None, 0]]),
    Matrix("Confusion", ["a", "b"], ["a", "b"], np.array([[3, 1], [0, 2]])),
    Curve("Loss", "step", "loss", {"train": [(1, 0.5), (2, 0.25)]}, diagonal=True),
    Scatter("Values", "true", "predicted", np.array([[0.0, 0.5], [1.0, 1.5]])),
    Bars("Slices", "accuracy", [Bar("short", 0.5, 0.4, 0.6, 12), Bar("long", None)], reference=0.5),
    Examples("Errors", [Example("r1", "a for b", [Segment("Some "), Segment("text", "a", "b")])]),
    Figure("Map", "<svg xmlns='http://www.w3.org/2000/svg'/>", "a map"),
]


@pytest.mark.parametrize("section", EVERY_KIND, ids=lambda section: type(section).__name__)
def test_round_trip(section: Section) -> None:
    text = json.dumps(to_json(section), allow_nan=False)
    assert from_json(json.loads(text)) == section


def test_numbers_that_are_not_finite_become_none() -> None:
    table = Table("T", ["a", "b", "c"], [[float("nan"), np.float32("inf"), np.float64(0.5)]])
    assert table.rows == ((None, None, 0.5),)


def test_numpy_scalars_become_python_numbers() -> None:
    table = Table("T", ["a", "b", "c"], [[np.int64(2), np.float32(0.5), np.bool_(True)]])
    assert [type(cell) for cell in table.rows[0]] == [int, float, bool]


def test_examples_come_back_with_their_parts() -> None:
    back = from_json(json.loads(json.dumps(to_json(EVERY_KIND[6]))))
    assert isinstance(back, Examples)
    assert back.items[0].segments[1] == Segment("text", "a", "b")
    assert back.items[0].segments[1].truth == "a"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "movie", "title": "x"}, "no section of kind 'movie'; known: text, table"),
        ({"title": "x"}, "no section of kind None"),
        ({"kind": "table", "title": "x", "cells": []}, "kind 'table' cannot be read: .*cells"),
    ],
)
def test_unreadable_content_is_named(content: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(content)


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="cannot hold"):
        Table("T", ["a"], [[object()]])  # type: ignore[list-item]  # what is to be refused
