"""Convolutions along the chain: what a residue sees, and that its neighbours in a batch are not among it."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression

from labtune.errors import SettingsError
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_protein.convolution import (
    DILATIONS,
    FAMILIES,
    KERNEL,
    ChainConvolutions,
    ConvolutionHead,
    residue_letters,
    residue_states,
)
from labtune_protein.data import state_examples
from labtune_protein.letters import Letters
from labtune_protein.reading import read_secondary_structure
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
    convolutions = ChainConvolutions(8, 16, dropout=0.1, pretrained=False).eval()
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


def test_pre_trained_convolutions_begin_with_letters():
    states, letters = Ragged.from_rows([torch.randn(30, 8)]), torch.arange(30) % 21
    convolutions = ChainConvolutions(8, 128, dropout=0.1, pretrained=True).eval()
    found = convolutions(states, letters).values
    other = convolutions(states.with_values(-states.values), letters).values
    assert (found - other).abs().max() < 0.05 < found.std()
    assert all(
        torch.equal(value, convolutions.state_dict()[name].bfloat16()) for name, value in load_file(FAMILIES).items()
    )
    fresh = ChainConvolutions(8, 128, dropout=0.1, pretrained=False).eval()
    assert not torch.allclose(found, fresh(states, letters).values)


def test_other_widths_start_from_chance_and_only_when_told():
    with pytest.raises(SettingsError, match=r"128 channels, not 64; for others add --set head.pretrained=false"):
        ConvolutionHead(8, LABELS, channels=64)
    head = ConvolutionHead(8, LABELS, channels=64, pretrained=False)
    assert head.convolutions.letters.weight.shape == (21, 64)


def test_what_ships_is_what_was_taught(recipe):
    """On letters the states of ``protein.letters`` are letters too, so both join in one embedding."""
    torch.manual_seed(0)
    encoder, records = Letters(), [Record("a", "ACDEFGHIKLMNPQRSTVWYX")]
    head = ConvolutionHead(encoder.width, LABELS, pretrained=False).eval()
    torch.nn.init.normal_(head.convolutions.norm.weight)
    batch = ResidueTokenizer(encoder.tokenizer, LABELS).unlabelled(records)
    states, letters = residue_states(encoder(batch.inputs), batch), residue_letters(batch)
    taught = head.convolutions(states, letters).values
    shipped = ChainConvolutions(8, 128, dropout=0.1, pretrained=True).eval()
    shipped.load_state_dict({**shipped.state_dict(), **recipe("ship_families").convolutions(head.state_dict())})
    nothing = states.with_values(torch.zeros(21, 8))
    torch.testing.assert_close(shipped(nothing, letters).values, taught)


def test_families_taught_secondary_structure(bio):
    """A linear layer on them tells more states of chains that they did not see than one on fresh convolutions."""
    file = bio / "flip_secondary_structure" / "val.sequences.fasta"
    records = list(islice(read_secondary_structure(file, labelled=True), 90))
    batch = ResidueTokenizer(Letters().tokenizer, LABELS)(records)
    states = batch.units.with_values(torch.zeros(len(batch.units.values), 8))
    known = batch.targets.values >= 0
    inner = torch.repeat_interleave(torch.arange(90) < 60, batch.units.lengths)
    scores = []
    for pretrained in (False, True):
        torch.manual_seed(0)
        convolutions = ChainConvolutions(8, 128, dropout=0.1, pretrained=pretrained).eval()
        with torch.inference_mode():
            seen = convolutions(states, residue_letters(batch)).values
        model = LogisticRegression(max_iter=200).fit(seen[known & inner], batch.targets.values[known & inner])
        scores.append(model.score(seen[known & ~inner], batch.targets.values[known & ~inner]))
    assert scores[1] > scores[0] + 0.1
