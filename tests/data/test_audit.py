"""Plants of every kind are found, and clean data raise no alarm."""

import math
import random
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from labtune.data.audit import audit
from labtune.data.duplicates import ALIKE, near_duplicates
from labtune.specs import Labels, Record, Span

CLASSES = Labels(kind="classes", names=("a", "b"))
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def texts(count, seed=0, words=12):
    """Sentences of words by Zipf's law."""
    rng = random.Random(seed)
    vocabulary = ["".join(rng.choices(LETTERS, k=rng.randint(2, 9))) for _ in range(3000)]
    return [" ".join(vocabulary[int(3000 * rng.random() ** 3)] for _ in range(words)) for _ in range(count)]


def clean(count=400, seed=0, **fields):
    """Records without a fault, three quarters of them for training."""
    records = [Record(f"r{row}", text, "ab"[row % 2], **fields) for row, text in enumerate(texts(count, seed))]
    return {"train": records[: count * 3 // 4], "test": records[count * 3 // 4 :]}


def kinds(parts, labels=CLASSES, **options):
    return {finding.kind: finding for finding in audit(parts, labels, **options)}


@pytest.mark.parametrize("seed", range(5))
def test_no_false_alarm(seed):
    assert audit(clean(seed=seed), CLASSES) == []


def test_duplicates_by_side():
    parts = clean()
    parts["test"][:7] = [
        replace(record, input=parts["train"][row].input, target=parts["train"][row].target)
        for row, record in enumerate(parts["test"][:7])
    ]
    parts["train"][100] = replace(parts["train"][100], input=parts["train"][50].input)
    found = kinds(parts)
    assert found.keys() == {"duplicates_across", "duplicates_within"}
    assert (found["duplicates_across"].severity, found["duplicates_across"].count) == ("serious", 7)
    assert set(found["duplicates_across"].ids) == {record.id for record in parts["test"][:7]}
    assert (found["duplicates_within"].count, found["duplicates_within"].ids) == (1, ("r100",))


def test_of_repetitions_on_both_sides_those_of_their_own_side_are_named():
    parts = clean()
    for part, rows in (("train", (3, 8, 20)), ("test", (1,))):
        for row in rows:
            parts[part][row] = replace(parts[part][row], input="said again", target=parts["train"][3].target)
    found = kinds(parts)
    assert found["duplicates_across"].ids == (parts["test"][1].id,)
    assert (found["duplicates_within"].count, found["duplicates_within"].ids) == (2, ("r8", "r20"))


def changed(text, rng, characters):
    for place in rng.sample(range(len(text)), characters):
        text = text[:place] + rng.choice(LETTERS) + text[place + 1 :]
    return text


def test_near_duplicates_have_full_precision_and_almost_full_recall():
    """One or two characters of about seventy are changed; similarity is counted anew, in another way."""

    def grams(text):
        return {text[start : start + 5] for start in range(len(text) - 4)}

    rng = random.Random(1)
    originals = texts(500)
    copies = [changed(text, rng, rng.choice([1, 2])) for text in originals]
    alike = [len(grams(a) & grams(b)) / len(grams(a) | grams(b)) for a, b in zip(originals, copies, strict=True)]
    planted = {row for row, similarity in enumerate(alike) if ALIKE <= similarity < 1}
    records = [Record(str(row), text) for row, text in enumerate(originals + copies)]
    found = list(near_duplicates(records, [0] * 500 + [1] * 500))
    assert len(planted) > 250
    assert len({pair.second - 500 for pair in found} & planted) >= 0.98 * len(planted)
    assert all(pair.second == pair.first + 500 and alike[pair.first] > ALIKE - 0.01 for pair in found)


def test_near_duplicates_of_one_text_are_all_found():
    rng = random.Random(2)
    base = texts(1, words=60)[0]
    records = [Record(str(row), changed(base, rng, 2)) for row in range(100)]
    found = list(near_duplicates(records, [0] * 50 + [1] * 50))
    assert {pair.second for pair in found} >= set(range(1, 100)) - {50}
    across = {pair.second for pair in found if pair.first < 50 <= pair.second}
    assert len(across) == 50  # the first of a part stands for the others, and is compared with the other part


def test_case_and_white_space_make_no_difference_and_lists_are_texts():
    records = [Record("1", "Shares  rose today"), Record("2", ["shares", "rose", "today,"]), Record("3", np.ones(3))]
    assert [tuple(pair) for pair in near_duplicates(records, [0, 0, 0])] == [(0, 1)]
    assert [tuple(pair) for pair in near_duplicates([*records[:1], Record("4", "shares rose TODAY")], [0, 1])] == [
        (0, 1)
    ]


def test_the_tasks_own_similarity():
    parts = {"train": [Record(str(i), "x" * i, "a") for i in range(1, 4)], "test": [Record("9", "yy", "b")]}

    def pairs(records):
        rows = combinations(range(len(records)), 2)
        return [(one, other) for one, other in rows if len(records[one].input) == len(records[other].input)]

    assert kinds(parts, similarity=pairs)["near_duplicates_across"].ids == ("9",)
    assert "near_duplicates_across" not in kinds(parts)


def test_contradicting_labels():
    parts = clean()
    parts["train"][1] = replace(parts["train"][1], input=parts["train"][0].input)
    found = kinds(parts)["contradicting_labels"]
    assert (found.severity, found.count, found.ids) == ("warning", 2, ("r0", "r1"))
    spans = [Record("1", "x y", [Span(0, 1, "a")]), Record("2", "x y", [Span(0, 1, "a")]), Record("3", "x z", [])]
    assert "contradicting_labels" not in kinds({"train": spans}, Labels(kind="spans", names=("a",)))


def test_groups_on_both_sides():
    parts = clean()
    parts = {
        part: [replace(r, group=f"g{row // 4}{part if row > 7 else ''}") for row, r in enumerate(some)]
        for part, some in parts.items()
    }
    found = kinds(parts)
    assert found.keys() == {"groups_across"}
    assert (found["groups_across"].severity, found["groups_across"].ids) == ("serious", ("g0", "g1"))


def test_classes():
    parts = clean(800)
    parts["train"] = [
        replace(record, target="c" if row < 5 else "a" if row < 590 else "b")
        for row, record in enumerate(parts["train"])
    ]
    found = kinds(parts, Labels(kind="classes", names=("a", "b", "c")))
    assert found.keys() == {"absent_classes", "rare_classes", "imbalance"}
    assert found["absent_classes"].message == "classes that do not occur in the test data: c"
    assert "c" in found["rare_classes"].message


def test_unusual_lengths():
    parts = clean()
    parts["train"][3] = replace(parts["train"][3], input=" ".join(texts(60, seed=9)))
    parts["train"][5] = replace(parts["train"][5], input="ab")
    found = kinds(parts)
    assert found.keys() == {"unusual_lengths"}
    assert set(found["unusual_lengths"].ids) == {"r3", "r5"}


def test_unknown_symbols():
    parts = clean()
    shares = np.zeros(400)
    shares[[2, 350]] = [0.5, 0.11]
    assert kinds(parts, unknown=shares)["unknown_symbols"].ids == ("r2", "r350")


def test_empty_and_constant():
    parts = clean()
    parts["train"][7] = replace(parts["train"][7], input="  ")
    assert kinds(parts)["empty_inputs"].ids == ("r7",)
    same = {"train": [Record(str(row), "x", 1.5) for row in range(30)]}
    assert {"constant_inputs", "constant_targets"} <= kinds(same, Labels(kind="values", names=("value",))).keys()


def test_numbers_and_missing_truth_are_no_trouble():
    parts = {"train": [Record(str(i), np.arange(3.0) + i, [float(i), math.nan]) for i in range(30)]}
    assert audit(parts, Labels(kind="values", names=("value",))) == []
    assert audit({"train": [Record(str(i), t) for i, t in enumerate(texts(30))]}, CLASSES) == []


def test_the_most_severe_comes_first():
    parts = clean()
    parts["test"][0] = replace(parts["test"][0], input=parts["train"][0].input, target="b")
    parts["train"][5] = replace(parts["train"][5], input="ab")
    assert [finding.severity for finding in audit(parts, CLASSES)] == ["serious", "warning", "note"]
