"""Reports in Markdown and JSON, and several runs side by side."""

import json

import pytest

from labtune.cli import main
from labtune.errors import RunError
from labtune.evaluation.report.content import read_run
from labtune.evaluation.report.together import Together
from labtune.evaluation.sections import Bar, Bars, Curve, Example, Examples, Matrix, Table, Text, to_json

SECTIONS = [
    Text("About", ["One.", "Two."]),
    Table("Labels", ["label", "F1"], [["a|b", 0.5], ["c", None]], "A note."),
    Matrix("Confusions", ["a", "b"], ["a", "b"], [[1, 2], [3, 4]]),
    Bars("Slices", "F1", [Bar("short", 0.5, 0.4, 0.6, 12)]),
    Curve("Reliability", "confidence", "right", {"all": [(0.5, 0.6)]}),
    Curve("Loss", "step", "loss", {"all": [(step, 0.0) for step in range(40)]}),
    Examples("Errors", [Example("r1", "a for b", [("some ",), ("words",)])]),
]


def make_run(folder, value=0.8, seed=0, task="demo", rate=0.1, split="s1"):
    folder.mkdir()
    (folder / "run.toml").write_text(f'task = "{task}"\nseed = {seed}\nlearning_rate = {rate}\n[loss]\ngamma = 2\n')
    data = {part: {"records": 50, "sha256": "ab" * 32} for part in ("train", "test")}
    scores = {"macro_f1": {"value": value, "low": value - 0.1, "high": value + 0.1}}
    metrics = {"task": task, "encoder": "tiny", "method": "full", "bits": 32, "seed": seed, "monitor": "macro_f1"}
    metrics |= {"test": scores, "baseline": {"macro_f1": {"value": 0.4, "low": 0.3, "high": 0.5}}, "data": data}
    metrics |= {"baseline_name": "Always the most frequent class", "warnings": ["look | here"], "split": split}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "sections.json").write_text(json.dumps([to_json(section) for section in SECTIONS]))
    return folder


def test_markdown_of_a_run(tmp_path, capsys):
    run = make_run(tmp_path / "one")
    assert main(["report", str(run), "--format", "md"]) == 0
    assert capsys.readouterr().out == f"report: {run / 'report.md'}\n"
    text = (run / "report.md").read_text()
    for expected in (
        "# demo: one",
        "**Better than the baseline.**",
        "| macro F1 | 0.800 [0.700, 0.900] | 0.400 [0.300, 0.500] |",
        "Baseline: Always the most frequent class.",
        "| a\\|b | 0.500 |",
        "|  | a | b |\n| --- | --- | --- |\n| a | 1 | 2 |",
        "| short | 0.500 [0.400, 0.600] | 12 |",
        "| all | 0.500 | 0.600 |",
        "- `r1` a for b: some words",
        "- look | here",
    ):
        assert expected in text
    assert "## Loss" not in text


def test_page_and_json_of_a_run(tmp_path):
    run = make_run(tmp_path / "one")
    assert main(["report", str(run), "-o", str(tmp_path / "page.html")]) == 0
    assert "always the most frequent class" in (tmp_path / "page.html").read_text()
    assert main(["report", str(run), "--format", "json", "--json"]) == 0
    assert json.loads((run / "report.json").read_text())["metrics"]["test"]["macro_f1"]["value"] == 0.8


def test_side_by_side(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [make_run(tmp_path / f"r{seed}", 0.7 + seed / 10, seed) for seed in range(2)]
    runs.append(make_run(tmp_path / "fast", 0.6, rate=0.5))
    sections = {section.title: section for section in Together.of([read_run(run) for run in runs]).sections()}
    assert [bar.label for bar in sections["macro F1 side by side"].bars] == ["r0", "r1", "fast"]
    assert sections["Scores"].rows[0][3] == "0.600 [0.500, 0.700]"
    [repeated] = sections["Several seeds"].rows
    assert repeated[0] == "r0, r1"
    assert repeated[1:] == pytest.approx((2, 0.75, 0.05 * 2**0.5, 0.7, 0.8))
    assert [row[0] for row in sections["Settings that differ"].rows] == ["seed", "learning_rate"]
    words = [str(run) for run in runs]
    for kind in ("html", "md", "json"):
        assert main(["report", *words, "--format", kind]) == 0
    assert '<h2 id="runs">Side by side</h2>' in (tmp_path / "report.html").read_text()
    assert (tmp_path / "report.md").read_text().startswith("# demo: 3 runs")
    assert len(json.loads((tmp_path / "report.json").read_text())["runs"]) == 3


def test_how_runs_stand(tmp_path):
    def read(*values, **changes):
        places = [make_run(tmp_path / f"r{v}{seed}", v, seed, **changes) for seed, v in enumerate(values)]
        return [read_run(place) for place in places]

    seeds = Together.of(read(0.7, 0.8, 0.9)).verdict
    assert seeds.headline == "Macro F1 0.800 on average over 3 seeds"
    assert "but the seed: from 0.700 to 0.900, with a standard deviation of 0.100" in seeds.explanation
    drawn = [read_run(tmp_path / "r0.70"), read_run(make_run(tmp_path / "drawn", 0.8, 1, split="s2"))]
    assert "but the seed, which also drew the split: from 0.700 to 0.800" in Together.of(drawn).verdict.explanation
    other = read_run(make_run(tmp_path / "fast", 0.65, rate=0.5))
    near = Together.of([read_run(tmp_path / "r0.70"), other]).verdict
    assert near.headline == "r0.70 has the best macro F1"
    assert near.explanation.startswith("Macro F1 is 0.700 for r0.70")
    assert "may be chance" in near.explanation  # the intervals are a tenth to either side
    far = Together.of([read_run(tmp_path / "r0.92"), other]).verdict
    assert far.explanation.endswith("0.650 for fast, the next. Their 95% intervals lie apart.")


def test_equal_names_and_different_tasks(tmp_path):
    (tmp_path / "x").mkdir()
    runs = [read_run(make_run(place)) for place in (tmp_path / "one", tmp_path / "x" / "one")]
    assert Together.of(runs).names == ["one (1)", "one (2)"]
    with pytest.raises(RunError, match="different tasks"):
        Together.of([*runs, read_run(make_run(tmp_path / "other", task="else"))])
