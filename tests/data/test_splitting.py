import json
import random
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from labtune.data.splitting import fold_of, split_hash, split_records
from labtune.data.units import count_duplicates, find_units
from labtune.errors import DataError, SettingsError
from labtune.specs import Record, Span


def make(number, targets=("a",), **fields):
    return [Record(f"r{row}", f"text {row}", targets[row % len(targets)], **fields) for row in range(number)]


def sizes(parts):
    return [len(parts[name]) for name in ("train", "valid", "test")]


def texts(parts):
    return {name: {record.input for record in part} for name, part in parts.items()}


@pytest.mark.parametrize("mode", ["random", "stratified"])
def test_shares_are_exact_and_nothing_is_lost(mode):
    parts = split_records(make(200, "aab"), mode)
    assert sizes(parts) == [140, 30, 30]
    assert len({record.id for part in parts.values() for record in part}) == 200


def test_every_class_is_in_proportion():
    records = make(600, ["a"] * 8 + ["b"] * 3 + ["c"])
    for name, share in (("train", 0.7), ("valid", 0.15), ("test", 0.15)):
        counts = Counter(record.target for record in split_records(records)[name])
        for target, total in (("a", 400), ("b", 150), ("c", 50)):
            assert abs(counts[target] - share * total) <= 1


def test_rare_classes_train_and_many_small_classes_keep_the_shares():
    records = make(200, [f"class {number}" for number in range(100)])
    parts = split_records(records)
    assert {record.target for record in parts["train"]} == {record.target for record in records}
    assert len(parts["valid"]) == pytest.approx(30, abs=2)
    single = [*make(100), Record("rare", "rare text", "b")]
    assert "rare" in {record.id for record in split_records(single)["train"]}


def test_numbers_are_stratified_by_size():
    values = np.random.default_rng(0).exponential(size=1000)
    records = [Record(str(row), f"t{row}", float(value)) for row, value in enumerate(values)]
    parts = split_records(records)
    for name in ("valid", "test"):
        found = np.quantile([record.target for record in parts[name]], [0.1, 0.5, 0.9])
        np.testing.assert_allclose(found, np.quantile(values, [0.1, 0.5, 0.9]), rtol=0.2)


def test_label_sets_and_spans_follow_their_rarest_label():
    sets = make(100, [["a"]] * 9 + [["a", "rare"]])
    spans = make(100, [[Span(0, 1, "a")]] * 9 + [[Span(0, 1, "a"), Span(1, 2, "rare")]])
    for records in (sets, spans):
        parts = split_records(records, fractions=(0.5, 0.25, 0.25))
        assert [sum(len(record.target) == 2 for record in parts[name]) for name in parts] in ([5, 3, 2], [5, 2, 3])


def test_independent_of_order_and_ids_but_not_of_seed():
    records = make(100, "ab")
    shuffled = [replace(record, id=f"other {record.id}") for record in records]
    random.Random(0).shuffle(shuffled)
    assert texts(split_records(records)) == texts(split_records(shuffled))
    assert texts(split_records(records)) != texts(split_records(records, seed=1))


def test_known_split_never_changes():
    """The hash of a split is published with results, so the algorithm must not drift."""
    assert split_hash(split_records(make(60, "ab"), seed=3)) == "8c88885452cb30db"


@pytest.mark.parametrize("mode", ["random", "stratified", "group", "time:day"])
def test_equal_inputs_stay_together(mode):
    rows = [(row, row // 3) for row in range(90)]
    random.Random(1).shuffle(rows)
    records = [
        Record(f"r{row}", f"text {same}", "ab"[row % 2], group=f"g{row}", columns={"day": row}) for row, same in rows
    ]
    found = texts(split_records(records, mode))
    assert not found["train"] & found["test"]
    assert not found["train"] & found["valid"]
    assert not found["valid"] & found["test"]
    assert count_duplicates(records) == 60


@pytest.mark.parametrize("mode", ["random", "stratified", "group"])
def test_groups_stay_together_and_balance(mode):
    owners = np.random.default_rng(0).zipf(1.5, size=400) % 60
    records = [Record(str(row), f"t{row}", "ab"[row % 2], group=f"donor {owner}") for row, owner in enumerate(owners)]
    parts = split_records(records, mode)
    groups = [{record.group for record in part} for part in parts.values()]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    np.testing.assert_allclose(sizes(parts), [280, 60, 60], atol=12)


def test_inputs_and_groups_chain():
    a = Record("1", "same", group="g")
    b = Record("2", "same", group="h")
    c = Record("3", "other", group="h")
    d = Record("4", "third", group="i")
    assert sorted(unit.rows for unit in find_units([a, b, c, d])) == [(0, 1, 2), (3,)]
    assert sorted(unit.rows for unit in find_units([a, b, c, d], grouped=False)) == [(0, 1), (2,), (3,)]


def test_time_trains_on_the_past():
    days = [date(2020, 1, 1) + timedelta(days=number // 2) for number in range(100)]
    records = [Record(str(row), f"t{row}", "a", columns={"day": day.isoformat()}) for row, day in enumerate(days)]
    random.Random(0).shuffle(records)
    parts = split_records(records, "time:day")
    ends = [max(record.columns["day"] for record in parts[name]) for name in ("train", "valid")]
    starts = [min(record.columns["day"] for record in parts[name]) for name in ("valid", "test")]
    assert ends[0] < starts[0]
    assert ends[1] < starts[1]
    assert sizes(parts) == [70, 16, 14]


def test_predefined_column():
    records = [Record(str(row), f"t{row}", columns={"set": name}) for row, name in enumerate(["train", "Dev", "test"])]
    assert sizes(split_records(records, "column:set")) == [1, 1, 1]
    with pytest.raises(DataError, match="set of record '3' is 'holdout'"):
        split_records([*records, Record("3", "t3", columns={"set": "holdout"})], "column:set")


@pytest.mark.parametrize(
    ("records", "mode", "fractions", "error", "message"),
    [
        (make(50), "randm", (0.7, 0.15, 0.15), SettingsError, "Did you mean 'random'"),
        (make(50), "random", (0.7, 0.7, 0.15), SettingsError, "sum to 1"),
        (make(2), "random", (0.7, 0.15, 0.15), DataError, "2 records .* leave no"),
        (make(50), "group", (0.7, 0.15, 0.15), DataError, "has no group"),
        (make(50, columns={"day": "1"}), "time:dya", (0.7, 0.15, 0.15), DataError, "Did you mean 'day'"),
        (make(50, columns={"day": "soon"}), "time:day", (0.7, 0.15, 0.15), DataError, "'soon'"),
        (make(50, group="one"), "group", (0.7, 0.15, 0.15), DataError, "leave no"),
    ],
)
def test_says_what_is_wrong(records, mode, fractions, error, message):
    with pytest.raises(error, match=message):
        split_records(records, mode, fractions)


def test_a_part_without_share_is_empty():
    assert sizes(split_records(make(20), fractions=(0.8, 0.2, 0))) == [16, 4, 0]


def test_arrays_are_compared_by_content():
    records = [Record(str(row), {"x": np.arange(5000) % (3 + row % 2)}) for row in range(4)]
    assert count_duplicates(records) == 2


def test_the_split_of_another_run(tmp_path):
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"hash": "x", "train": ["a", "c"], "test": ["b"]}))
    records = [Record(name, f"text {name}", "x", source="all.csv") for name in "abc"]
    parts = split_records(records, f"ids:{file}")
    assert {part: [record.id for record in some] for part, some in parts.items()} == {
        "train": ["a", "c"], "valid": [], "test": ["b"],
    }  # fmt: skip
    with pytest.raises(DataError, match="record 'd' is not in"):
        split_records([*records, Record("d", "text", "x")], f"ids:{file}")
    file.write_text("[]")
    with pytest.raises(SettingsError, match="name the split"):
        split_records(records, f"ids:{file}")


def test_folds_are_even_in_size_and_class_and_keep_groups():
    records = [Record(str(i), f"x{i}", "ab"[i % 4 == 0], group=str(i // 2) if i < 20 else None) for i in range(100)]
    folds = fold_of(records, 5, seed=3)
    assert Counter(folds) == dict.fromkeys(range(5), 20)
    assert all(4 <= count <= 6 for count in Counter(folds[i] for i in range(0, 100, 4)).values())
    assert all(folds[i] == folds[i + 1] for i in range(0, 20, 2))
    assert folds != fold_of(records, 5, seed=4)
    with pytest.raises(DataError, match="do not make 5 folds"):
        fold_of(records[:3], 5)
