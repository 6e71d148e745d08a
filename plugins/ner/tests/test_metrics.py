import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from labtune.errors import DataError
from labtune.specs import Labels, Prediction, Record, Span
from labtune_ner.gazetteer import fit
from labtune_ner.metrics import EntityScores
from labtune_ner.reading import read
from labtune_ner.tags import encode, parse_tag, spans_of, tag_names

TYPES = ("PER", "ORG", "LOC", "MISC")
LABELS = Labels(kind="spans", names=TYPES)


def our_scores(true, predicted):
    records = [Record(str(row), tags, spans_of(list(map(parse_tag, tags)))) for row, tags in enumerate(true)]
    predictions = [Prediction(str(row), spans_of(list(map(parse_tag, tags)))) for row, tags in enumerate(predicted)]
    return EntityScores(LABELS)(predictions, records)


def seqeval_scores(true, predicted, **options):
    functions = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
    return {
        f"{prefix}_{name}": float(score(true, predicted, average=average, zero_division=0, **options))
        for average, prefix in (("micro", "entity"), ("macro", "entity_macro"))
        for name, score in functions.items()
    }


def pairs_of(alphabet):
    tags = st.lists(st.tuples(st.sampled_from(alphabet), st.sampled_from(alphabet)), min_size=1, max_size=10)
    return st.lists(tags, min_size=1, max_size=5)


@given(pairs_of(["O", *(f"{letter}-{name}" for letter in "BIES" for name in TYPES[:2])]))
def test_any_tags_score_as_in_seqevals_default_mode(sentences):
    true, predicted = ([[pair[side] for pair in sentence] for sentence in sentences] for side in (0, 1))
    assume(any(tag != "O" for tags in (*true, *predicted) for tag in tags))  # else seqeval divides by zero
    assert our_scores(true, predicted) == pytest.approx(seqeval_scores(true, predicted), abs=1e-12)


def test_corrupted_real_tags_score_as_in_seqeval(data_folder):
    generator = np.random.default_rng(0)
    names = tag_names(TYPES)
    records = list(read(data_folder / "conll2003_en/test.txt", labelled=True))
    true = [[names[tag] for tag in encode(record.target, len(record.input), TYPES)] for record in records]
    predicted = [[names[generator.integers(9)] if generator.random() < 0.1 else tag for tag in tags] for tags in true]
    ours = our_scores(true, predicted)
    assert ours == pytest.approx(seqeval_scores(true, predicted), abs=1e-12)
    legal = [
        [names[tag] for tag in encode(spans_of(list(map(parse_tag, tags))), len(tags), TYPES)] for tags in predicted
    ]
    assert ours == pytest.approx(seqeval_scores(true, legal, mode="strict", scheme=IOB2), abs=1e-12)


def test_hand_worked_scores():
    records = [Record("1", [], [Span(0, 2, "PER"), Span(3, 4, "LOC")]), Record("2", [], [Span(0, 1, "LOC")])]
    predictions = [
        Prediction("1", [Span(0, 2, "PER"), Span(3, 5, "LOC")]),
        Prediction("2", [Span(0, 1, "ORG"), Span(2, 3, "PER")]),
    ]
    scores = EntityScores(LABELS)(predictions, records)
    assert scores["entity_precision"] == 1 / 4
    assert scores["entity_recall"] == 1 / 3
    assert scores["entity_f1"] == pytest.approx(2 / 7)
    assert scores["entity_macro_precision"] == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert scores["entity_macro_f1"] == pytest.approx((2 / 3 + 0 + 0) / 3)


def test_scores_of_many_resamples_at_once():
    generator = np.random.default_rng(1)
    records = [Record(str(row), [], [Span(0, 1, generator.choice(TYPES))]) for row in range(20)]
    predictions = [Prediction(str(row), [Span(0, 1, generator.choice(TYPES))]) for row in range(20)]
    metric = EntityScores(LABELS)
    draws = generator.integers(20, size=(7, 20))
    together = metric.scores(metric.parts(predictions, records)[draws].sum(1))
    for index, draw in enumerate(draws):
        alone = metric([predictions[row] for row in draw], [records[row] for row in draw])
        assert {name: values[index] for name, values in together.items()} == pytest.approx(alone)


def test_nothing_to_score_is_nan_and_nothing_found_is_zero():
    assert all(np.isnan(score) for score in EntityScores(LABELS)([], []).values())
    assert set(EntityScores(LABELS)([Prediction("1", [])], [Record("1", [], [])]).values()) == {0.0}


def test_an_unknown_type_is_refused():
    with pytest.raises(DataError, match="f:1: entity type 'GENE'"):
        EntityScores(LABELS)([Prediction("1", [])], [Record("1", [], [Span(0, 1, "GENE")], source="f:1")])


def test_gazetteer_takes_the_longest_name_and_its_most_frequent_type():
    train = [
        Record("1", ["New", "York", "and", "York"], [Span(0, 2, "LOC"), Span(3, 4, "PER")]),
        Record("2", ["York", "York"], [Span(0, 1, "ORG"), Span(1, 2, "ORG")]),
    ]
    predict = fit(train, LABELS)
    unseen = [Record("3", ["York", "New", "York", "New"]), Record("4", "Old York.")]
    assert [prediction.value for prediction in predict(unseen)] == [
        [Span(0, 1, "ORG"), Span(1, 3, "LOC")],
        [Span(1, 2, "ORG")],
    ]
    assert fit([Record("1", ["a"], [])], LABELS)(unseen)[0].value == []


@pytest.mark.parametrize(("split", "published"), [("valid", 0.7118), ("test", 0.5961)])
def test_gazetteer_repeats_the_published_baseline(data_folder, split, published):
    """Tjong Kim Sang and De Meulder 2003, table 5; types that are equally frequent may be chosen otherwise there."""
    train, unseen = (list(read(data_folder / f"conll2003_en/{name}.txt", labelled=True)) for name in ("train", split))
    assert EntityScores(LABELS)(fit(train, LABELS)(unseen), unseen)["entity_f1"] == pytest.approx(published, abs=5e-4)
