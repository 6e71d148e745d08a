"""A disk that fills up: writing stops at a number of bytes a file, and the run can go on once there is room."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from labtune import cli

WORDS = ["run", "ner.conll2003", "--encoder", "tiny", "--epochs", "2", "--out", "out"]


@pytest.fixture(autouse=True)
def _room_again(monkeypatch):
    """Give room again as soon as a command has ended."""
    before = limits()
    real = cli.main

    def run_and_make_room(*args):
        try:
            return real(*args)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(cli, "main", run_and_make_room)


@pytest.fixture
def words(here):
    return [*WORDS, "--train", "good.txt", "--valid", "good.txt", "--test", "good.txt"]


def limits():
    return resource.getrlimit(resource.RLIMIT_FSIZE)


def fill(limit):
    """Fill the disk until the next command has ended: pytest itself must be able to write."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits()[1]))


def fill_before(monkeypatch, where, limit, *, call=1):
    """Fill the disk just before the given call of a function."""
    module, name = where.rsplit(".", 1)
    calls = iter(range(1, 99))
    real = getattr(__import__(module, fromlist=[name]), name)

    def fill_and_call(*args, **options):
        if next(calls) == call:
            fill(limit)
        return real(*args, **options)

    monkeypatch.setattr(where, fill_and_call)


def told(words, capsys):
    assert cli.main(words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: ")
    return [fragment for fragment in ("cannot write", "--resume") if fragment in line]


def go_on(words, here, monkeypatch):
    """With room again, the run can be resumed and ends whole."""
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert not list(Path("out").rglob("*.partial"))
    assert cli.main([*words, "--resume"]) == 0
    assert {"metrics.json", "report.html", "predictions.jsonl", "model"} <= {p.name for p in Path("out").iterdir()}


def test_at_the_first_checkpoint_nothing_stays(words, refused):
    fill(50_000)
    assert "cannot write" in refused(*words)


def test_at_a_later_checkpoint_the_run_can_go_on(words, here, capsys, monkeypatch):
    fill_before(monkeypatch, "labtune.training.loop.save_checkpoint", 50_000, call=2)
    assert told(words, capsys) == ["cannot write", "--resume"]
    go_on(words, here, monkeypatch)


@pytest.mark.parametrize("room", ["save_parts", "write_report", "write_json"])
def test_at_the_end_the_run_can_go_on(room, words, here, capsys, monkeypatch):
    fill_before(monkeypatch, f"labtune.pipeline.{room}", 100)
    assert told(words, capsys)[:1] == ["cannot write"]
    go_on(words, here, monkeypatch)


def test_at_a_line_of_the_log(words, refused, monkeypatch):
    fill_before(monkeypatch, "labtune.training.loop.build_optimizer", 1)
    line = refused(*words)
    assert "log.jsonl" in line
    assert "cannot write" in line


def test_at_predictions(words, refused):
    assert cli.main(words) == 0
    fill(100)
    line = refused("predict", "out", "good.txt")
    assert "good.txt.predictions.jsonl" in line
    assert "cannot write" in line
    assert "another place with -o" in line
