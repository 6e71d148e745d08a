"""Variants against their wild type: states are differences, which a hand-worked encoder shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from labtune.encoder.base import Encoder
from labtune.errors import DataError, SettingsError
from labtune.model import Model
from labtune.specs import Labels, Record
from labtune_protein.sites import SitesHead
from labtune_protein.tokenizing import SequenceTokenizer

LABELS = Labels(kind="values", names=("value",))


class Counting(Encoder):
    """The state of a token is its number, and the number of tokens of its record."""

    width = 2

    def forward(self, inputs):
        tokens = inputs["input_ids"]
        lengths = tokens.lengths[tokens.segment_ids]
        return tokens.with_values(torch.stack([tokens.values, lengths], 1).float())


@pytest.fixture
def tokenizer(vocabulary):
    return SequenceTokenizer(vocabulary, LABELS, wild_type="MKV")


def test_states_are_differences_to_the_wild_type(tokenizer, vocabulary):
    batch = tokenizer([Record("wild", "MKV", 0.0), Record("variant", "MAV", 1.0)])
    model = Model(Counting(), nn.Identity())
    hidden = model.encode(batch)
    number = vocabulary.get_vocab()
    assert not hidden[0].any()
    expected = torch.zeros(5, 2)  # begin, M, A for K, V, end
    expected[2, 0] = number["A"] - number["K"]
    torch.testing.assert_close(hidden[1], expected)


def test_the_wild_type_goes_with_some_of_the_records(tokenizer):
    batch = tokenizer([Record("a", "MKV", 0.0), Record("b", "MAV", 1.0), Record("c", "MKL", 2.0)])
    model = Model(Counting(), nn.Identity())
    torch.testing.assert_close(model.encode(batch.select([2]))[0], model.encode(batch)[2])


def test_without_a_wild_type_nothing_is_subtracted(vocabulary):
    batch = SequenceTokenizer(vocabulary, LABELS)([Record("a", "MAV", 1.0)])
    assert batch.reference is None
    model = Model(Counting(), nn.Identity())
    assert model.encode(batch)[0][:, 1].tolist() == [5.0] * 5


def test_a_wild_type_scores_what_the_head_starts_with(tokenizer):
    batch = tokenizer([Record("wild", "MKV", 0.0), Record("variant", "MAV", 1.0)])
    head = SitesHead(2, LABELS, dropout=0.0)
    nn.init.ones_(head.weights)
    output = Model(Counting(), head)(batch).logits.values[:, 0]
    assert output[0] == head.linear.bias
    assert output[1] != output[0]


def test_the_consensus_is_learned_and_kept(vocabulary):
    tokenizer = SequenceTokenizer(vocabulary, LABELS, wild_type="consensus")
    tokenizer.fit([Record("a", "MKV"), Record("b", "MAV"), Record("c", "MKL")])
    assert tokenizer.wild_type == "MKV"
    other = SequenceTokenizer(vocabulary, LABELS, wild_type="consensus")
    other.restore(tokenizer.state())
    assert other([Record("d", "MKV")]).reference.records[0].input == "MKV"


def test_another_length_is_refused_with_both_numbers(tokenizer, vocabulary):
    with pytest.raises(DataError, match=r"f.csv:3: record 'x' has 4 residues, but the wild type has 3"):
        tokenizer([Record("x", "MKVL", 1.0, source="f.csv:3")])
    with pytest.raises(DataError, match="has 2 residues"):
        SequenceTokenizer(vocabulary, LABELS, wild_type="consensus").fit([Record("a", "MKV"), Record("b", "MK")])


def test_a_wild_type_that_is_no_sequence_is_refused(vocabulary):
    with pytest.raises(SettingsError, match=r"tokenizer\.wild_type has '1' at position 2"):
        SequenceTokenizer(vocabulary, LABELS, wild_type="M1V")


def test_states_that_were_stored_are_not_subtracted_twice(tokenizer):
    from labtune.training.frozen import STATES, States, _subtracted

    batch = tokenizer([Record("variant", "MAV", 1.0)])
    stored = Model(Counting(), nn.Identity()).encode(batch)
    again = replace(batch, inputs={**batch.inputs, STATES: stored}, reference=_subtracted(batch.reference, 2))
    torch.testing.assert_close(Model(States(2), nn.Identity()).encode(again).values, stored.values)


def test_what_variants_have_in_common_shifts_nothing(vocabulary):
    records = [Record(str(row), "MK" + letter, float(row)) for row, letter in enumerate("VALIG")]
    batch, model = SequenceTokenizer(vocabulary, LABELS)(records), Model(Counting(), nn.Identity())
    head = SitesHead(2, LABELS, dropout=0.0)
    nn.init.normal_(head.weights, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(head.linear.weight)
    nn.init.zeros_(head.linear.bias)
    before = head.scores(model.encode(batch), batch)
    head.settle(batch, model.encode)
    after = head.scores(model.encode(batch), batch)
    assert abs(before.mean()) > 0.1
    assert after.mean().item() == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(after - after[0], before - before[0])


def test_differences_are_left_as_they_are(tokenizer):
    batch, head = tokenizer([Record("variant", "MAV", 1.0)]), SitesHead(2, LABELS)
    head.settle(batch, Model(Counting(), nn.Identity()).encode)
    assert not head.center.any()
