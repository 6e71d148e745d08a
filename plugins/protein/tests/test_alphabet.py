"""Rare letters by the stated rules, and every residue its own token."""

from __future__ import annotations

import pytest

from labtune.errors import DataError, SettingsError
from labtune.specs import Labels, Record
from labtune_protein.alphabet import clean
from labtune_protein.tokenizing import ResidueTokenizer, SequenceTokenizer


@pytest.mark.parametrize(
    ("written", "sequence", "kept", "replaced"),
    [
        ("ACDE", "ACDE", (0, 1, 2, 3), 0),
        ("acde", "ACDE", (0, 1, 2, 3), 0),
        ("MUOBZX", "MUOBZX", (0, 1, 2, 3, 4, 5), 0),
        ("AJA", "AXA", (0, 1, 2), 1),
        ("MKV*", "MKV", (0, 1, 2), 0),
        ("MK*V*", "MKXV", (0, 1, 2, 3), 1),
        ("--MK.V--", "MKV", (2, 3, 5), 0),
        ("M K\tV", "MKV", (0, 2, 4), 0),
        ("", "", (), 0),
    ],
)
def test_rules(written, sequence, kept, replaced):
    found = clean(written)
    assert (found.sequence, found.kept, found.replaced) == (sequence, kept, replaced)


@pytest.mark.parametrize(("written", "position"), [("MK1V", 3), ("MK?", 3), ("é", 1)])
def test_other_letters_are_refused_with_their_position(written, position):
    with pytest.raises(ValueError, match=f"at position {position}, which is no amino acid"):
        clean(written)


def test_ids_are_those_of_the_vocabulary(vocabulary):
    records = [Record("a", "MKTAYIAKQR"), Record("b", "ACDEFGHIKLMNPQRSTVWYUOBZX")]
    batch = SequenceTokenizer(vocabulary, Labels(kind="values"))(records)
    for row, record in zip(batch.inputs["input_ids"], records, strict=True):
        assert row.tolist() == vocabulary(record.input)["input_ids"]
    assert (batch.prefix, batch.suffix, batch.targets) == (1, 1, None)


def test_esm2_order():
    """The ids of ESM-2's alphabet, so that its weights and ours can be compared letter by letter."""
    from labtune_protein.vocabulary import build

    expected = {"<cls>": 0, "<pad>": 1, "<eos>": 2, "<unk>": 3, "L": 4, "A": 5, "K": 15, "W": 22, "C": 23, "<mask>": 32}
    known = build().get_vocab()
    assert {symbol: known[symbol] for symbol in expected} == expected
    assert len(known) == 33


def test_a_text_vocabulary_is_refused():
    from labtune.encoder.tiny import byte_tokenizer

    vocabulary = byte_tokenizer()
    assert SequenceTokenizer(vocabulary, Labels(kind="values"))  # bytes have a token for each letter
    vocabulary.get_vocab = lambda: {"the": 1}
    with pytest.raises(SettingsError, match="no token for amino acid 'A'"):
        SequenceTokenizer(vocabulary, Labels(kind="values"))


def test_targets_lie_on_their_residues(vocabulary):
    tokenizer = ResidueTokenizer(vocabulary, Labels(kind="classes", names=("H", "E")))
    batch = tokenizer([Record("a", "MKV", ["H", None, "E"]), Record("b", "A", ["E"])])
    ids = vocabulary.convert_ids_to_tokens(batch.tokens.values[batch.unit_index].tolist())
    assert "".join(ids) == "MKVA"
    assert batch.targets.values.tolist() == [0, -100, 1, 1]


@pytest.mark.parametrize("target", [["H"], ["H"] * 4, "H"])
def test_a_wrong_number_of_labels_names_both(vocabulary, target):
    tokenizer = ResidueTokenizer(vocabulary, Labels(kind="classes", names=("H", "E")))
    with pytest.raises(DataError, match=f"'a' has 3 residues but {len(target)} labels"):
        tokenizer([Record("a", "MKV", target)])
