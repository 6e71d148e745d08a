"""Convolutions along the chain: what a residue sees, and that its neighbours in a batch are not among it."""

from __future__ import annotations

import pytest
import torch

from labtune.errors import SettingsError
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_protein.convolution import DILATIONS, KERNEL, ChainConvolutions, ConvolutionHead, residue_letters
from labtune_protein.data import state_examples
from labtune_protein.letters import Letters
from labtune_protein.tokenizing import ResidueTokenizer, SequenceTokenizer
from labtune_protein.vocabulary import SYMBOLS

LABELS = Labels(kind="classes", names=("H", "E", "C"))
REACH = sum(KERNEL // 2 * dilation for dilation in DILATIONS)  # residues to either side


@pytest.fixture
def head():
    torch.manual_seed(0)
    return ConvolutionHead(8, LABELS).eval()


def hidden_of(batch, width=8):
    torch.manual_seed(1)
    return batch.tokens.with_values(torch.randn(len(batch.tokens.values), width))


def test_a_record_alone_and_among_others_gets_the_same(vocabulary, head):
    batch = ResidueTokenizer(vocabulary, LABELS)(state_examples()[:4])
    hidden = hidden_of(batch)
    together = head(hidden, batch).logits
    for row in range(4):
        alone = head(hidden.select([row]), batch.select([row])).logits.values
        torch.testing.assert_close(together[row], alone, atol=1e-5, rtol=1e-4)


def test_a_residue_sees_as_far_as_the_convolutions_reach(vocabulary, head):
    letters = "A" * (2 * REACH + 10)
    changed = "W" + letters[1:]
    tokenizer = ResidueTokenizer(vocabulary, LABELS)
    states = hidden_of(tokenizer.unlabelled([Record("a", letters)]))
    plain, other = (
        head(states, tokenizer.unlabelled([Record("a", text)])).logits.values for text in (letters, changed)
    )
    differs = (plain - other).abs().sum(1) > 0
    assert differs[REACH]
    assert not differs[REACH + 1 :].any()


def test_letters_are_those_of_the_records(vocabulary):
    batch = ResidueTokenizer(vocabulary, LABELS).unlabelled([Record("a", "ACX"), Record("b", "Y")])
    assert residue_letters(batch).tolist() == [0, 1, 20, 19]


def test_both_inputs_matter():
    torch.manual_seed(0)
    convolutions = ChainConvolutions(8, 16).eval()
    states = Ragged.from_rows([torch.randn(5, 8)])
    letters = torch.arange(5)
    found = convolutions(states, letters).values
    assert not torch.equal(found, convolutions(states, letters.flip(0)).values)
    assert not torch.equal(found, convolutions(states.with_values(-states.values), letters).values)


def test_a_tokenizer_of_sequences_is_refused(vocabulary, head):
    batch = SequenceTokenizer(vocabulary, Labels(kind="classes", names=("x",)))([Record("a", "ACD")])
    with pytest.raises(SettingsError, match="tokenizer of residues"):
        head(hidden_of(batch), batch)


def test_letters_need_no_network(vocabulary):
    encoder = Letters()
    batch = ResidueTokenizer(encoder.tokenizer, LABELS).unlabelled([Record("a", "AC")])
    hidden = encoder(batch.inputs).values
    assert hidden.sum(1).tolist() == [1.0] * 4
    assert [SYMBOLS[row.argmax()] for row in hidden] == ["<cls>", "A", "C", "<eos>"]
    assert not list(encoder.parameters())
