"""A tokenizer that learns from training records is fitted on them alone, and comes back with the run."""

import sys
from types import SimpleNamespace

import pytest

import labtune
from labtune import Component, Labels, Preset, Record, Task, hookimpl
from labtune.builtin.tokenizers import TextTokenizer
from labtune.catalog import load_catalog
from labtune.errors import RunError

RECORDS = [Record(str(row), "good" if row % 2 else "bad", target="yes" if row % 2 else "no") for row in range(24)]


class Learning(TextTokenizer):
    """Remembers which records it learned from, and adds their number to every text."""

    seen = ()

    def fit(self, records):
        """Learn."""
        self.seen = [record.id for record in records]

    def state(self):
        """What was learned."""
        return {"seen": self.seen}

    def restore(self, state):
        """Take it back."""
        self.seen = state["seen"]

    def __call__(self, records):
        """Tokenise."""
        assert self.seen, "used before it learned"
        return super().__call__(records)


def read(path, *, labelled):
    """The same records, whatever the file."""
    return iter(RECORDS)


def examples():
    """The same again."""
    return RECORDS


@pytest.fixture
def catalog(monkeypatch):
    name = "learning_tokenizer_parts"
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(Learning=Learning, read=read, examples=examples))

    @hookimpl
    def labtune_tokenizers():
        return [Component(name="own.learning", target=f"{name}:Learning", summary="Learns.")]

    @hookimpl
    def labtune_tasks():
        task = Task(
            name="own.task",
            summary="Two words.",
            reader=f"{name}:read",
            tokenizer="own.learning",
            head="sequence",
            loss="cross_entropy",
            metrics=("classification",),
            labels=Labels(kind="classes"),
            presets=(Preset(name="only", settings={"encoder": "tiny", "epochs": 1, "split": "random"}),),
            examples=f"{name}:examples",
        )
        return [task]

    module = SimpleNamespace(__name__="own", labtune_tokenizers=labtune_tokenizers, labtune_tasks=labtune_tasks)
    return load_catalog({"own": module})


def test_it_learns_from_training_records_and_comes_back(catalog, tmp_path):
    data = tmp_path / "data.txt"
    data.write_text("x")
    splits = {"train": data, "valid": data, "test": data}
    labtune.run("own.task", **splits, out=tmp_path / "run", catalog=catalog, audit="off")
    again = labtune.load(tmp_path / "run", catalog=catalog)
    assert again.parts.tokenizer.seen == [record.id for record in RECORDS]
    (tmp_path / "run/model/tokenizer.json").unlink()
    with pytest.raises(RunError, match="what the tokenizer learned cannot be read"):
        labtune.load(tmp_path / "run", catalog=catalog)
