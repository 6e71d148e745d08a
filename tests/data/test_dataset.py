import hashlib

import pytest

from labtune.data.dataset import load_records, sha256_of
from labtune.errors import DataError, SettingsError
from labtune.specs import Labels, Record, Skipped, Task


def task(kind="classes", **options):
    return Task(
        name="t",
        summary="",
        reader="labtune.data.reading:read_table",
        tokenizer="text",
        head="sequence",
        loss="cross_entropy",
        metrics=(),
        labels=Labels(kind=kind),
        presets=(),
        examples="",
        options={"reader": options},
    )


def test_targets_are_typed_and_options_of_the_task_used(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("seq,label\nAC,1.5\n")
    (record,) = load_records(task("values", input="seq"), path)
    assert (record.input, record.target) == ("AC", 1.5)
    (record,) = load_records(task("values", input="seq"), path, options={"input": "label", "target": "label"})
    assert record.input == "1.5"


def test_what_a_reader_leaves_out_is_counted(tmp_path, caplog, monkeypatch):
    def read(path, *, labelled):
        yield Record("a", "AC", "x", source=f"{path}:1")
        yield Skipped("without a label", f"{path}:2")
        yield Skipped("without a label", f"{path}:3")
        yield Skipped("that repeat another", f"{path}:4")

    monkeypatch.setattr("labtune.data.reading.read_table", read)
    skipped = []
    (record,) = load_records(task(), tmp_path / "a", skipped=skipped)
    assert record.id == "a"
    assert [item.source.rpartition(":")[2] for item in skipped] == ["2", "3", "4"]
    assert f"{tmp_path / 'a'}: left out 2 records without a label" in caplog.text
    assert f"{tmp_path / 'a'}: left out 1 records that repeat another" in caplog.text


def test_unlabelled_targets_are_not_parsed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\nAC,\n")
    (record,) = load_records(task("values"), path, labelled=False)
    assert record.target is None


def test_ids_must_be_unique(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,text,label\nx,one,a\ny,two,a\nx,three,a\n")
    with pytest.raises(DataError, match=r"a\.csv:4: the id 'x' is taken by .*a\.csv:2"):
        load_records(task(), path)


def test_unknown_option(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nx,y\n")
    with pytest.raises(SettingsError, match="inputs"):
        load_records(task(), tmp_path / "a.csv", options={"inputs": "text"})


def test_hash_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_hash_of_a_folder_is_that_of_names_and_bytes(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"abc")
    first = sha256_of(folder)
    (folder / "a").rename(folder / "b")
    second = sha256_of(folder)
    (folder / "b").write_bytes(b"abd")
    assert len({first, second, sha256_of(folder)}) == 3
