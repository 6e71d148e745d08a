"""Paired comparison against a sign test and simulation; runs that cannot be compared are refused."""

import json
import shutil

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import permutation_test as scipy_permutation_test

from labtune.builtin.metrics import Classification, Regression
from labtune.cli import main
from labtune.errors import RunError
from labtune.evaluation.diff import diff_runs
from labtune.evaluation.paired import compare, disagreements, permutation_test
from labtune.pipeline import run
from labtune.specs import Labels, Prediction, Record, Span

CLASSES = Labels(kind="classes", names=("a", "b"))
NUMBER = Labels(kind="values", names=("value",))


def answers(rights):
    return [Prediction(str(row), "a" if right else "b") for row, right in enumerate(rights)]


def test_accuracy_agrees_with_the_exact_sign_test():
    """Swapping changes accuracy only where one model is right: a binomial with one half (McNemar 1947)."""
    metric = Classification(CLASSES, monitor="accuracy")
    first = [True] * 60 + [False] * 20 + [True] * 8 + [False] * 12
    second = [True] * 60 + [True] * 20 + [False] * 8 + [False] * 12
    records = [Record(str(row), "x", "a") for row in range(100)]
    p = permutation_test(metric, answers(first), answers(second), records, permutations=20_000)
    assert p == pytest.approx(binomtest(8, 28).pvalue, abs=0.005)
    found = compare(metric, answers(first), answers(second), records)["accuracy"]
    assert (found.first, found.second) == (0.68, 0.8)
    assert found.difference == pytest.approx(0.12)
    error = np.sqrt(0.28 - 0.12**2) / 10  # of a mean of -1, 0 and 1
    assert (found.low, found.high) == pytest.approx((0.12 - 1.96 * error, 0.12 + 1.96 * error), abs=0.02)


def test_numbers_agree_with_scipy():
    generator = np.random.default_rng(0)
    truth = generator.normal(size=60)
    values = truth + generator.normal(size=60), truth + 1.3 * generator.normal(size=60)
    records = [Record(str(row), "x", float(value)) for row, value in enumerate(truth)]
    predictions = [[Prediction(str(row), float(value)) for row, value in enumerate(some)] for some in values]
    errors = [(some - truth) ** 2 for some in values]
    exact = scipy_permutation_test(
        errors,
        lambda a, b: np.sqrt(b.mean()) - np.sqrt(a.mean()),
        permutation_type="samples",
        n_resamples=5000,
        rng=1,
    ).pvalue
    found = permutation_test(Regression(NUMBER, monitor="-rmse"), *predictions, records, permutations=5000)
    assert found == pytest.approx(exact, abs=0.02)
    ranks = permutation_test(Regression(NUMBER), *predictions, records, permutations=200)  # recomputed, not summed
    assert 0 < ranks <= 1


def test_equal_models_differ_as_often_as_they_should():
    metric = Classification(CLASSES, monitor="accuracy")
    generator = np.random.default_rng(0)
    records = [Record(str(row), "x", "a", group=str(row // 2)) for row in range(100)]
    p = []
    for _ in range(200):
        hard = np.repeat(generator.random(50), 2)
        p.append(
            permutation_test(
                metric,
                *(answers(np.repeat(generator.random(50), 2) > hard) for _ in range(2)),
                records,
                permutations=100,
            )
        )
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.1


def test_where_they_differ():
    records = [Record(str(row), "x", [Span(0, 1, "X"), Span(2, 3, "X")]) for row in range(3)]
    whole, half, wrong = [Span(2, 3, "X"), Span(0, 1, "X")], [Span(0, 1, "X")], [Span(4, 5, "X")]
    first, second = (
        [Prediction(str(row), value) for row, value in enumerate(values)]
        for values in ([whole, half, half], [whole[::-1], whole, wrong])
    )
    found = disagreements(first, second, records, "spans")
    assert found == {"only_first_right": [], "only_second_right": ["1"], "both_wrong": ["2"]}
    numbers = disagreements(
        [Prediction("1", 1.0), Prediction("2", 0.0), Prediction("3", 0.1)],
        [Prediction("1", 0.0), Prediction("2", 5.0), Prediction("3", 0.1)],
        [Record(str(row), "x", 0.0) for row in (1, 2, 3)],
        "values",
    )
    assert numbers == {"first_closer": ["2"], "second_closer": ["1"]}


PLUGIN = """
from labtune import Labels, Preset, Task, hookimpl

@hookimpl
def labtune_tasks():
    return [
        Task(
            name="odd.words", summary="Words.", reader="labtune.data.reading:read_table", tokenizer="text",
            head="sequence", loss="cross_entropy", metrics=("classification",), labels=Labels(kind="classes"),
            presets=(Preset(name="small", settings={"encoder": "tiny", "epochs": 1}),), examples="labtune_odd:examples",
        )
    ]
"""


@pytest.fixture
def runs(install, tmp_path):
    install("labtune-odd", PLUGIN)
    rows = [f"word {row} {'up' if row % 3 else 'down'},{row % 3 > 0}" for row in range(60)]
    (tmp_path / "all.csv").write_text("\n".join(["text,label", *rows]))
    for seed in (0, 1):
        run("odd.words", train=tmp_path / "all.csv", test=tmp_path / "all.csv", out=tmp_path / f"run{seed}", seed=seed)
    return tmp_path


def test_runs(runs, capsys):
    found = diff_runs(runs / "run0", runs / "run1")
    assert found["records"] == 60
    assert found["scores"]["macro_f1"]["p"] is not None
    for name, run_name in (("first", "run0"), ("second", "run1")):
        metrics = json.loads((runs / run_name / "metrics.json").read_text())
        assert found["scores"]["accuracy"][name] == pytest.approx(metrics["test"]["accuracy"]["value"])
    assert main(["diff", str(runs / "run0"), str(runs / "run0")]) == 0
    assert "No run is shown to be better" in capsys.readouterr().out

    told = json.loads((runs / "run1" / "metrics.json").read_text())
    told["test"]["mcc"]["value"] += 0.01
    (runs / "run1" / "metrics.json").write_text(json.dumps(told))
    assert found["scores"].keys() - diff_runs(runs / "run0", runs / "run1")["scores"].keys() == {"mcc"}
    told["test"]["macro_f1"]["value"] += 0.01
    (runs / "run1" / "metrics.json").write_text(json.dumps(told))
    with pytest.raises(RunError, match="give another macro_f1 than their"):
        diff_runs(runs / "run0", runs / "run1")

    shutil.copytree(runs / "run0", runs / "other")
    lines = (runs / "other" / "predictions.jsonl").read_text().splitlines()
    (runs / "other" / "predictions.jsonl").write_text("\n".join(lines[1:]))
    with pytest.raises(RunError, match="not predictions for the test data"):
        diff_runs(runs / "run0", runs / "other")
    with (runs / "all.csv").open("a") as file:
        file.write("\nword 60 up,True")
    with pytest.raises(RunError, match="has changed"):
        diff_runs(runs / "run0", runs / "run1")
