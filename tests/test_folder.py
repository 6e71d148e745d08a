from __future__ import annotations

import json
from pathlib import Path

import pytest

from labtune.errors import RunError
from labtune.folder import RunFolder, claim, finite, write_json, write_text


def begun(path: Path) -> Path:
    path.mkdir()
    (path / "run.toml").write_text('task = "t"\n\n[facts.sha256]\ntrain = "12"\n')
    return path


def test_a_new_name_each_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert claim(None, "ner.x", resume=False).path == Path("runs/ner.x-1")
    Path("runs/ner.x-1").mkdir(parents=True)
    assert claim(None, "ner.x", resume=False).path == Path("runs/ner.x-2")


def test_claiming_writes_nothing(tmp_path):
    assert claim(tmp_path / "new", "t", resume=False).path == tmp_path / "new"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    claim(tmp_path / "empty", "t", resume=False)


def test_an_occupied_folder_is_refused(tmp_path):
    run = begun(tmp_path / "run")
    with pytest.raises(RunError, match="is not empty; add --resume to go on with it, or choose another --out"):
        claim(run, "t", resume=False)
    assert claim(run, "t", resume=True).path == run
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("")
    for resume in (False, True):
        with pytest.raises(RunError, match="other exists and is not empty; choose another --out"):
            claim(other, "t", resume=resume)
    with pytest.raises(RunError, match="is a file; choose another --out"):
        claim(other / "thesis.txt", "t", resume=False)
    with pytest.raises(RunError, match="--resume needs the run folder"):
        claim(None, "t", resume=True)


def test_facts(tmp_path):
    assert RunFolder(tmp_path / "none").facts() == {}
    folder = RunFolder(begun(tmp_path / "run"))
    assert folder.facts() == {"sha256": {"train": "12"}}
    folder.settings.write_text("task =")
    with pytest.raises(RunError, match=r"run.toml cannot be read; the run folder is damaged"):
        folder.facts()


def test_complete_with_its_scores(tmp_path):
    with pytest.raises(RunError, match="none: no such run folder"):
        RunFolder(tmp_path / "none").require_complete()
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    with pytest.raises(RunError, match="run is not a run folder"):
        folder.require_complete()
    folder.settings.write_text("")
    with pytest.raises(RunError, match="run was not finished; go on with --resume"):
        folder.require_complete()
    folder.metrics.write_text("{}")
    folder.require_complete()


def test_json_has_no_nan(tmp_path):
    content = {"a": [1.5, float("nan"), (float("inf"), "x")], "b": {"c": -float("inf")}, "d": None}
    assert finite(content) == {"a": [1.5, None, [None, "x"]], "b": {"c": None}, "d": None}
    write_json(tmp_path / "x.json", content)
    assert json.loads((tmp_path / "x.json").read_text()) == finite(content)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "x.txt"
    write_text(file, "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match=r"x.txt: cannot write \(No space left on device\)"):
        write_text(file, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]
    assert file.read_text() == "old"
