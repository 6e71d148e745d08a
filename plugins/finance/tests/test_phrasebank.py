import logging
import os
from collections import Counter
from pathlib import Path

import pytest

from labtune.data.splitting import split_records
from labtune.errors import DataError
from labtune_finance.phrasebank import read

DATA = Path(os.environ.get("LABTUNE_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
PHRASEBANK = DATA / "text" / "financial_phrasebank"
LEVELS = {  # rows and lost letters as the publishers' files have them
    "Sentences_AllAgree.txt": ({"neutral": 1391, "positive": 570, "negative": 303}, 0),
    "Sentences_75Agree.txt": ({"neutral": 2146, "positive": 887, "negative": 420}, 0),
    "Sentences_66Agree.txt": ({"neutral": 2535, "positive": 1168, "negative": 514}, 0),
    "Sentences_50Agree.txt": ({"neutral": 2879, "positive": 1363, "negative": 604}, 111),
}


def write(tmp_path, content, name="a.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_label_is_after_the_last_at(tmp_path):
    path = write(tmp_path, "Write to ir@harnvik.example .@neutral\n\nProfit rose .@Pos\r\n")
    first, second = read(path, labelled=True)
    assert (first.id, first.input, first.target) == ("a:1", "Write to ir@harnvik.example .", "neutral")
    assert (second.id, second.input, second.target, second.source) == ("a:3", "Profit rose .", "positive", f"{path}:3")


def test_unlabelled_lines_keep_their_at_and_lose_their_label(tmp_path):
    path = write(tmp_path, "Write to ir@harnvik.example\nPlain .\nProfit rose .@positive\n")
    records = list(read(path, labelled=False))
    assert [record.input for record in records] == ["Write to ir@harnvik.example", "Plain .", "Profit rose ."]
    assert [record.target for record in records] == [None] * 3
    assert [record.columns for record in records] == [{}, {}, {"label": "positive"}]


@pytest.mark.parametrize(("encoding", "told"), [("utf-8", 0), ("latin-1", 1)])
def test_both_encodings_of_the_phrasebank(tmp_path, caplog, encoding, told):
    caplog.set_level(logging.INFO)
    path = write(tmp_path, "Plain .@neutral\nJämtlands Trä föll .@negative\n".encode(encoding))
    assert [record.input for record in read(path, labelled=True)] == ["Plain .", "Jämtlands Trä föll ."]
    assert sum("Latin-1" in message for message in caplog.messages) == told


def test_lost_letters_are_counted(tmp_path, caplog):
    list(read(write(tmp_path, "J\ufffdmtland .@neutral\nGood .@positive\n"), labelled=True))
    assert any("1 sentences" in message for message in caplog.messages)


def test_tables(tmp_path):
    path = write(tmp_path, "Sentence,Sentiment,year\nProfit rose.,POSITIVE,2020\n", "a.csv")
    (record,) = read(path, labelled=True, input="Sentence", target="Sentiment")
    assert (record.input, record.target, record.columns) == ("Profit rose.", "positive", {"year": "2020"})
    (record,) = read(write(tmp_path, '{"text": "Profit rose."}\n', "a.jsonl"), labelled=False)
    assert record.target is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Good .@positive\nNo label here\n", r"a\.txt:2: no '@label'"),
        ("Good .@happy\n", r"a\.txt:1: label 'happy' is not a sentiment"),
        ("Good .@2\n", r"a\.txt:1: label '2' is not a sentiment; write negative"),
        ("@positive\n", r"a\.txt:1: no sentence"),
        ("", "empty"),
    ],
)
def test_errors_name_the_line(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        list(read(write(tmp_path, content), labelled=True))


@pytest.mark.skipif(not PHRASEBANK.exists(), reason="the Financial PhraseBank is not here")
@pytest.mark.parametrize("name", LEVELS)
def test_published_files_are_read_unchanged(name):
    records = list(read(PHRASEBANK / name, labelled=True))
    counts, lost = LEVELS[name]
    assert Counter(record.target for record in records) == counts
    assert sum("\ufffd" in record.input for record in records) == lost
    parts = split_records(records)
    assert not {r.input for r in parts["train"]} & {r.input for r in parts["valid"] + parts["test"]}
    assert not {r.input for r in parts["valid"]} & {r.input for r in parts["test"]}
    assert len(parts["test"]) == pytest.approx(0.15 * len(records), abs=1)
