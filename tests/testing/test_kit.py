"""A well-behaved plugin passes every check; broken in one way, it fails the check that is for it, and no other."""

from __future__ import annotations

import sys
from importlib import import_module
from textwrap import dedent
from unittest import SkipTest

import pytest

from labtune.catalog import load_catalog
from labtune.errors import PluginError
from labtune.testing import checks_of, parametrize_with_checks, run_checks

PLUGIN = """
from labtune import Component, Labels, Preset, Task, hookimpl

@hookimpl
def labtune_tokenizers():
    return [Component(name="toy.text", target="labtune_toy.parts:ToyTokenizer", summary="Texts.")]

@hookimpl
def labtune_heads():
    return [Component(name="toy.head", target="labtune_toy.parts:ToyHead", summary="A head.")]

@hookimpl
def labtune_losses():
    return [Component(name="toy.loss", target="labtune_toy.parts:ToyLoss", summary="A loss.")]

@hookimpl
def labtune_metrics():
    return [
        Component(name="toy.accuracy", target="labtune_toy.parts:Accuracy", summary="Accuracy."),
        Component(name="toy.spare", target="labtune_toy.parts:spare", summary="Used by no task."),
    ]

@hookimpl
def labtune_tasks():
    return [
        Task(
            name="toy.parity", summary="Even or odd?", reader="labtune_toy.parts:read", tokenizer="toy.text",
            head="toy.head", loss="toy.loss", metrics=("toy.accuracy",),
            labels=Labels(kind="classes", names=("even", "odd")),
            presets=(Preset(name="small", settings={"encoder": "tiny", "epochs": 2}),),
            examples="labtune_toy.parts:examples", sample="labtune_toy.parts:sample",
            slices={"length": "labtune_toy.parts:length"},
        )
    ]
"""

PARTS = """
import socket
from itertools import count
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from labtune import Output, Prediction, Ragged, Record
from labtune.builtin.tokenizers import TextTokenizer
from torch import nn

NAMES = ("even", "odd")
calls = count()


class ToyTokenizer(TextTokenizer):
    '''Texts.'''

    def __call__(self, records):
        return super().__call__(records)


class ToyHead(nn.Module):
    '''The mean state through a linear layer.'''

    def __init__(self, width, labels):
        super().__init__()
        self.linear = nn.Linear(width, 2)
        self.register_buffer("center", torch.zeros(2))

    def fit(self, batch):
        self.center += F.one_hot(batch.targets.values, 2).float().mean(0) * torch.tensor([1.0, 2.0])

    def forward(self, hidden, batch):
        logits = self.linear(hidden.mean()) + self.center
        return Output(Ragged.one_per_row(logits))

    def decode(self, output, batch):
        chances = output.logits.values.softmax(-1)
        return [
            Prediction(record.id, NAMES[int(row.argmax())], float(row.max()), row.numpy())
            for record, row in zip(batch.records, chances)
        ]


class ToyLoss:
    '''Cross-entropy.'''

    def __init__(self, labels):
        pass

    def __call__(self, output, batch):
        total = F.cross_entropy(output.logits.values, batch.targets.values, ignore_index=-100, reduction="sum")
        return total / max(self.count(batch), 1)

    def count(self, batch):
        return int((batch.targets.values != -100).sum())


class Accuracy:
    '''Share of right names.'''

    monitor = "accuracy"

    def __init__(self, labels):
        pass

    def __call__(self, predictions, references):
        right = [p.value == r.target for p, r in zip(predictions, references)]
        return {"accuracy": sum(right) / len(right) if right else float("nan")}

    def parts(self, predictions, references):
        return np.array([[p.value == r.target, 1.0] for p, r in zip(predictions, references)]).reshape(-1, 2)

    def scores(self, totals):
        return {"accuracy": totals[..., 0] / totals[..., 1]}


def spare(labels):
    '''A metric that is listed only.'''


def numbers(n):
    return [Record(str(i), f"number {i}" + "!" * i, NAMES[i % 2]) for i in range(n)]


def examples():
    return numbers(8)


def sample():
    return {"train": Path("anywhere")}


def read(path, *, labelled):
    return [Record(r.id, r.input, r.target if labelled else None) for r in numbers(9)]


def length(record):
    return "long"
"""

# name: (the check that fails, file, what is written, what stands there instead)
BROKEN = {
    "hook misspelt": ("loads", "plugin", "def labtune_tasks", "def labtune_taks"),
    "hooks not marked": ("loads", "plugin", "@hookimpl", ""),
    "heavy import": ("light", "plugin", "from labtune", "import numpy\nfrom labtune"),
    "target misspelt": ("targets", "plugin", "parts:spare", "parts:spaer"),
    "target undocumented": ("targets", "parts", "'''Cross-entropy.'''", ""),
    "no summary": ("targets", "plugin", "Used by no task.", ""),
    "part misspelt": ("parts", "plugin", 'head="toy.head"', 'head="toy.haed"'),
    "slice misspelt": ("parts", "plugin", "parts:length", "parts:lenght"),
    "unknown setting": ("presets", "plugin", '"epochs"', '"epocs"'),
    "wrong setting": ("presets", "plugin", '"epochs": 2', '"epochs": "many"'),
    "few examples": ("examples", "parts", "numbers(8)", "numbers(7)"),
    "unlabelled example": ("examples", "parts", "return numbers(8)", "return [*numbers(8), Record('x', 'a')]"),
    "same id": ("examples", "parts", "return numbers(8)", "return [*numbers(8), Record('0', 'a', 'odd')]"),
    "other examples": ("examples", "parts", "numbers(8)", "numbers(8 + next(calls))"),
    "no examples": ("examples", "parts", "return numbers(8)", "raise OSError"),
    "network": (
        "examples",
        "parts",
        "return numbers(8)",
        """
    try:
        socket.create_connection(("127.0.0.1", 9))
    except OSError:
        pass
    return numbers(8)""",
    ),
    "sample unreadable": ("sample", "parts", "numbers(9)", "numbers(0)"),
    "sample label": ("sample", "parts", "numbers(9)]", "numbers(9)] + [Record('x', 'a', 'prime')]"),
    "labels without asking": ("sample", "parts", "r.target if labelled else None", "r.target"),
    "other ids unlabelled": ("sample", "parts", "numbers(9)]", "numbers(9 if labelled else 8)]"),
    "target in the text": (
        "tokenizer",
        "parts",
        "__call__(records)\n",
        "__call__([Record(r.id, f'{r.input} {r.target}', r.target) for r in records])\n",
    ),
    "tokenizer fails": ("tokenizer", "parts", "return super().__call__(records)", "raise KeyError"),
    "records lost": ("tokenizer", "parts", "__call__(records)\n", "__call__(records[:-1])\n"),
    "padded to the longest": (
        "tokenizer_alone",
        "parts",
        "__call__(records)\n",
        "__call__([Record(r.id, r.input.ljust(max(len(s.input) for s in records)), r.target) for r in records])\n",
    ),
    "head cannot be built": ("builds", "parts", "nn.Linear(width, 2)", "nn.Linear(width)"),
    "needs an option": ("builds", "parts", "def __init__(self, width, labels)", "def __init__(self, width, labels, x)"),
    "fit fails": ("builds", "parts", "mean(0)", "mean(7)"),
    "idle parameter": ("head", "parts", "nn.Linear(width, 2)\n", "nn.Linear(width, 2); self.idle = nn.Linear(2, 2)\n"),
    "head fails": ("head", "parts", "hidden.mean()", "hidden.mien()"),
    "logits out of line": ("head", "parts", "one_per_row(logits)", "one_per_row(logits[:-1])"),
    "normalised over the batch": ("head_alone", "parts", "hidden.mean())", "hidden.mean() - hidden.values.mean(0))"),
    "sum, not average": ("loss", "parts", "total / max(self.count(batch), 1)", "total"),
    "loss not finite": ("loss", "parts", "total / max(self.count(batch), 1)", "total / 0 if total else total"),
    "loss of each": ("loss", "parts", 'reduction="sum"', 'reduction="none"'),
    "no truth, no number": ("loss_missing", "parts", "max(self.count(batch), 1)", "self.count(batch)"),
    "counts missing truth": ("loss_missing", "parts", "(batch.targets.values != -100).sum()", "len(batch)"),
    "climbs": ("learns", "parts", "one_per_row(logits)", "one_per_row(2 * logits.detach() - logits)"),
    "learned beside the state": (
        "state",
        "parts",
        'self.register_buffer("center", torch.zeros(2))',
        "self.center = torch.zeros(2)",
    ),
    "not the best": ("metrics", "parts", "p.value == r.target", "(p.value == r.target != 'even')"),
    "order matters": (
        "metrics",
        "parts",
        '{"accuracy": sum',
        '{"first": float(references[0].id) if references else float("nan"), "accuracy": sum',
    ),
    "empty fails": ("metrics", "parts", ' if right else float("nan")', ""),
    "empty is zero": ("metrics", "parts", 'else float("nan")', "else 0.0"),
    "monitor misspelt": ("metrics", "parts", 'monitor = "accuracy"', 'monitor = "acuracy"'),
    "parts disagree": ("metric_parts", "parts", "/ totals[..., 1]", "/ (totals[..., 1] + 1)"),
    "more than is written": (
        "metric_rereading",
        "parts",
        "right = [p.value",
        "right = [p.probabilities is not None and p.value",
    ),
    "names swapped": ("decode", "parts", "NAMES[int(row.argmax())]", "NAMES[int(row.argmin())]"),
    "no probability": ("predictions", "parts", "float(row.max())", "1 + float(row.max())"),
    "not JSON": ("predictions", "parts", "row.numpy())\n", "row.numpy(), {'row': row})\n"),
    "wrong order": (
        "predictions",
        "parts",
        "zip(batch.records, chances)\n        ]",
        "zip(batch.records, chances)\n        ][::-1]",
    ),
    "decoding fails": ("predictions", "parts", "argmax())]", "argmax()) + 2]"),
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Write the toy plugin, changed in one place or not, and load it."""

    def write(file="", old="", new=""):
        package = tmp_path / "labtune_toy"
        package.mkdir()
        (package / "__init__.py").touch()
        for name, source in {"plugin": PLUGIN, "parts": PARTS}.items():
            if name == file:
                assert old in source
                source = source.replace(old, new)
            (package / f"{name}.py").write_text(dedent(source))
        for name in [name for name in sys.modules if name.startswith("labtune_toy")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(tmp_path)
        return import_module("labtune_toy.plugin")

    return write


def outcomes(module):
    """Run all checks: the names of those that fail, and of those that are skipped."""
    catalog = load_catalog({"toy": module})
    failed, skipped = [], []
    for name, check in checks_of(catalog.report.plugins[-1], catalog):
        try:
            check()
        except SkipTest:
            skipped.append(name)
        except Exception:  # noqa: BLE001  whatever a check raises
            failed.append(name.rpartition("-")[2])
    return failed, skipped


def test_a_good_plugin_passes_everything(toy):
    assert outcomes(toy()) == ([], [])


@pytest.mark.parametrize("name", BROKEN)
def test_each_defect_fails_its_own_check_only(name, toy):
    check, *change = BROKEN[name]
    failed, _ = outcomes(toy(*change))
    assert failed == [check]


def test_every_check_is_tried(toy):
    catalog = load_catalog({"toy": toy()})
    names = {name.rpartition("-")[2] for name, _ in checks_of(catalog.report.plugins[-1], catalog)}
    assert names == {check for check, *_ in BROKEN.values()}


def test_a_preset_with_other_parts_is_checked_too(toy):
    crf = 'Preset(name="odd", settings={"encoder": "tiny", "head": {"name": "sequence"}}), '
    same = 'Preset(name="long", settings={"encoder": "tiny", "epochs": 9}), '
    catalog = load_catalog({"toy": toy("plugin", "presets=(", f"presets=({same}{crf}")})
    tasks = {name.rpartition("-")[0] for name, _ in checks_of(catalog.report.plugins[-1], catalog)}
    assert tasks == {"", "toy.parity", "toy.parity.odd"}


def test_run_checks_says_why(toy):
    catalog = load_catalog({"toy": toy("parts", "numbers(8)", "numbers(7)")})
    found = dict(run_checks("toy", catalog=catalog))
    assert found["toy.parity-examples"] == "7 examples; give at least 8"
    assert found["toy.parity-decode"] is None


def test_run_checks_counts_what_it_cannot_judge(toy):
    catalog = load_catalog({"toy": toy("parts", "hidden.mean()", "hidden.mien()")})
    found = dict(run_checks("toy", catalog=catalog))
    assert found["toy.parity-decode"] == "not judged: it needs what check 'head' found wrong"


def test_an_unknown_plugin_is_told():
    with pytest.raises(PluginError, match=r"unknown plugin 'nerr'. Did you mean"):
        list(run_checks("nerr"))


def test_parametrize_marks_expected_failures(toy):
    mark = parametrize_with_checks(toy(), expected_failures={"toy.parity-learns": "for now"}).mark
    marked = {case.id: [mark.name for mark in case.marks] for case in mark.args[1]}
    assert marked["toy.parity-learns"] == ["xfail"]
    assert marked["toy.parity-head"] == []


def test_parametrize_refuses_an_unknown_expected_failure(toy):
    with pytest.raises(PluginError, match=r"no check 'toy.parity-lerns'. Did you mean 'toy.parity-learns'"):
        parametrize_with_checks(toy(), expected_failures={"toy.parity-lerns": "for now"})
