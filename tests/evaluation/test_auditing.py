"""The audit of a run and of files; wrong labels are found with few false alarms."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from labtune.cli import main
from labtune.data.audit import Finding
from labtune.errors import SettingsError
from labtune.evaluation.auditing import audit_sections, load_audit, save_audit, unknown_shares, warnings_of
from labtune.evaluation.baselines import majority_or_mean
from labtune.evaluation.noise import label_noise, suspects
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.specs import Labels, Prediction, Record

CLASSES = Labels(kind="classes", names=("a", "b", "c"))
FINDING = Finding("rare_classes", "warning", 2, "classes: x, y", "Add some.", ("r1", "r2"))
NOTE = Finding("imbalance", "note", 2, "a lot", "Weigh.")


def test_findings_go_to_a_file_and_back(tmp_path):
    save_audit([FINDING, NOTE], tmp_path / "audit.json")
    assert load_audit(tmp_path / "audit.json") == [FINDING, NOTE]
    assert load_audit(tmp_path / "none.json") == []


def test_notes_are_no_warnings():
    assert warnings_of([FINDING, NOTE]) == ["classes: x, y. Add some."]
    [table] = audit_sections([FINDING, NOTE])
    assert table.rows == (("warning", "classes: x, y", "Add some.", "r1, r2"), ("note", "a lot", "Weigh.", ""))
    assert audit_sections([]) == []


def test_suspects_by_hand():
    """The averages of a, b and their own are 0.6 and 0.7; the third is confidently b, the last not confidently a."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9], [0.5, 0.5]])
    assert suspects(probabilities, np.array([0, 0, 0, 1, 1])).tolist() == [2]


def blobs(count, flipped, seed=0):
    """Numbers around three centres, with some labels changed."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(3, size=count)
    points = generator.normal(size=(count, 2)) + 4 * np.array([[0, 0], [1, 0], [0, 1]])[truth]
    wrong = generator.choice(count, size=flipped, replace=False)
    given = truth.copy()
    given[wrong] = (truth[wrong] + generator.integers(1, 3, size=flipped)) % 3
    records = [Record(str(i), p.tolist(), CLASSES.names[g]) for i, (p, g) in enumerate(zip(points, given, strict=True))]
    return records, {str(row) for row in wrong}


def logistic(records, labels):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit([r.input for r in records], [r.target for r in records])
    return lambda asked: [
        Prediction(r.id, "", None, p) for r, p in zip(asked, model.predict_proba([r.input for r in asked]), strict=True)
    ]


def test_wrong_labels_are_found(monkeypatch):
    monkeypatch.setattr("labtune.evaluation.noise.EXAMPLES", 10_000)
    records, wrong = blobs(1500, 75)
    [finding] = label_noise(records, CLASSES, logistic)
    found = set(finding.ids)
    assert len(found & wrong) / len(wrong) > 0.65  # recall; the others look like what they are labelled
    assert len(found - wrong) / len(records) < 0.01  # false alarms
    assert set(finding.ids[:40]) <= wrong  # the worst come first
    clean, _ = blobs(1500, 0)
    assert all(found.count / len(clean) < 0.01 for found in label_noise(clean, CLASSES, logistic))


def test_wrong_labels_need_classes_and_probabilities():
    numbers = [Record(str(row), "x", float(row)) for row in range(10)]
    with pytest.raises(SettingsError, match="one class"):
        label_noise(numbers, Labels(kind="values", names=("value",)), majority_or_mean)


PLUGIN = """
from labtune import Labels, Preset, Task, hookimpl

@hookimpl
def labtune_tasks():
    return [
        Task(
            name="odd.words", summary="Words.", reader="labtune.data.reading:read_table", tokenizer="text",
            head="sequence", loss="cross_entropy", metrics=("classification",), labels=Labels(kind="classes"),
            presets=(Preset(name="small", settings={"encoder": "tiny"}),), examples="labtune_odd:examples",
        )
    ]
"""


def test_the_command(install, tmp_path, capsys):
    install("labtune-odd", PLUGIN)
    rows = [f"profit of company {word} rose in the quarter,{word in 'aeiou'}" for word in "abcdefghijklmnopqrst"]
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("\n".join(["text,label", *rows]))
    test.write_text("\n".join(["text,label", *rows[:2]]))
    assert main(["audit", "odd.words", str(train), str(test)]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("checked: 20 train, 2 test")
    assert "serious: records that repeat the input of a record in another part: 2 in test" in shown
    assert main(["audit", "odd.words", str(test), "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [finding["kind"] for finding in found["findings"]] == ["rare_classes"]
    assert main(["audit", "odd.words", str(train), "--noise"]) == 0  # the majority's probabilities contradict nothing


def test_unknown_tokens():
    ids = Ragged.from_rows([[2, 1, 1, 3], [2, 5, 3]])
    batch = Batch([Record("1", "x"), Record("2", "x")], {"input_ids": ids})
    assert unknown_shares({"train": batch}, SimpleNamespace(unk_token_id=1)).tolist() == [0.5, 0]
    assert unknown_shares({"train": batch}, None) is None
    assert unknown_shares({"train": Batch(batch.records, {"counts": ids})}, SimpleNamespace(unk_token_id=1)) is None
