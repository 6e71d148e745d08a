"""Corpora: what is written is what was read, nothing is parted or lost, and crops are uniform."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from labtune.builtin.tokenizers import TextTokenizer
from labtune.encoder.tiny import byte_tokenizer
from labtune.errors import RunError
from labtune.pretraining.building import build_corpus
from labtune.pretraining.corpus import Corpus, open_corpus
from labtune.protocols import IGNORED
from labtune.ragged import Ragged
from labtune.specs import Labels, Record


@pytest.fixture
def tokenizer():
    return TextTokenizer(byte_tokenizer(), Labels(kind="classes"))


def build(folder, path, tokenizer, texts, share=0.3):
    path.write_text("x")
    records = [Record(str(number), text) for number, text in enumerate(texts)]
    return build_corpus(folder, {path: records}, tokenizer, 300, share)


def test_everything_that_was_read_is_in_one_part(tmp_path, tokenizer):
    texts = [f"text number {number}" for number in range(200)] + ["text number 3"]
    facts = build(tmp_path / "corpus", tmp_path / "file", tokenizer, texts)
    contents = []
    for part in ("train", "valid"):
        corpus = open_corpus(tmp_path / "corpus", part)
        bounds = corpus.offsets.tolist()
        contents.append([byte_tokenizer().decode(corpus.tokens[a:b].tolist()) for a, b in pairwise(bounds)])
        assert facts[part]["records"] == len(contents[-1])
    assert sorted(contents[0] + contents[1]) == sorted(texts)
    assert not set(contents[0]) & set(contents[1])
    assert 0.2 < len(contents[1]) / len(texts) < 0.4


def test_files_of_one_name_are_told_apart(tmp_path, tokenizer):
    files = {tmp_path / "a" / "text": "one", tmp_path / "b" / "text": "two", tmp_path / "other": "three"}
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    records = {
        path: [Record(f"{path}-{number}", f"{text} {number}") for number in range(9)] for path, text in files.items()
    }
    facts = build_corpus(tmp_path / "corpus", records, tokenizer, 300, 0.3)
    assert list(facts["sources"]) == [str(tmp_path / "a" / "text"), str(tmp_path / "b" / "text"), "other"]


def test_crops_fill_the_budget_between_special_tokens(tmp_path, tokenizer):
    build(
        tmp_path / "corpus",
        tmp_path / "file",
        tokenizer,
        [f"abcdefghij {number}" * (1 + number % 4) for number in range(60)],
    )
    corpus = open_corpus(tmp_path / "corpus", "train")
    drawn = corpus.draw(np.random.default_rng(0), crop=16, budget=200).tokens
    assert len(drawn.values) in (198, 199, 200)
    for row in drawn:
        assert (int(row[0]), int(row[-1])) == (corpus.prefix[0], corpus.suffix[0])
        assert 3 <= len(row) <= 16
    assert torch.equal(drawn.values, corpus.draw(np.random.default_rng(0), crop=16, budget=200).tokens.values)


def test_every_token_has_about_the_same_chance():
    corpus = Corpus(np.arange(100, dtype=np.uint8), np.array([0, 5, 40, 100]), (), ())
    rng = np.random.default_rng(0)
    counts = np.bincount(corpus.draw(rng, crop=10, budget=50_000).tokens.values.numpy(), minlength=100)
    inner = counts[np.r_[15:30, 50:90]]
    assert inner.std() / inner.mean() < 0.1
    assert counts.min() > 0


def test_half_of_the_pairs_go_on():
    corpus = Corpus(np.arange(250, dtype=np.uint8), np.array([0, 50, 250]), (250,), (251,))
    drawn = corpus.draw_pairs(np.random.default_rng(0), crop=30, budget=30_000)
    assert float(drawn.follows.float().mean()) == pytest.approx(0.5, abs=0.05)
    for row, segment, goes_on in zip(drawn.tokens, drawn.segments, drawn.follows, strict=True):
        first, second = row[segment == 0], row[segment == 1]
        assert (int(first[0]), int(first[-1]), int(second[-1])) == (250, 251, 251)
        assert len(row) <= 30
        if goes_on:
            assert int(second[0]) == int(first[-2]) + 1


def test_labels_stay_with_their_tokens(tmp_path):
    class Letters(TextTokenizer):
        def __call__(self, records):
            batch = super().__call__([replace(record, target=None) for record in records])
            units = [torch.arange(len(record.input)) + batch.prefix for record in records]
            found = [[self.number(letter) for letter in record.input] for record in records]
            targets = None if records[0].target is None else Ragged.from_rows(found)
            return replace(batch, units=Ragged.from_rows(units), targets=targets)

        def number(self, letter):
            return int(letter in "aeiou") if letter.islower() else IGNORED

    texts = [f"some words to read {number}" for number in range(80)]
    known = [Record(str(number), text, target=list(text)) for number, text in enumerate(texts)]
    unknown = [Record(str(number), text.upper()) for number, text in enumerate(texts)]
    for name in ("known", "unknown"):
        (tmp_path / name).write_text(name)
    files = {tmp_path / "known": known, tmp_path / "unknown": unknown}
    letters = Letters(byte_tokenizer(), Labels(kind="classes"))
    facts = build_corpus(tmp_path / "corpus", files, letters, 300, 0.3, ("consonant", "vowel"))
    assert facts["labels"] == ["consonant", "vowel"]
    drawn = open_corpus(tmp_path / "corpus", "train").draw(np.random.default_rng(0), crop=16, budget=2000)
    for token, label in zip(drawn.tokens.values.tolist(), drawn.labels.tolist(), strict=True):
        letter = byte_tokenizer().decode([token], skip_special_tokens=True)
        assert label == letters.number(letter)
    assert {-100, 0, 1} == set(drawn.labels.tolist())


def test_a_corpus_of_other_files_is_not_taken(tmp_path, tokenizer):
    build(tmp_path / "corpus", tmp_path / "one", tokenizer, [f"text {number}" for number in range(50)])
    with pytest.raises(RunError, match="other files"):
        build(tmp_path / "corpus", tmp_path / "two", tokenizer, ["text"])


def test_a_short_file_is_noticed(tmp_path, tokenizer):
    build(tmp_path / "corpus", tmp_path / "one", tokenizer, [f"text {number}" for number in range(50)])
    path = tmp_path / "corpus" / "train.tokens"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(RunError, match="cut short"):
        open_corpus(tmp_path / "corpus", "train")
