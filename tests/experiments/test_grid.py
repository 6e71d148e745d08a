"""Which runs a grid has, and that one that fails does not end the others."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from labtune.catalog import load_catalog
from labtune.cli import main
from labtune.errors import RunError, SettingsError
from labtune.experiments import grid as room
from labtune.experiments.children import Child, wait_for
from labtune.experiments.comparison import compare
from labtune.experiments.grid import plan_grid, run_grid
from labtune.experiments.request import Request
from labtune.settings import Settings

AXES = {"method": ["full", "lora"], "bits": ["32", "4"], "seed": ["0", "1"]}


@pytest.fixture
def request_of(demo):
    """Ask something of the demonstration task, whose preset ``large`` uses LoRA at a rate of its own."""

    def ask(*sets, **flags):
        return Request(load_catalog(), "demo.words", flags, sets)

    return ask


@pytest.fixture
def finishing(monkeypatch):
    """Let runs finish without training, but for those whose folder's name is given."""

    def set_up(*broken):
        ran = []

        def run(cell):
            ran.append(cell.name)
            if cell.name in broken:
                return "no memory"
            settings = cell.settings
            cell.folder.path.mkdir()
            cell.folder.settings.write_text(settings.to_toml())
            value = {"full": 0.9, "lora": 0.899}[settings.method] + settings.seed / 100
            train = {
                "trainable_parameters": 5,
                "total_parameters": 10,
                "seconds": 1.0,
                "peak_memory_mb": 50.0 * settings.bits,
            }
            scores = {"macro_f1": {"value": value, "low": value - 0.01, "high": value + 0.01}}
            metrics = {
                "task": settings.task, "encoder": settings.encoder, "monitor": "macro_f1", "method": settings.method,
                "bits": settings.bits, "seed": settings.seed, "train": train, "data": {"train": {"sha256": "x"}},
                "valid": scores, "test": scores,
            }  # fmt: skip
            cell.folder.metrics.write_text(json.dumps(metrics))
            return None

        monkeypatch.setattr(room, "_run", run)
        monkeypatch.setattr(room, "load_splits", lambda task, settings: None)
        return ran

    return set_up


def test_the_grid_and_what_is_refused(request_of, tmp_path):
    grid = plan_grid(request_of(epochs="2"), tmp_path / "c", AXES)
    assert [cell.name for cell in grid.cells] == [
        f"{name}-bits-seed-{seed}" for name in ("full-32", "lora-32", "lora-4") for seed in (0, 1)
    ]
    assert all(cell.settings.epochs == 2 for cell in grid.cells)
    [refused] = grid.refused
    assert (refused.method, refused.bits) == ("full", 4)
    assert refused.reason.endswith("choose method 'lora', or 32 bits")
    assert not (tmp_path / "c").exists()


def test_a_presets_learning_rate_is_for_its_method(request_of, tmp_path):
    grid = plan_grid(request_of(preset="large"), tmp_path, AXES)
    assert {cell.settings.method: cell.settings.learning_rate for cell in grid.cells} == {"full": None, "lora": 1e-3}
    grid = plan_grid(request_of("learning_rate=0.5", preset="large"), tmp_path, AXES)
    assert {cell.settings.learning_rate for cell in grid.cells} == {0.5}


def test_options_go_to_the_methods_that_take_them(request_of, tmp_path):
    grid = plan_grid(request_of("tuning.rank=3"), tmp_path, AXES)
    assert {cell.settings.method: cell.settings.tuning for cell in grid.cells} == {"full": {}, "lora": {"rank": 3}}


@pytest.mark.parametrize(
    ("sets", "axes", "told"),
    [
        (["method=lora"], {}, "method is what differs between the runs: say it with --methods"),
        ([], {"method": ["lorra"]}, "method must be one of"),
        ([], {"bits": ["5"]}, "bits must be one of"),
        ([], {"method": ["full"], "bits": ["4", "8"]}, "nothing to compare: "),
        (["split=cv:3"], {}, "split cv:3 makes several runs of one"),
        (["tuning.rnk=3"], {}, "none of the methods full, lora takes the option"),
    ],
)
def test_what_cannot_be_planned(request_of, tmp_path, sets, axes, told):
    with pytest.raises(SettingsError, match=told):
        plan_grid(request_of(*sets), tmp_path, {**AXES, **axes})


def test_a_failure_does_not_end_the_grid_and_is_tried_again(request_of, tmp_path, finishing):
    ran = finishing("lora-4-bits-seed-0")
    found = compare(request_of(), tmp_path / "c", AXES)
    assert len(ran) == 6
    assert found.grid.failed == {"lora-4-bits-seed-0": "no memory"}
    ran = finishing()
    found = compare(request_of(), tmp_path / "c", AXES)
    assert ran == ["lora-4-bits-seed-0"]
    assert found.grid.failed == {}


def test_what_a_comparison_leaves(request_of, tmp_path, finishing):
    finishing("full-32-bits-seed-1")
    out = tmp_path / "c"
    compare(request_of(), out, AXES)
    content = json.loads((out / "compare.json").read_text())
    assert content["recommendation"]["method"] == "lora"
    assert content["recommendation"]["bits"] == 4
    assert [(item["method"], item["bits"], item["seeds"]) for item in content["combinations"]] == [
        ("full", 32, [0]), ("lora", 32, [0, 1]), ("lora", 4, [0, 1]),
    ]  # fmt: skip
    assert (len(content["runs"]), len(content["refused"]), len(content["failed"])) == (5, 1, 1)
    page, text = (out / "compare.html").read_text(), (out / "compare.md").read_text()
    sentence = "lora at 4 bits: level with lora at 12 % of its memory."  # full lacks a seed
    for written in (page, text):
        assert sentence in written
        assert "no memory" in written
        assert "4 bits store frozen weights" in written
    assert "| lora | 4 | 0.904 ± 0.007 [0.894, 0.914] |" in text
    assert "<script" not in page
    assert "://" not in page


@pytest.mark.slow
def test_runs_have_processes_of_their_own(tmp_path, capsys, monkeypatch):
    """The command line runs a grid, keeps what is finished, and asks for nothing that cannot be."""
    words = ["compare", "finance.sentiment", "--encoder", "tiny", "--epochs", "1", "--set", "audit=off"]
    words += ["--methods", "full,head", "--bits", "32,8", "--seeds", "0", "--out", str(tmp_path / "c"), "--json"]
    assert main(words) == 0
    content = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(run["method"], run["bits"]) for run in content["runs"]] == [("full", 32), ("head", 32), ("head", 8)]
    assert all(run["train"]["peak_memory_mb"] > 0 and run["disk_mb"] > 0 for run in content["runs"])
    assert [(item["method"], item["bits"]) for item in content["refused"]] == [("full", 8)]
    monkeypatch.setattr(room, "_run", lambda cell: pytest.fail("it was finished"))
    assert main(words) == 0


def test_runs_with_other_settings_are_not_mixed(request_of, tmp_path, finishing):
    finishing()
    compare(request_of(), tmp_path / "c", AXES)
    with pytest.raises(RunError, match="was run with epochs 3, not 4; choose another --out"):
        compare(request_of(epochs="4"), tmp_path / "c", AXES)


def test_runs_on_other_data_are_not_mixed(request_of, tmp_path, finishing):
    finishing()
    found = compare(request_of(), tmp_path / "c", AXES)
    metrics = found.grid.cells[-1].folder.metrics
    metrics.write_text(metrics.read_text().replace('"x"', '"y"'))
    with pytest.raises(RunError, match="saw different data"):
        compare(request_of(), tmp_path / "c", AXES)


def test_another_folder_is_left_alone(request_of, tmp_path, finishing):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match="exists and is no comparison"):
        run_grid(request_of(), plan_grid(request_of(), tmp_path, AXES))


def test_all_failed(request_of, tmp_path, finishing):
    finishing(*(f"{name}-bits-seed-{seed}" for name in ("full-32", "lora-32", "lora-4") for seed in (0, 1)))
    with pytest.raises(RunError, match="no run has finished: no memory"):
        compare(request_of(), tmp_path / "c", AXES)


def test_settings_survive_their_file(request_of, tmp_path):
    """A cell is handed to its process as a file."""
    for cell in plan_grid(request_of("tuning.rank=3", preset="large"), tmp_path, AXES).cells:
        file = tmp_path / "cell.toml"
        file.write_text(cell.settings.to_toml())
        assert Settings.from_toml(file) == cell.settings


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("print('error: no such file'); raise SystemExit(2)", "no such file"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL; see"),
        ("raise ValueError('odd')", "ValueError: odd; see"),
        ("print('done')", None),
    ],
)
def test_why_a_process_failed(tmp_path, monkeypatch, code, told):
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda words, **options: start([sys.executable, "-c", code], **options))
    with Child(["run"], tmp_path / "log") as child:
        wait_for([child], tmp_path)
    assert child.failure() is None if told is None else child.failure().startswith(told)
