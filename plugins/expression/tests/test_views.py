"""What the report shows of cells: a map in which groups stay groups, and the classes that are rare."""

import xml.etree.ElementTree as ET

import numpy as np

from labtune.evaluation.sections import Figure, Text
from labtune.specs import Labels, Prediction, Record
from labtune_expression.cells.views import cell_views, flatten

NAMES = ("a", "b", "<c>")


def cells(counts):
    rng = np.random.default_rng(0)
    rows = [
        (name, number) for number, (name, count) in enumerate(zip(NAMES, counts, strict=True)) for _ in range(count)
    ]
    predictions = [
        Prediction(str(row), name, 0.9, state=(10 * np.eye(3)[number] + rng.normal(size=3)).astype(np.float16))
        for row, (name, number) in enumerate(rows)
    ]
    return predictions, [Record(str(row), None, name) for row, (name, _) in enumerate(rows)]


def test_groups_stay_groups():
    predictions, _ = cells((30, 30, 30))
    points = flatten(np.stack([prediction.state for prediction in predictions]).astype(np.float32))
    centres = points.reshape(3, 30, 2).mean(1)
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(1)
    assert nearest.tolist() == [0] * 30 + [1] * 30 + [2] * 30


def test_the_map_is_drawn_and_rare_classes_are_named():
    predictions, records = cells((30, 30, 4))
    rare, drawn = cell_views(predictions, records, Labels(kind="classes", names=NAMES))
    assert isinstance(rare, Text)
    assert "<c> (4)." in rare.paragraphs[0]
    assert "a (" not in rare.paragraphs[0]
    assert isinstance(drawn, Figure)
    root = ET.fromstring(drawn.svg)
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.find(f"{space}g").findall(f"{space}path")) == 64
    assert [text.text for text in root.findall(f"{space}text")] == list(NAMES)


def test_nothing_is_drawn_of_few_cells_or_without_states():
    predictions, records = cells((8, 8, 3))
    labels = Labels(kind="classes", names=NAMES)
    assert [type(section) for section in cell_views(predictions, records, labels)] == [Text]
    assert cell_views([], [], labels) == []
