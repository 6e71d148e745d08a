"""The report page: what it says, that it is safe and whole, and that people can read it by eye, ear and keyboard."""

import html
import json
import random
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from labtune.errors import RunError
from labtune.evaluation.report import write_report
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
    to_json,
)

HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
SETTINGS = """\
task = "{task}"
encoder = "tiny"
method = "lora"
bits = 8
epochs = 3
learning_rate = 2e-05
fractions = [0.7, 0.15, 0.15]

[data]
train = "train.csv"

[facts]
machine = "Linux x86_64"

[facts.versions]
labtune = "0.1.0"
torch = "2.13.0"
"""


def score(value, half=None):
    low, high = (None, None) if half is None else (round(value - half, 4), round(value + half, 4))
    return {"value": value, "low": low, "high": high}


def metrics_of(task, monitor, test, baseline):
    return {
        "task": task, "preset": "quick", "encoder": "tiny", "method": "lora", "bits": 8, "seed": 7,
        "monitor": monitor, "best_epoch": 3, "test": test, "valid": test, "baseline": baseline,
        "train": {"seconds": 754.2, "steps": 300, "tokens": 812345, "tokens_per_second": 1077.0,
                  "peak_memory_mb": 812.4, "trainable_parameters": 12345, "total_parameters": 2271321},
        "predict": {"seconds": 2.1, "records_per_second": 142.9},
        "data": {split: {"records": records, "sha256": HASH, "truncated": 0, "windowed": windowed, "dropped": 0}
                 for split, records, windowed in (("train", 1200, 14), ("valid", 150, 0), ("test", 300, 3))},
        "warnings": [],
    }  # fmt: skip


def log_of(monitor):
    noise = random.Random(0)
    lines = []
    for step in range(1, 901):
        loss = 1.4 * 0.9965**step + 0.1 + noise.gauss(0, 0.05)
        lines.append(
            {"event": "step", "step": step, "loss": loss, "learning_rate": 2e-5 * (1 - step / 901), "tokens": 99}
        )
        if step % 300 == 0:
            valid = {monitor.removeprefix("-"): 0.5 + step / 3000}
            lines.append({"event": "epoch", "epoch": step // 300, "step": step, "train_loss": loss, "valid": valid})
    return "".join(json.dumps(line) + "\n" for line in lines)


LABEL_COLUMNS = ["label", "precision", "recall", "F1", "support", "predicted"]
NAMES = ["first", "second", "third"]
DRAWING = "<svg xmlns='http://www.w3.org/2000/svg' width='80' height='9'><path d='M0 5H80' stroke='gray'/></svg>"

PASSAGE = [
    Segment("The boat left "),
    Segment("Port Ellen", "place", "name"),
    Segment(" in "),
    Segment("May 1921", "date", None),
    Segment(" with "),
    Segment("Mrs Keel", "name", "name"),
    Segment(" and twelve crates of books on board, bound north."),
]
OTHER = [Segment("He called it "), Segment("Paradise", None, "place"), Segment(", which nobody else ever did.")]
SPAN_SECTIONS = [
    Table(
        "Scores by label",
        LABEL_COLUMNS,
        [
            ["place", 0.861, 0.832, 0.846, 211, 204],
            ["name", 0.792, 0.831, 0.811, 154, 161],
            ["date", None, 0.0, 0.0, 3, 0],
        ],
    ),
    Bars(
        "F1 by length",
        "F1",
        [
            Bar("short (up to 64)", 0.861, 0.82, 0.9, 180),
            Bar("medium", 0.803, 0.74, 0.86, 90),
            Bar("long", 0.71, 0.55, 0.84, 30),
        ],
        "The upright line is the score of all records.",
        0.831,
    ),
    Curve(
        "Reliability",
        "confidence",
        "share right",
        {"spans": [(0.35, 0.3), (0.55, 0.49), (0.75, 0.78), (0.93, 0.95)]},
        diagonal=True,
    ),
    Examples(
        "Worst errors",
        [
            Example("doc-17", "name for place, with confidence 0.98", PASSAGE),
            Example("doc-203", "place where there is none, with confidence 0.91", OTHER),
        ],
        "The 2 worst of 368 spans.",
    ),
]
CLASS_SECTIONS = [
    Table(
        "Scores by label",
        LABEL_COLUMNS,
        [
            ["first", 0.7, 0.8, 0.747, 20, 23],
            ["second", 0.6, 0.5, 0.545, 12, 10],
            ["third", 0.9, 0.82, 0.857, 11, 10],
        ],
    ),
    Matrix("Confusion matrix", NAMES, NAMES, [[16, 4, 0], [5, 6, 1], [2, 0, 9]], "True labels in rows."),
    Text("About", ["One paragraph."]),
    Figure("Map", DRAWING, "a line"),
]


def value_sections():
    noise = random.Random(1)
    points = [(x, 0.8 * x + 0.3 + noise.gauss(0, 0.4)) for x in (noise.gauss(1, 1.2) for _ in range(400))]
    return [
        Scatter("Predicted against true value", "true", "predicted", points),
        Table("Residuals", ["target", "pairs", "mean residual", "median |residual|"], [["value", 400, 0.012, 0.271]]),
        Examples("Worst errors", [Example("r9", "predicted 3.1 for -0.2, off by +3.3", [Segment("A text.")])]),
    ]


def write_run(folder: Path, metrics: dict, sections: list[Section], log: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.toml").write_text(SETTINGS.format(task=metrics["task"]))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "sections.json").write_text(json.dumps([to_json(section) for section in sections]))
    (folder / "log.jsonl").write_text(log)
    return folder


def span_run(folder: Path) -> Path:
    test = {"span_f1": score(0.831, 0.028), "span_recall": score(0.82, 0.03), "calibration_ece": score(0.041, 0.012)}
    baseline = {"span_f1": score(0.521, 0.034), "span_recall": score(0.46, 0.04)}
    return write_run(folder, metrics_of("demo.spans", "span_f1", test, baseline), SPAN_SECTIONS, log_of("span_f1"))


def class_run(folder: Path) -> Path:
    test = {"macro_f1": score(0.7164, 0.12), "accuracy": score(0.7209, 0.13)}
    baseline = {"macro_f1": score(0.6012, 0.1), "accuracy": score(0.62, 0.1)}
    metrics = metrics_of("demo.classes", "macro_f1", test, baseline)
    metrics["warnings"] = ["label 'third' has 11 test records", "4 records of test are also in train"]
    metrics["data"]["test"]["records"] = 43
    metrics["data"]["train"] |= {"truncated": 5, "dropped": 2}
    return write_run(folder, metrics, CLASS_SECTIONS, log_of("macro_f1"))


def value_run(folder: Path) -> Path:
    test = {"rmse": score(0.42, 0.03), "spearman": score(0.87, 0.02), "r2": score(0.79, 0.03)}
    baseline = {"rmse": score(1.21, 0.05), "spearman": score(None), "r2": score(-0.01, 0.01)}
    metrics = metrics_of("demo.values", "-rmse", test, baseline) | {"test": None}
    del metrics["data"]["test"]
    return write_run(folder, metrics, value_sections(), log_of("-rmse"))


RUNS = {"spans": span_run, "classes": class_run, "values": value_run}


class Page(HTMLParser):
    """Elements with attributes in order, and the text."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, *tags):
        return [(tag, attributes) for tag, attributes in self.elements if tag in tags]


@pytest.fixture(params=RUNS)
def page(request, tmp_path) -> Page:
    return Page(write_report(RUNS[request.param](tmp_path / "run")).read_text())


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text())


def test_structure(page):
    assert page.open == []  # every element is closed, in order
    levels = [int(tag[1]) for tag, _ in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [attributes["href"].removeprefix("#") for _, attributes in page.all("a")]
    labelled = [attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes]
    assert set(targets) | set(labelled) <= set(ids)


def test_plots_and_tables_have_names(page):
    for tag, attributes in page.all("svg", "img"):
        assert attributes.get("alt") or attributes.get("aria-label") or attributes.get("aria-hidden") == "true", tag
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(attributes.get("scope") in ("row", "col") for _, attributes in page.all("th"))
    assert page.all("html")[0][1]["lang"] == "en"


def test_scrolling_parts_are_reached_by_keyboard(page):
    regions = [attributes for _, attributes in page.elements if "wide" in attributes.get("class", "").split()]
    assert regions
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)


def test_self_contained(tmp_path):
    for name, make in RUNS.items():
        file = write_report(make(tmp_path / name))
        text = file.read_text()
        text_without_names = text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(|<link|<script|<iframe", text_without_names)
        assert file.stat().st_size < 300_000
        assert "default-src 'none'" in html.unescape(text)


def test_verdict_of_a_clear_success(tmp_path):
    text = page_of(span_run(tmp_path)).text
    assert "learned the task demo.spans from 1,200 records with the method lora on weights stored in 8 bits" in text
    assert "trains 0.54% of its weights" in text
    assert "On 300 test records it reaches span F1 0.831 (95% interval 0.803 to 0.859)" in text
    assert "beats the baseline by 0.310 (0.831 against 0.521), beyond the 95% intervals of both" in text
    assert "records read in windows: 14 in training, 3 in test" in text


def test_verdict_names_labels_without_a_true_case(tmp_path):
    table = Table("Scores", LABEL_COLUMNS, [[name, None, None, None, int(name == "e"), 1] for name in "abcde"])
    text = page_of(write_run(tmp_path, metrics_of("t", "f1", {"f1": score(0.5)}, {}), [table])).text
    assert "no test record shows how well it finds a, b, c and 1 more" in text


def test_how_to_repeat(tmp_path):
    text = page_of(class_run(tmp_path / "my run")).text
    assert "labtune run 'my run/run.toml' --out 'my run-again'" in text
    settings, _, facts = text.partition("Versions and machine")
    assert "learning_rate 2e-05" in settings
    assert "versions.torch 2.13.0" in facts


def test_verdict_of_overlapping_intervals(tmp_path):
    text = page_of(class_run(tmp_path)).text
    assert "Not shown to be better than the baseline" in text
    assert "0.115 better than the baseline (0.716 against 0.601), but their 95% intervals overlap" in text
    for caveat in ("only 43 test records", "cut short: 5 in training", "left out: 2 in training", "2 warnings"):
        assert caveat in text
    assert "4 records of test are also in train" in text


def test_verdict_without_a_test_split(tmp_path):
    text = page_of(value_run(tmp_path)).text
    assert "Better than the baseline" in text
    assert "On 150 validation records it reaches RMSE 0.420" in text
    assert "beats the baseline by 0.790 (0.420 against 1.210, smaller is better)" in text
    assert "the validation records chose the best epoch" in text


@pytest.mark.parametrize("field", ["id", "headline", "text", "truth", "predicted"])
def test_markup_in_data_stays_text(tmp_path, field):
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>\"' {{ 7*7 }}"
    parts = {"id": "r", "headline": "h", "text": "t", "truth": "a", "predicted": "b", field: attack}
    item = Example(parts["id"], parts["headline"], [Segment(parts["text"], parts["truth"], parts["predicted"])])
    found = page_of(write_run(tmp_path, metrics_of("t", "f1", {}, {}), [Examples("Errors", [item])]))
    assert not found.all("script", "img")
    assert "<script>alert(1)</script>" in found.text
    assert "{{ 7*7 }}" in found.text


def test_markup_in_names_stays_text(tmp_path):
    attack = '<script>alert(1)</script>" onload="alert(1)'
    sections = [
        Table(attack, [attack], [[attack]], attack),
        Matrix(attack, [attack], [attack], [[1]], attack),
        Curve(attack, attack, attack, {attack: [(0, 1), (1, 2)], "b": [(0, 1)]}, attack),
        Scatter(attack, attack, attack, [(0, 1), (1, 0)], attack),
        Bars(attack, attack, [Bar(attack, 0.5, 0.4, 0.6, 3)], attack),
        Text(attack, [attack], attack),
        Figure(attack, f"<svg xmlns='http://www.w3.org/2000/svg'>{attack}</svg>", attack, attack),
    ]
    metrics = metrics_of("t", "f1", {"f1": score(0.5), attack: score(0.5)}, {})
    metrics |= {"warnings": [attack], "encoder": attack, "method": attack, "preset": attack}
    found = page_of(write_run(tmp_path, metrics, sections))
    assert not found.all("script")
    assert not any("onload" in attributes for _, attributes in found.elements)
    assert all(attributes["src"].startswith("data:image/svg+xml;base64,") for _, attributes in found.all("img"))


def test_every_value_may_be_missing(tmp_path):
    bare = {"task": "t", "preset": "", "encoder": "e", "method": "full", "bits": 32, "seed": 0}
    sections = [
        Table("T", ["a"], []),
        Curve("C", "x", "y", {}),
        Curve("D", "x", "y", {"a": [(1, None)]}),
        Scatter("S", "x", "y", []),
        Bars("B", "x", []),
        Bars("N", "x", [Bar("a", None)]),
        Matrix("M", [], [], []),
        Matrix("Z", ["a"], ["a"], [[0]]),
        Examples("E", []),
    ]
    text = page_of(write_run(tmp_path, bare, sections)).text
    assert "Not compared with a baseline" in text
    assert "It was not scored" in text


def test_only_settings_and_metrics_are_needed(tmp_path):
    run = span_run(tmp_path)
    (run / "sections.json").unlink()
    (run / "log.jsonl").unlink()
    assert "beats the baseline" in page_of(run).text


def test_a_broken_last_log_line_is_left_out(tmp_path):
    run = span_run(tmp_path)
    with (run / "log.jsonl").open("a") as file:
        file.write('{"event": "step", "st')
    assert "Training loss" in page_of(run).text


def test_no_run_no_page(tmp_path):
    with pytest.raises(RunError, match="no such run folder"):
        write_report(tmp_path / "none")
    run = span_run(tmp_path / "run")
    (run / "sections.json").write_text('[{"kind": "movie"}]')
    with pytest.raises(RunError, match="no section of kind 'movie'"):
        write_report(run)
    assert not (run / "report.html").exists()


def test_long_runs_give_small_pages(tmp_path):
    lines = ({"event": "step", "step": step, "loss": 1 / step, "learning_rate": 1e-5} for step in range(1, 50_001))
    noise = random.Random(0)
    points = [(noise.random(), noise.random()) for _ in range(20_000)]
    log = "".join(json.dumps(line) + "\n" for line in lines)
    run = write_run(tmp_path, metrics_of("t", "f1", {}, {}), [Scatter("S", "x", "y", points)], log)
    file = write_report(run)
    assert file.stat().st_size < 400_000
    assert "20,000 points, 2,000 of them drawn" in file.read_text()
