"""Bad input: one clear line on standard error, exit code 2, and nothing half-written, through the real command line."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from labtune.cli import main
from labtune.encoder.tiny import build

TABLE = "text,label\nprofit rose,positive\nsales fell,negative\nno change,neutral\n"
MEASURED = """
from labtune import Labels, Preset, Task, hookimpl

@hookimpl
def labtune_tasks():
    return [
        Task(name="lab.value", summary="Numbers.", reader="labtune.data.reading:read_table", tokenizer="text",
             head="sequence", loss="mse", metrics=("regression",), labels=Labels(kind="values"),
             presets=(Preset(name="only", settings={"encoder": "tiny", "epochs": 1}),), examples="labtune_lab:examples",
             options={"reader": {"input": "text", "target": "value"}}),
        Task(name="lab.tags", summary="Sets.", reader="labtune.data.reading:read_table", tokenizer="text",
             head="sequence", loss="binary_cross_entropy", metrics=("multilabel",),
             labels=Labels(kind="multilabel", names=("red", "blue")),
             presets=(Preset(name="only", settings={"encoder": "tiny", "epochs": 1}),), examples="labtune_lab:examples",
             options={"reader": {"input": "text", "target": "colours"}}),
    ]
"""

# What is wrong with the training file of ner.conll2003: (its bytes, what the line says beside the file's name)
COLUMN_FILES = {
    "empty": (b"", ["the file is empty"]),
    "blank": (b"\n\n\n", ["no sentence found"]),
    "column lost": (b"Anna B-PER\nmet\n", [":2:", "column"]),
    "column too many": (b"Anna B-PER\nmet O\n\nin the O\n", [":4:", "column"]),
    "one column": (b"Anna\nmet\n", ["column"]),
    "unknown letter": (b"Anna B-PER\nParis X-LOC\n", [":2:", "'X-LOC'"]),
    "no type": (b"Anna B-PER\nParis B-\n", [":2:", "'B-'", "no type"]),
    "bare letter": (b"Anna B-PER\nParis I\n", [":2:", "'I'"]),
    "not UTF-8": (b"Anna B-PER\nM\xfcller B-PER\n", [":2:", "UTF-8"]),
    "null bytes": (b"PK\x03\x04\x00\x00\x00\xff\xfe", [":1:"]),
    "unknown type": (b"Anna B-PER\nRex B-DOG\n", [":", "'DOG'"]),
}

# What is wrong with the training table of finance.sentiment.
TABLES = {
    "header only": ("text,label\n", ["no record"]),
    "column missing": ("sentence,label\nprofit rose,positive\n", [":2:", "'text'", "sentence"]),
    "field too many": (TABLE + "up, a lot,positive\n", [":5:", "3 fields"]),
    "unknown label": (TABLE + "flat,sideways\n", [":5:", "'sideways'"]),
    "no label": (TABLE + "flat,\n", [":5:"]),
    "no text": (TABLE + ",neutral\n", [":5:", "empty"]),
    "same id": ("id,text,label\na,up,positive\na,down,negative\n", [":3:", "'a'", ":2"]),
    "open quote": ('text,label\n"profit rose,positive\n', [":2:", "quote"]),
    "same column": ("text,label,label\nup,positive,positive\n", [":1:", "'label' twice"]),
}

# What is wrong with the numbers or sets of tasks with such labels: (task, table, what the line says).
TARGETS = {
    "word": ("lab.value", "text,value\nup,0.5\ndown,low\n", [":3:", "'low'", "number"]),
    "NaN": ("lab.value", "text,value\nup,0.5\ndown,NaN\n", [":3:", "finite"]),
    "infinite": ("lab.value", "text,value\nup,0.5\ndown,inf\n", [":3:", "finite"]),
    "gap": ("lab.value", "text,value\nup,0.5\ndown,\n", [":3:"]),
    "unknown name": ("lab.tags", "text,colours\nsky,blue\nleaf,green;blue\n", [":3:", "'green'"]),
}

SETTINGS = {
    "unknown flag": (["--epoch-count", "3"], ["--epoch-count"]),
    "unknown setting": (["--set", "epocs=3"], ["'epocs'", "Did you mean 'epochs'?"]),
    "unknown option": (["--set", "loss.gama=3"], ["'gama'", "loss"]),
    "unknown reader option": (["--set", "reader.sheme=iob2"], ["'sheme'", "'scheme'"]),
    "unknown scheme": (["--set", "reader.scheme=iob9"], ["'iob9'", "iob2"]),
    "unknown preset": (["--preset", "smal"], ["'smal'", "'small'"]),
    "unknown encoder": (["--encoder", "minlm"], ["'minlm'", "Did you mean 'minilm'?"]),
    "unknown hub id": (["--encoder", "nobody/nothing"], ["'nobody/nothing'"]),
    "unknown method": (["--method", "lorra"], ["method", "lora"]),
    "zero epochs": (["--epochs", "0"], ["epochs", "1 or more"]),
    "negative rate": (["--set", "learning_rate=-1"], ["learning_rate"]),
    "dropout of one": (["--set", "dropout=1"], ["dropout", "below 1"]),
    "fractions": (["--set", "fractions=[0.5,0.5,0.5]"], ["fractions", "sum to 1"]),
    "bits of full": (["--bits", "8"], ["8 bits", "lora"]),
    "smoothing": (["--set", "loss.smoothing=2"], ["smoothing"]),
    "loss of another head": (["--set", "head.crf=true", "--set", "loss.name=focal"], ["'focal'", "'crf'"]),
    "no training data": (["--test", "good.txt"], ["--train"]),
}


def run(*words, task="ner.conll2003"):
    return ["run", task, "--encoder", "tiny", "--epochs", "1", "--out", "out", *words]


def assert_says(line, fragments):
    assert [fragment for fragment in fragments if fragment not in line] == [], line


@pytest.mark.parametrize("name", COLUMN_FILES)
def test_column_files(name, here, refused):
    content, fragments = COLUMN_FILES[name]
    Path("bad.txt").write_bytes(content)
    assert_says(refused(*run("--train", "bad.txt", "--valid", "good.txt")), ["bad.txt", *fragments])


@pytest.mark.parametrize("name", TABLES)
def test_tables(name, here, refused):
    content, fragments = TABLES[name]
    Path("bad.csv").write_text(content)
    words = run("--train", "bad.csv", "--valid", "good.csv", task="finance.sentiment")
    assert_says(refused(*words), ["bad.csv", *fragments])


@pytest.mark.parametrize("name", TARGETS)
def test_targets(name, here, refused, install):
    task, content, fragments = TARGETS[name]
    install("labtune-lab", MEASURED)
    Path("bad.csv").write_text(content)
    assert_says(refused(*run("--train", "bad.csv", "--valid", "bad.csv", task=task)), ["bad.csv", *fragments])


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name, here, refused):
    words, fragments = SETTINGS[name]
    data = [] if name == "no training data" else ["--train", "good.txt", "--valid", "good.txt"]
    assert_says(refused(*run(*data, *words)), fragments)


def test_an_unknown_split(here, refused):
    assert_says(refused(*run("--train", "good.txt", "--set", "split=sideways")), ["'sideways'", "stratified"])


def test_too_few_records_to_split(here, refused):
    assert_says(refused(*run("--train", "good.txt")), ["2 records", "valid"])


def test_windows_that_only_overlap(here, refused):
    Path("long.txt").write_text("word O\n" * 200)
    words = run("--train", "long.txt", "--valid", "long.txt", "--set", "window_overlap=500")
    assert_says(refused(*words), ["window_overlap is 500", "128"])


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_missing_file(part, here, refused):
    files = {"train": "good.txt", "valid": "good.txt", part: "gone.txt"}
    words = [word for name, path in files.items() for word in (f"--{name}", path)]
    assert_says(refused(*run(*words)), ["gone.txt", "no such file"])


def test_a_folder_instead_of_a_file(here, refused):
    Path("data").mkdir()
    assert_says(refused(*run("--train", "data", "--valid", "good.txt")), ["data", "folder"])


def test_a_broken_archive(here, refused, sentences):
    Path("bad.txt.gz").write_bytes(gzip.compress(sentences.encode() * 50)[:60])
    assert_says(refused(*run("--train", "bad.txt.gz", "--valid", "good.txt")), ["bad.txt.gz"])


def test_a_label_that_training_never_had(here, refused, sentences):
    Path("other.txt").write_text(sentences.replace("B-LOC", "B-TREE"))
    line = refused(*run("--train", "good.txt", "--valid", "good.txt", "--test", "other.txt", task="ner.spans"))
    assert_says(line, ["other.txt", "'TREE'", "test"])


def test_a_parquet_file_that_is_none(here, refused):
    Path("bad.parquet").write_bytes(b"PAR1 or not")
    assert_says(refused(*run("--train", "bad.parquet", task="finance.sentiment")), ["bad.parquet"])


@pytest.mark.parametrize("content", ["run.toml", "notes.txt"])
def test_an_occupied_folder(content, here, refused):
    Path("out").mkdir()
    Path("out", content).write_text("")
    assert_says(refused(*run("--train", "good.txt", "--valid", "good.txt")), ["out", "--out"])


def test_a_file_where_the_folder_should_be(here, refused):
    Path("out").write_text("")
    assert_says(refused(*run("--train", "good.txt", "--valid", "good.txt")), ["out", "--out"])


def test_a_folder_below_a_file(here, refused):
    words = run("--train", "good.txt", "--valid", "good.txt", "--out", "good.txt/out")
    assert_says(refused(*words), ["good.txt/out"])


def test_nothing_to_resume(here, refused):
    Path("out").mkdir()
    Path("out", "notes.txt").write_text("")
    assert_says(refused(*run("--train", "good.txt", "--resume")), ["out"])


class TestEncoders:
    """Folders that are no safe, whole model."""

    @pytest.fixture
    def encoder(self, here):
        folder = here / "encoder"
        build().save(folder)
        return folder

    def refuse(self, refused, fragments):
        assert_says(refused(*run("--train", "good.txt", "--valid", "good.txt", "--encoder", "encoder")), fragments)

    def test_the_whole_one_is_read(self, encoder):
        assert main(run("--train", "good.txt", "--valid", "good.txt", "--encoder", "encoder")) == 0

    def test_truncated(self, encoder, refused):
        weights = encoder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        self.refuse(refused, ["'encoder'"])

    def test_pickled_weights_under_the_safe_name(self, encoder, refused):
        torch.save({"a": torch.ones(2)}, encoder / "model.safetensors")
        self.refuse(refused, ["'encoder'"])

    def test_pickled_weights_only(self, encoder, refused):
        (encoder / "model.safetensors").unlink()
        torch.save({"a": torch.ones(2)}, encoder / "pytorch_model.bin")
        self.refuse(refused, ["'encoder'", "pytorch_model.bin", "safetensors"])

    def test_no_weights(self, encoder, refused):
        (encoder / "model.safetensors").unlink()
        self.refuse(refused, ["'encoder'", "safetensors"])

    def test_weights_of_another_model(self, encoder, refused):
        weights = {name: tensor[:1] for name, tensor in load_file(encoder / "model.safetensors").items()}
        save_file(weights, encoder / "model.safetensors", {"format": "pt"})
        self.refuse(refused, ["'encoder'", "shape"])

    def test_an_empty_folder(self, encoder, refused):
        shutil.rmtree(encoder)
        encoder.mkdir()
        self.refuse(refused, ["'encoder'", "config.json"])

    @pytest.mark.parametrize("key", ["auto_map", "_attn_implementation"])
    def test_a_configuration_that_brings_code(self, key, encoder, refused):
        config = json.loads((encoder / "config.json").read_text())
        (encoder / "config.json").write_text(json.dumps({**config, key: "somebody/code"}))
        self.refuse(refused, ["refused", key])

    def test_a_broken_configuration(self, encoder, refused):
        (encoder / "config.json").write_text("{")
        self.refuse(refused, ["config.json", "JSON"])


class TestRuns:
    """Commands on the folder of a run that is missing, unfinished or damaged."""

    @pytest.fixture(scope="class")
    @classmethod
    def finished(cls, tmp_path_factory, sentences):
        folder = tmp_path_factory.mktemp("finished")
        (folder / "good.txt").write_text(sentences)
        good = str(folder / "good.txt")
        assert main(run("--train", good, "--valid", good, "--test", good, "--out", str(folder / "run"))) == 0
        return folder / "run"

    @pytest.fixture
    def folder(self, finished, here):
        shutil.copytree(finished, "run")
        return here / "run"

    @pytest.mark.parametrize("command", ["predict", "evaluate"])
    def test_missing(self, command, refused):
        assert_says(refused(command, "gone", "good.txt"), ["gone", "no such run folder"])

    @pytest.mark.parametrize("command", ["predict", "evaluate"])
    def test_unfinished(self, command, folder, refused):
        (folder / "metrics.json").unlink()
        assert_says(refused(command, "run", "good.txt"), ["run", "--resume"])

    def test_no_run(self, here, refused):
        Path("run").mkdir()
        assert_says(refused("predict", "run", "good.txt"), ["not a run folder"])

    def test_damaged_settings(self, folder, refused):
        (folder / "run.toml").write_text("task = ")
        assert_says(refused("predict", "run", "good.txt"), ["run.toml"])

    @pytest.mark.parametrize("name", ["model/labels.json", "model/head.safetensors", "model/encoder/model.safetensors"])
    @pytest.mark.parametrize("damage", ["cut", "gone"])
    def test_damaged(self, name, damage, folder, refused):
        path = folder / name
        path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        line = refused("predict", "run", "good.txt")
        assert Path(name).name in line or str(path.parent) in line or "encoder" in line, line

    def test_a_missing_file_to_predict(self, folder, refused):
        assert_says(refused("predict", "run", "gone.txt"), ["gone.txt", "no such file"])

    def test_an_empty_file_to_predict(self, folder, refused):
        Path("empty.txt").touch()
        assert_says(refused("predict", "run", "empty.txt"), ["empty.txt"])

    def test_a_label_to_evaluate_that_the_model_lacks(self, folder, refused, sentences):
        Path("other.txt").write_text(sentences.replace("B-LOC", "B-TREE"))
        assert_says(refused("evaluate", "run", "other.txt"), ["other.txt", "'TREE'"])

    def test_predictions_into_a_folder_that_is_not_there(self, folder, refused):
        assert_says(refused("predict", "run", "good.txt", "-o", "gone/out.jsonl"), ["gone/out.jsonl"])


def test_from_outside(here, labtune):
    """The same in a process of its own: no traceback, nothing on standard output."""
    done = labtune("run", "ner.conll2003", "--train", str(here / "gone.txt"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {here / 'gone.txt'}: no such file; check the path\n"
