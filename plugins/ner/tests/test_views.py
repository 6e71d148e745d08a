import pytest
from sklearn.metrics import classification_report

from labtune.evaluation.sections import Examples, Matrix, Table
from labtune.specs import Labels, Prediction, Record, Span
from labtune_ner.tags import encode, tag_names
from labtune_ner.views import entity_view, error_view, tag_view

LABELS = Labels(kind="spans", names=("PER", "LOC"))
RECORDS = [
    Record("a", "Anna Lee of Rome met Bob.", [Span(0, 2, "PER"), Span(3, 4, "LOC"), Span(5, 6, "PER")]),
    Record("b", ["In", "Rome"], [Span(1, 2, "LOC")]),
    Record("c", ["Rain"], []),
]
PREDICTIONS = [
    Prediction("a", [Span(0, 1, "PER"), Span(3, 4, "PER"), Span(5, 6, "PER")], [0.9, 0.6, 0.8]),
    Prediction("b", [Span(1, 2, "LOC")], [0.9]),
    Prediction("c", [], []),
]


def rows_of(table):
    return {row[0]: row[1:] for row in table.rows}


def test_entity_scores_by_type():
    table, matrix = entity_view(PREDICTIONS, RECORDS, LABELS)
    assert isinstance(table, Table)
    rows = rows_of(table)
    assert rows["PER"] == pytest.approx((1 / 3, 1 / 2, 2 / 5, 2))
    assert rows["LOC"] == pytest.approx((1, 1 / 2, 2 / 3, 2))
    assert rows["micro average"] == pytest.approx((1 / 2, 1 / 2, 1 / 2, 4))
    assert rows["macro average"] == pytest.approx((2 / 3, 1 / 2, (2 / 5 + 2 / 3) / 2, 4))
    assert isinstance(matrix, Matrix)
    assert matrix.values == ((1, 0, 1), (1, 1, 0), (1, 0, 0))


def test_tag_scores_are_those_of_scikit_learns_report():
    (table,) = tag_view(PREDICTIONS, RECORDS, LABELS)
    lengths = (7, 2, 1)
    true = [tag for r, n in zip(RECORDS, lengths, strict=True) for tag in encode(r.target, n, LABELS.names)]
    predicted = [tag for p, n in zip(PREDICTIONS, lengths, strict=True) for tag in encode(p.value, n, LABELS.names)]
    report = classification_report(
        true, predicted, labels=range(5), target_names=tag_names(LABELS.names), output_dict=True, zero_division=0
    )
    for name, row in rows_of(table).items():
        if name == "micro average":
            assert row == pytest.approx((*[report["accuracy"]] * 3, 10))
        else:
            assert row == pytest.approx(tuple(report[name.replace("average", "avg")].values()))
    assert "entity F1" in table.note
    assert "50%" in table.note


def test_errors_are_shown_in_their_text():
    (section,) = error_view(PREDICTIONS, RECORDS, LABELS)
    assert isinstance(section, Examples)
    (example,) = section.items
    assert (example.id, example.headline) == ("a", "2 missed, 2 invented")
    assert "".join(segment.text for segment in example.segments) == RECORDS[0].input
    assert [tuple(segment) for segment in example.segments] == [
        ("Anna", "PER “Anna Lee”", "PER"),
        (" Lee", "PER “Anna Lee”", None),
        (" of ", None, None),
        ("Rome", "LOC", "PER"),
        (" met ", None, None),
        ("Bob", "PER", "PER"),
        (".", None, None),
    ]
    assert error_view(PREDICTIONS[1:], RECORDS[1:], LABELS) == []


def test_neither_half_of_a_split_entity_counts_as_right():
    record = Record("d", "Anna Lee met Bob.", [Span(0, 2, "PER"), Span(3, 4, "PER")])
    split = Prediction("d", [Span(0, 1, "PER"), Span(1, 2, "PER"), Span(3, 4, "PER")], [0.9, 0.8, 0.9])
    (section,) = error_view([split], [record], LABELS)
    (example,) = section.items
    assert example.headline == "1 missed, 2 invented"
    labelled = [segment for segment in example.segments if segment.text.strip() and segment.predicted]
    assert [(segment.text, segment.truth == segment.predicted) for segment in labelled] == [
        ("Anna", False),
        ("Lee", False),
        ("Bob", True),
    ]
    joined = Prediction("d", [Span(0, 2, "PER"), Span(2, 4, "PER")], [0.9, 0.8])  # and "Bob" grown by a word
    (section,) = error_view([joined], [record], LABELS)
    assert [tuple(segment) for segment in section.items[0].segments] == [
        ("Anna Lee", "PER", "PER"),
        (" ", None, None),
        ("met ", None, "PER “met Bob”"),
        ("Bob", "PER", "PER “met Bob”"),
        (".", None, None),
    ]
