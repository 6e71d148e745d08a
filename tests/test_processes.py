"""Two processes on the CPU learn what one does, and fail and stop together."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from labtune.cli import main
from labtune.data.dataset import sha256_of
from labtune.errors import SettingsError, TrainingError
from labtune.pipeline import run
from labtune.processes import anyone, from_first, gathered, leave, start

TASK = "finance.sentiment"
# 160 records in steps of 53 leave a last step of one record, of which the second process gets none.
OPTIONS = {
    "encoder": "tiny",
    "epochs": 3,
    "dropout": 0.0,
    "head": {"dropout": 0.0},
    "batch_size": 53,
    "batch_tokens": 600,
    "precision": "float32",
}
WORKER = """
import os
os.environ.update(environment)
from labtune import processes
from labtune.errors import LabtuneError
from labtune.pipeline import run
from labtune.training.interrupts import Interrupted
processes.GRACE = 0
try:
    run(task, **options)
except (LabtuneError, Interrupted) as error:
    print(type(error).__name__, error, sep="|", file=open(told, "w"))
    os._exit(3)
"""


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Callable[..., list[Any]]:
    """Start a run of two processes, which fork from a server that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["labtune.pipeline"])

    def begin(out: Path, **options: Any) -> list[Any]:
        shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "OMP_NUM_THREADS": "1"}
        processes = []
        for rank in "01":
            names = {
                "environment": {**shared, "RANK": rank, "LOCAL_RANK": rank},
                "task": TASK,
                "options": {"out": out, **OPTIONS, **options},
                "told": str(out.parent / f"told-{rank}"),
            }
            processes.append(context.Process(target=exec, args=(WORKER, names)))
            processes[-1].start()
        return processes

    return begin


def wait(processes: list[Any]) -> list[int]:
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def steps_of(out: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [event for event in events if event["event"] == "step"]


def model_of(out: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in out.glob("model/**/*.safetensors")}


@pytest.fixture(scope="module")
def pair(both, tmp_path_factory) -> Path:
    """The folder of a finished run of two processes."""
    out = tmp_path_factory.mktemp("pair") / "run"
    assert wait(both(out, checkpoint_every=1)) == [0, 0]
    return out


def test_two_learn_as_one(pair, tmp_path):
    alone = run(TASK, out=tmp_path / "one", **OPTIONS)
    one, two = steps_of(alone.folder), steps_of(pair)
    assert [step["step"] for step in two] == list(range(1, len(one) + 1))
    assert [step["tokens"] for step in two] == [step["tokens"] for step in one]
    for left, right in zip(one[:6], two, strict=False):
        assert right["loss"] == pytest.approx(left["loss"], abs=1e-5)
    metrics = json.loads((pair / "metrics.json").read_text())
    assert metrics["train"]["tokens"] == alone.metrics["train"]["tokens"]
    for name, score in alone.metrics["test"].items():
        assert metrics["test"][name]["value"] == pytest.approx(score["value"], abs=0.1)


def test_predictions_are_all_there_in_order(pair, tmp_path):
    alone = run(TASK, out=tmp_path / "one", **{**OPTIONS, "epochs": 1})
    order = [json.loads(line)["id"] for line in (alone.folder / "predictions.jsonl").read_text().splitlines()]
    assert [json.loads(line)["id"] for line in (pair / "predictions.jsonl").read_text().splitlines()] == order


def test_a_killed_worker_ends_the_run_and_it_can_be_resumed(both, pair, tmp_path):
    out = tmp_path / "run"
    processes = both(out, checkpoint_every=1)
    while not (out / "checkpoints" / "step-00000004").exists() and processes[1].is_alive():
        time.sleep(0.01)
    processes[1].kill()
    assert wait(processes) == [3, -signal.SIGKILL]
    kind, message = (tmp_path / "told-0").read_text().strip().split("|")
    assert kind == "TrainingError"
    assert (
        message == f"another process of this run has died; go on with: labtune run --out {out} --resume --processes 2"
    )
    assert wait(both(out, resume=True, checkpoint_every=1)) == [0, 0]
    assert model_of(out) == model_of(pair)
    assert len(steps_of(out)) == len(steps_of(pair))


def test_a_signal_to_one_process_stops_both_at_the_same_step(both, pair, tmp_path):
    out = tmp_path / "run"
    processes = both(out, checkpoint_every=1)
    while not (out / "checkpoints" / "step-00000003").exists() and processes[1].is_alive():
        time.sleep(0.01)
    os.kill(processes[1].pid, signal.SIGTERM)
    assert wait(processes) == [3, 3]
    for rank in "01":
        told = (tmp_path / f"told-{rank}").read_text().strip()
        assert told == f"Interrupted|stopped; go on with: labtune run --out {out} --resume --processes 2"
    assert wait(both(out, resume=True, checkpoint_every=1)) == [0, 0]
    assert model_of(out) == model_of(pair)


def test_frozen_trunk_in_two_processes(both, tmp_path):
    assert wait(both(tmp_path / "two", method="head")) == [0, 0]
    alone = run(TASK, out=tmp_path / "one", **OPTIONS, method="head")
    for left, right in zip(steps_of(alone.folder), steps_of(tmp_path / "two"), strict=True):
        assert right["loss"] == pytest.approx(left["loss"], abs=1e-4)


def test_weights_that_are_shared_out_learn_the_same(both, pair, tmp_path):
    """FSDP2 beside data-parallel training; checkpoints and model hold whole tensors, and resuming repeats the steps."""
    out = tmp_path / "run"
    assert wait(both(out, shard=True, checkpoint_every=1)) == [0, 0]
    for left, right in zip(steps_of(pair), steps_of(out), strict=True):
        assert right["loss"] == pytest.approx(left["loss"], abs=1e-5)
    left, right = (load_file(next(folder.glob("model/encoder/*.safetensors"))) for folder in (pair, out))
    assert {name: tensor.shape for name, tensor in left.items()} == {name: t.shape for name, t in right.items()}
    for name, tensor in left.items():
        torch.testing.assert_close(right[name], tensor, atol=1e-4, rtol=1e-3)
    before = model_of(out)
    shutil.rmtree(sorted((out / "checkpoints").glob("step-*"))[-1])
    (out / "metrics.json").unlink()
    assert wait(both(out, resume=True, shard=True, checkpoint_every=1)) == [0, 0]
    assert model_of(out) == before


def test_one_process_has_nobody_to_share_with(tmp_path):
    with pytest.raises(SettingsError, match="shard shares weights out among processes: add --processes 2"):
        run(TASK, out=tmp_path / "run", shard=True, **OPTIONS)
    assert not (tmp_path / "run").exists()


def test_alone_everything_answers_at_once():
    assert from_first(lambda: 3) == 3
    assert gathered({1: "a"}) == {1: "a"}
    assert not anyone(False)
    assert anyone(True)


def test_a_worker_leaves_when_its_command_has_ended(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "0")
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    assert main(["tasks"]) == 0
    assert TASK in capsys.readouterr().out
    assert not torch.distributed.is_initialized()
    leave()  # nothing is left to leave


def test_never_alone_unasked(monkeypatch):
    """This is what the environment holds after ``accelerate launch --cpu --num_processes 2`` of accelerate 1.15."""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(TrainingError, match="the launcher was asked for several processes but started one"):
        start("no")


BIN = Path(sys.executable).parent


def launched(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LABTUNE_")}
    return subprocess.run(words, env=plain, capture_output=True, text=True, check=False, **options)


@pytest.mark.slow
def test_torchrun(pair, tmp_path):
    words = ["-m", "labtune.cli", "run", TASK, "--encoder", "tiny", "--epochs", "1", "--out", str(tmp_path / "run")]
    done = launched(str(BIN / "torchrun"), "--nproc_per_node", "2", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report: ") == 1
    assert done.stderr.count("epoch 1 ") == 1


@pytest.mark.slow
def test_accelerate_launch_is_refused_on_the_processor(tmp_path):
    words = ["-m", "labtune.cli", "run", TASK, "--encoder", "tiny", "--out", str(tmp_path / "run")]
    done = launched(str(BIN / "accelerate"), "launch", "--cpu", "--num_processes", "2", *words)
    assert done.returncode != 0
    assert "error: the launcher was asked for several processes but started one" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_own_launcher_tells_an_error_once(tmp_path):
    file = tmp_path / "bad.txt"
    file.write_text("no label here\n")
    words = ["run", TASK, "--train", str(file), "--out", str(tmp_path / "run"), "--processes", "2"]
    done = launched(str(BIN / "labtune"), *words)
    assert done.returncode == 2
    assert [line[:7] for line in done.stderr.splitlines()] == ["error: "]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "launcher"])
def test_own_launcher_stops_with_one_message(victim, tmp_path):
    """A killed worker, and Ctrl-C: each time one line that says how to go on, and the way on works."""
    out = tmp_path / "run"
    words = ["run", TASK, "--encoder", "tiny", "--epochs", "20", "--out", str(out), "--processes", "2"]
    process = subprocess.Popen([str(BIN / "labtune"), *words], stderr=subprocess.PIPE, text=True)
    while not list(out.glob("checkpoints/step-*")) and process.poll() is None:
        time.sleep(0.05)
    if victim == "worker":
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        workers = [pid for pid in children if b"labtune.cli" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(int(workers[1]), signal.SIGKILL)
    else:
        process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    told = [line for line in error.splitlines() if not line.startswith(("epoch ", "data: "))]
    expected = {
        "worker": (
            2,
            f"error: process 2 of 2 was killed (SIGKILL); go on with: labtune run --out {out} --resume --processes 2",
        ),
        "launcher": (130, f"interrupted: stopped; go on with: labtune run --out {out} --resume --processes 2"),
    }[victim]
    assert (process.returncode, told) == (expected[0], [expected[1]])
    assert not (out / "metrics.json").exists()
    assert list(out.glob("checkpoints/step-*"))


@pytest.mark.slow
def test_two_predict_one_file(pair, tmp_path):
    file = tmp_path / "new.csv"
    file.write_text("text\n" + "".join(f"profit rose by {number} percent\n" for number in range(31)))
    found = []
    for processes in "12":
        out = tmp_path / f"{processes}.jsonl"
        done = launched(str(BIN / "labtune"), "predict", str(pair), str(file), "-o", str(out), "--processes", processes)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("records ") == 1
        found.append([json.loads(line) for line in out.read_text().splitlines()])
    one, two = found
    assert [line["id"] for line in two] == [line["id"] for line in one]
    assert [line["prediction"] for line in two] == [line["prediction"] for line in one]
    assert [line["confidence"] for line in two] == pytest.approx([line["confidence"] for line in one], abs=1e-5)
