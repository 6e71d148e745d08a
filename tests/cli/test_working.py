"""The commands that work hand over what they were given and print what they get back.

The rooms behind them have their own tests; here, small stand-ins take their places.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from labtune.cli import main
from labtune.cli.launch import launch

SCORES = {"accuracy": {"value": 0.9125, "low": 0.9, "high": 0.92}, "rmse": {"value": 12.5, "low": 11, "high": 14}}
METRICS = {"task": "demo.words", "test": SCORES, "baseline": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}}


@dataclass
class FakeRun:
    folder: Path
    metrics: dict[str, Any]


@pytest.fixture
def replace(monkeypatch):
    """Put a module with these attributes where a command imports from."""

    def put(name: str, **attributes: object) -> None:
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)

    return put


@pytest.fixture
def ran(replace, demo):
    """Collect what ``labtune run`` hands over."""
    calls: list[dict[str, Any]] = []

    def run_settings(settings, **arguments):
        calls.append({"settings": settings, **arguments})
        return FakeRun(Path("runs/one"), METRICS)

    replace("labtune.pipeline", run_settings=run_settings)
    return calls


def test_run_hands_over_the_settings(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "--train a.csv --test b.csv --encoder minilm --method lora --bits 4 --epochs 5 --seed 6 --split random"
    more = "--coverage 0.8 --slice donor --slice batch --checkpoint-every 7 --preset large "
    more += "--set loss.gamma=2 --set clip=0 --out here --resume"
    assert main(["run", "demo.words", *words.split(), *more.split()]) == 0
    [call] = ran
    settings = call["settings"]
    assert (settings.coverage, settings.slices) == (0.8, ("donor", "batch"))
    assert settings.data == {"train": str(tmp_path / "a.csv"), "test": str(tmp_path / "b.csv")}
    assert (settings.encoder, settings.method, settings.bits, settings.epochs) == ("minilm", "lora", 4, 5)
    assert (settings.seed, settings.split, settings.checkpoint_every, settings.preset) == (6, "random", 7, "large")
    assert (settings.loss, settings.clip) == ({"gamma": 2}, 0)
    assert (call["out"], call["resume"]) == (Path("here"), True)
    assert "demo.words" in call["catalog"].tasks


def test_run_without_words_takes_the_preset(ran):
    assert main(["run", "demo.words"]) == 0
    [call] = ran
    assert (call["settings"].preset, call["settings"].data) == ("small", {})
    assert (call["out"], call["resume"]) == (None, False)


def test_run_prints_scores_beside_the_baseline(ran, capsys):
    main(["run", "demo.words"])
    assert capsys.readouterr().out.splitlines() == [
        "score     value  interval        baseline",
        "accuracy  0.912  [0.900, 0.920]  0.500",
        "rmse      12.5   [11, 14]        -",
        "folder: runs/one",  # the report would be named if there were one
    ]


def test_run_as_json(ran, capsys):
    main(["run", "demo.words", "--json"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"run": "runs/one", **METRICS}


def test_only_the_first_process_speaks(ran, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert main(["run", "demo.words", "--processes", "2"]) == 0
    assert len(ran) == 1
    assert capsys.readouterr().out == ""


def test_several_processes_start_only_with_good_settings(ran, monkeypatch, tmp_path):
    """They are told the folder, so that all take the same one."""
    monkeypatch.chdir(tmp_path)
    started = []
    monkeypatch.setattr("labtune.cli.run.launch", lambda *arguments, advice: started.append(arguments) or 3)
    words = ["run", "demo.words", "--processes", "2", "--json"]
    assert main([*words, "--epochs", "0"]) == 2
    assert started == []
    assert main(words) == 3
    assert started == [(2, [*words, "--out", "runs/demo.words-1"])]
    assert ran == []


@pytest.mark.parametrize(("words", "code"), [(["tasks"], 0), (["show", "no.task"], 2)])
def test_launch_runs_the_command_in_every_process(words, code, capfd):
    assert launch(2, words, advice="") == code
    out, error = capfd.readouterr()
    if code:
        assert "error: unknown task 'no.task'" in error
    else:
        main(words)
        assert sorted(out.splitlines()) == sorted(capfd.readouterr().out.splitlines() * 2)


def test_predict(replace, capsys):
    calls = []

    def predict_file(run, file, out, *, coverage):
        calls.append((run, file, out, coverage))
        return {"out": "p.jsonl", "records": 12, "seconds": 0.123456}

    replace("labtune.deploy.predictor", predict_file=predict_file)
    assert main(["predict", "run", "new.csv"]) == 0
    assert capsys.readouterr().out.splitlines() == ["out      p.jsonl", "records  12", "seconds  0.123"]
    assert main(["predict", "run", "new.csv", "-o", "p.jsonl", "--coverage", "0.8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"out": "p.jsonl", "records": 12, "seconds": 0.123456}
    assert calls == [(Path("run"), Path("new.csv"), None, None), (Path("run"), Path("new.csv"), Path("p.jsonl"), 0.8)]


def test_evaluate(replace, capsys):
    result = {"task": "demo.words", "scores": SCORES, "records": 12}
    replace("labtune.deploy.predictor", evaluate_file=lambda run, file: result)
    assert main(["evaluate", "run", "labelled.csv"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["score     value  interval", "accuracy  0.912  [0.900, 0.920]"]
    assert main(["evaluate", "run", "labelled.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == result


@pytest.mark.parametrize(("error", "code", "total"), [(None, 0, "2 of 2"), ("too short", 1, "1 of 2")])
def test_check(replace, capsys, error, code, total):
    replace("labtune.testing", run_checks=lambda plugin: iter([(f"{plugin} names", None), ("examples", error)]))
    assert main(["check", "demo"]) == code
    told = "FAILED  examples: too short" if error else "ok      examples"
    assert capsys.readouterr().out.splitlines() == ["ok      demo names", told, f"{total} checks hold"]
    assert main(["check", "demo", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["failed"] == (["examples"] if error else [])
