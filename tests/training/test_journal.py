from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from labtune.errors import RunError
from labtune.training.interrupts import Interrupted, StopRequest, how_to_go_on
from labtune.training.journal import Journal


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def step(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        journal.step(number, loss=0.5, learning_rate=1e-3, tokens=7)


def test_what_comes_after_a_checkpoint_is_taken_back(tmp_path):
    """Also an epoch's line, when its last step was saved but its end was not."""
    log = tmp_path / "log.jsonl"
    journal = Journal(log, total=4)
    step(journal, 1, 2)
    journal.epoch(1, step=2, train_loss=0.5, valid={"f1": 0.1})
    step(journal, 3, 4)
    journal.epoch(2, step=4, train_loss=0.5, valid={"f1": 0.2})
    journal.event("early_stop", "stopped", step=4, epoch=2)
    with log.open("a") as file:
        file.write('{"event": "st')  # the process died here
    again = Journal(log, total=4, start=4, epochs=1)
    again.epoch(2, step=4, train_loss=0.5, valid={"f1": 0.2})
    found = lines(log)
    assert [(line["event"], line["step"]) for line in found] == [
        ("step", 1),
        ("step", 2),
        ("epoch", 2),
        ("step", 3),
        ("step", 4),
        ("epoch", 4),
    ]


def test_a_new_run_starts_a_new_log(tmp_path):
    log = tmp_path / "log.jsonl"
    step(Journal(log, total=2), 1, 2)
    step(Journal(log, total=2), 1)
    assert [line["step"] for line in lines(log)] == [1]


def test_scores_that_are_not_defined_are_null(tmp_path):
    Journal(tmp_path / "log.jsonl", total=1).epoch(1, step=1, train_loss=0.5, valid={"mcc": float("nan")})
    assert lines(tmp_path / "log.jsonl")[0]["valid"] == {"mcc": None}


def test_other_processes_write_and_say_nothing(capsys):
    journal = Journal(None, total=2)
    step(journal, 1, 2)
    journal.event("memory", "short")
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_one_line(tmp_path):
    journal = Journal(tmp_path / "gone" / "log.jsonl", total=1)
    with pytest.raises(RunError, match=r"log.jsonl: cannot write \(.*\); free space and go on with --resume"):
        step(journal, 1)


def test_one_request_is_obeyed_later_and_a_second_ctrl_c_at_once():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest(Path("a run")) as stop:
        stop.obey()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted, match="stopped; go on with: labtune run --out 'a run' --resume"):
            stop.obey()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("number", "message", "ended"), [
    (signal.SIGTERM, "gloo: connection closed by peer", True),
    (signal.SIGTERM, "no space left", False),
    (signal.SIGINT, "gloo: connection closed by peer", False),
])  # fmt: skip
def test_a_process_that_the_launcher_ends_says_nothing_of_a_lost_connection(monkeypatch, number, message, ended):
    """The launcher's request may come before the connection is seen to be lost; then the launcher is about to tell."""
    monkeypatch.setattr("labtune.processes.count", lambda: 2)
    told = []

    def train():
        with StopRequest(Path("a run")):
            signal.raise_signal(number)
            assert not told
            raise RuntimeError(message)

    before = signal.signal(signal.SIGTERM, lambda *_: told.append("ended"))
    try:
        with pytest.raises(RuntimeError, match=message):
            train()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == ["ended"] * ended


def test_the_command_can_be_pasted(monkeypatch):
    assert how_to_go_on(Path("runs/x-1")) == "go on with: labtune run --out runs/x-1 --resume"
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert how_to_go_on(Path("x")) == "go on with: labtune run --out x --resume --processes 4"
