"""Trials: the same ones for the same seed, each begun once, none lost with a process that dies."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from labtune.errors import RunError
from labtune.experiments.spaces import Range
from labtune.experiments.study import JOURNAL, OWNER, Study, suggest

SPACE = {
    "method": ("full", "lora"),
    "learning_rate": Range(1e-5, 1e-1, log=True),
    "tuning.rank": (2, 4),
    "epochs": Range(1, 9),
}
BEGUN = {"settings": "x = 1"}


def study_in(folder, *, seed=0, pruner="none", begun=BEGUN):
    return Study(folder, begun, seed=seed, pruner=pruner, epochs=3)


def go_on(study, limit):
    """Try settings whose score is best at a small learning rate."""
    while (trial := study.ask(limit)) is not None:
        values = suggest(trial, SPACE, "full")
        study.finish(trial, -values["learning_rate"])
    return tried(study)


def tried(study):
    return [trial.params for trial in study.begun()]


def test_the_same_seed_tries_the_same(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
    first = go_on(study_in(tmp_path / "a"), 15)
    assert go_on(study_in(tmp_path / "b"), 15) == first
    other = go_on(study_in(tmp_path / "c", seed=1), 15)
    assert not any(trial in first for trial in other)
    assert len({trial["learning_rate"] for trial in first}) == 15


def test_options_belong_to_their_method(tmp_path):
    for values in go_on(study_in(tmp_path), 10):
        assert ("tuning.rank" in values) == (values["method"] == "lora")
        assert isinstance(values["epochs"], int)


def test_going_on_tries_the_same_as_never_stopping(tmp_path):
    """Stopped after 4 trials, then within one, then killed within one: what comes after is what would have come."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = go_on(study_in(tmp_path / "a"), 14)
    go_on(study_in(tmp_path / "b"), 4)
    study = study_in(tmp_path / "b")
    trial = study.ask(14)
    assert suggest(trial, SPACE, "full") == whole[4]
    study.interrupt(trial)
    study = study_in(tmp_path / "b")
    trial = study.ask(14)
    assert suggest(trial, SPACE, "full") == whole[4]
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    trial.set_user_attr(OWNER, {**trial.user_attrs[OWNER], "process": process.pid})
    assert go_on(study_in(tmp_path / "b"), 14) == whole


def test_processes_share_the_trials(tmp_path):
    """Two that take turns begin each trial once, and as many as one would."""
    one, other = study_in(tmp_path), study_in(tmp_path)
    asked = [study.ask(5) for study in (one, other, one, other, one)]
    assert [trial.number for trial in asked] == [0, 1, 2, 3, 4]
    assert one.ask(5) is None
    assert other.ask(5) is None


def test_another_machines_trial_is_left_alone(tmp_path):
    study = study_in(tmp_path)
    trial = study.ask(2)
    trial.set_user_attr(OWNER, {"host": "elsewhere", "process": 1, "since": 0.0})
    assert study_in(tmp_path).ask(2).number == 1
    assert study_in(tmp_path).ask(2) is None


def test_a_failed_trial_counts(tmp_path):
    study = study_in(tmp_path)
    study.fail(study.ask(1), "no memory")
    assert study.ask(1) is None


def test_trials_that_fall_behind_are_given_up(tmp_path):
    """The median over five finished trials is 0.5 at every epoch; the first epoch gives nobody up."""
    study = study_in(tmp_path, pruner="median")
    for score in (0.3, 0.4, 0.5, 0.6, 0.7):
        trial = study.ask(7)
        for epoch in (1, 2):
            study.watch(trial, epoch, score)
        study.finish(trial, score)
    behind = study.ask(7)
    study.watch(behind, 1, 0.1)
    with pytest.raises(study.optuna.TrialPruned):
        study.watch(behind, 2, 0.1)
    study.prune(behind)
    study.watch(study.ask(7), 2, 0.55)
    assert [trial.state.name for trial in study.begun()] == ["COMPLETE"] * 5 + ["PRUNED", "RUNNING"]


def test_importance_finds_what_decides(tmp_path):
    study = study_in(tmp_path)
    assert study.importances() == {}
    go_on(study, 20)
    found = study.importances()
    assert max(found, key=found.get) == "learning_rate"
    assert sum(found.values()) == pytest.approx(1)


def test_another_search_is_not_mixed_in(tmp_path):
    study_in(tmp_path)
    with pytest.raises(RunError, match="holds a search with other settings"):
        study_in(tmp_path, begun={"settings": "x = 2"})


def test_the_journal_is_json_lines(tmp_path):
    go_on(study_in(tmp_path), 2)
    assert {path.name for path in tmp_path.iterdir()} == {JOURNAL}
    for line in (tmp_path / JOURNAL).read_text().splitlines():
        assert "op_code" in json.loads(line)


def test_a_damaged_journal_is_told(tmp_path):
    go_on(study_in(tmp_path), 1)
    with (tmp_path / JOURNAL).open("a") as file:
        file.write("half a li\n{}\n")
    with pytest.raises(RunError, match="is damaged"):
        study_in(tmp_path)
