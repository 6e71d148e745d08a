from collections import Counter

import pytest

from labtune.specs import Record
from labtune_finance.data import examples, figures_slice, length_slice, sample
from labtune_finance.phrasebank import read


def test_sample_is_clean():
    parts = {name: list(read(path, labelled=True)) for name, path in sample().items()}
    assert {name: len(part) for name, part in parts.items()} == {"train": 160, "valid": 40, "test": 40}
    sentences = [record.input.lower() for part in parts.values() for record in part]
    assert len(set(sentences)) == 240
    for part in parts.values():
        shares = Counter(record.target for record in part)
        assert min(shares.values()) > 0.25 * len(part)
        assert len(shares) == 3


def test_examples_have_every_label():
    assert len(examples()) >= 8
    assert {record.target for record in examples()} == {"negative", "neutral", "positive"}


@pytest.mark.parametrize(
    ("text", "length", "figures"),
    [
        ("Profit rose.", "to 10 words", "without figures"),
        ("word " * 19 + "5", "11 to 20 words", "with figures"),
        ("word " * 31, "over 30 words", "without figures"),
    ],
)
def test_slices(text, length, figures):
    record = Record("1", text)
    assert (length_slice(record), figures_slice(record)) == (length, figures)
