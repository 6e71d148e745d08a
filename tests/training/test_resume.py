"""A run that is killed and resumed ends as one that was never stopped, to the bit."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labtune.data.dataset import sha256_of
from labtune.errors import RunError, SettingsError
from labtune.pipeline import run

TASK = "finance.sentiment"
OPTIONS = {
    "encoder": "tiny",
    "epochs": 2,
    "batch_size": 16,
    "patience": 2,
    "learning_rate": 3e-3,
    "checkpoint_every": 1,
}
TIMED = {"seconds", "tokens_per_second", "records_per_second", "peak_memory_mb"}


@pytest.fixture(scope="module")
def start() -> Callable[..., Any]:
    """Start a run in a process of its own; the server has imported everything before it forks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["labtune.pipeline"])

    def begin(out: Path, **options: Any) -> Any:
        process = context.Process(target=run, kwargs={"task": TASK, "out": out, **OPTIONS, **options})
        process.start()
        return process

    return begin


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that nobody stopped: 20 steps in two epochs."""
    out = tmp_path_factory.mktemp("whole") / "run"
    run(TASK, out=out, **OPTIONS)
    return out


def content(folder: Path) -> dict[str, Any]:
    """Everything that must be equal: hashes of files, scores, and the log without its clock."""
    hashes = {
        str(path.relative_to(folder)): sha256_of(path) for path in sorted(folder.glob("model/**/*")) if path.is_file()
    }
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    metrics = json.loads((folder / "metrics.json").read_text())
    return {
        "model": hashes,
        "predictions": (folder / "predictions.jsonl").read_text(),
        "log": [{key: value for key, value in line.items() if key != "time"} for line in log],
        "metrics": _untimed(metrics),
    }


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(item) for key, item in value.items() if key not in TIMED}
    return value


def kill_and_resume(start: Callable[..., Any], out: Path, steps: list[int], draw: random.Random) -> None:
    """Kill the run a moment after each of these steps and resume it, then let it end."""
    for step in steps:
        process = start(out, resume=True)
        wait_for(process, out, step)
        time.sleep(draw.uniform(0, 0.15))  # a step with its checkpoint takes about as long
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    process = start(out, resume=True)
    process.join()
    assert process.exitcode == 0


def wait_for(process: Any, out: Path, step: int) -> None:
    """Wait until a step is in the log."""
    log = out / "log.jsonl"
    while process.is_alive() and not (log.exists() and f'"step": {step},' in log.read_text()):
        time.sleep(0.002)


def test_same_seed_same_hash(whole, tmp_path):
    run(TASK, out=tmp_path / "again", **OPTIONS)
    assert content(tmp_path / "again") == content(whole)


def test_killed_three_times(start, whole, tmp_path):
    kill_and_resume(start, tmp_path / "run", [3, 10, 15], random.Random(0))
    assert content(tmp_path / "run") == content(whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments(start, whole, tmp_path, seed):
    """Every step writes a checkpoint, so a good part of the twenty moments lies within writing one."""
    draw = random.Random(seed)
    kill_and_resume(start, tmp_path / "run", sorted(draw.sample(range(1, 19), 5)), draw)
    assert content(tmp_path / "run") == content(whole)


@pytest.mark.parametrize("when", [1, 14])
def test_killed_within_a_checkpoint(whole, tmp_path, when, monkeypatch):
    """Die at every kind of moment of a write: after the first file, before the rename, before old ones are dropped."""
    import labtune.training.checkpoints as checkpoints

    class Killed(BaseException):
        pass

    calls = {"save_file": 0}
    save_file = checkpoints.save_file

    def dying(tensors, path):
        calls["save_file"] += 1
        save_file(tensors, path)
        if calls["save_file"] == when:
            path.write_bytes(path.read_bytes()[:100])
            raise Killed

    monkeypatch.setattr(checkpoints, "save_file", dying)
    with pytest.raises(Killed):
        run(TASK, out=tmp_path / "run", **OPTIONS)
    monkeypatch.setattr(checkpoints, "save_file", save_file)
    run(TASK, out=tmp_path / "run", resume=True, **OPTIONS)
    assert content(tmp_path / "run") == content(whole)


def interrupted(out: Path, step: int, monkeypatch, number: signal.Signals = signal.SIGINT) -> str:
    """Run until a step, send a signal there, and return the message."""
    import labtune.training.loop as loop
    from labtune.training.interrupts import Interrupted

    class Runner(loop.StepRunner):
        def __call__(self, rows, at, journal):
            if at == step:
                os.kill(os.getpid(), number)
            return super().__call__(rows, at, journal)

    monkeypatch.setattr(loop, "StepRunner", Runner)
    with pytest.raises(Interrupted) as caught:
        run(TASK, out=out, **{**OPTIONS, "checkpoint_every": 0})
    monkeypatch.undo()
    return str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_resumable_run(number, whole, tmp_path, monkeypatch):
    out = tmp_path / "my run"
    message = interrupted(out, 13, monkeypatch, number)
    assert message == f"stopped; go on with: labtune run --out '{out}' --resume"
    assert sorted(path.name for path in (out / "checkpoints").glob("step-*")) == ["step-00000010", "step-00000014"]
    run(out=out, resume=True)
    again = content(out)
    assert again["model"] == content(whole)["model"]
    assert [line["step"] for line in again["log"] if line["event"] == "step"] == list(range(1, 21))


@pytest.mark.parametrize("damage", ["truncate", "flip", "state", "remove"])
def test_a_damaged_checkpoint_is_skipped(damage, whole, tmp_path, monkeypatch, caplog):
    out = tmp_path / "run"
    interrupted(out, 13, monkeypatch)
    latest = out / "checkpoints" / "step-00000014"
    file = latest / ("state.json" if damage == "state" else "optimizer.safetensors")
    data = bytearray(file.read_bytes())
    if damage == "truncate":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "remove":
        file.unlink()
    elif damage == "flip":
        data[-5] ^= 1
        file.write_bytes(data)
    else:
        file.write_bytes(data.replace(b'"step": 14', b'"step": 15'))
    run(out=out, resume=True)
    assert f"{latest} is damaged; using the checkpoint before it" in caplog.text
    assert content(out)["model"] == content(whole)["model"]


def test_early_stopping_survives(start, tmp_path):
    options = {"patience": 1, "learning_rate": 0.0, "head_learning_rate": 0.0, "epochs": 9}
    run(TASK, out=tmp_path / "whole", **{**OPTIONS, **options})
    process = start(tmp_path / "run", **options)
    wait_for(process, tmp_path / "run", 12)
    process.kill()
    process.join()
    result = run(out=tmp_path / "run", resume=True)
    assert result.metrics["train"]["epochs"] == 2  # one to have a best score, one without gain
    assert result.metrics["best_epoch"] == 2  # the last of equal ones
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_a_finished_run_says_so(whole, capsys):
    out = whole
    before = content(out)
    assert run(out=out, resume=True).metrics == json.loads((out / "metrics.json").read_text())
    assert capsys.readouterr().err == f"{out}: this run is finished\n"
    assert content(out) == before


def test_settings_must_not_differ(whole):
    out = whole
    with pytest.raises(SettingsError, match=r"epochs is 4, but .*run.toml says 2: a resumed run keeps its settings"):
        run(TASK, out=out, resume=True, epochs=4)
    with pytest.raises(SettingsError, match=r"is a run of 'finance.sentiment', not of 'ner.spans'"):
        run("ner.spans", out=out, resume=True)
    run(TASK, out=out, resume=True, epochs=2, batch_tokens=512)  # says nothing about what is learned from what


def test_data_must_not_have_changed(tmp_path, monkeypatch):
    lines = [f"text {row} {'up' if row % 2 else 'down'}@{('negative', 'positive')[row % 2]}" for row in range(60)]
    train = tmp_path / "train.txt"
    train.write_text("\n".join(lines) + "\n")
    out = tmp_path / "run"
    import labtune.training.loop as loop

    monkeypatch.setattr(loop, "_finish_epoch", _stop)
    with pytest.raises(KeyboardInterrupt):
        run(TASK, train=train, out=out, **OPTIONS)
    monkeypatch.undo()
    train.write_text("\n".join([*lines, "one more@positive"]) + "\n")
    with pytest.raises(RunError, match="the train data has changed since this run began"):
        run(out=out, resume=True)


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def test_nothing_to_resume(tmp_path):
    with pytest.raises(RunError, match="there is no run to resume in"):
        run(out=tmp_path / "none", resume=True)
    with pytest.raises(RunError, match="--resume needs the run folder"):
        run(resume=True)
    with pytest.raises(SettingsError, match="name a task"):
        run()
