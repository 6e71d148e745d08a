"""Heads against the same arithmetic on padded or single records."""

from __future__ import annotations

import pytest
import torch

from labtune.builtin.heads import Pool, SequenceHead, TokenHead
from labtune.errors import SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged, offsets_of
from labtune.specs import Labels, Record

LENGTHS = [5, 3, 9]
WIDTH = 6
LABELS = {
    "classes": Labels(kind="classes", names=("a", "b", "c")),
    "multilabel": Labels(kind="multilabel", names=("a", "b", "c")),
    "values": Labels(kind="values", names=("x", "y")),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def hidden() -> Ragged:
    return Ragged(torch.randn(sum(LENGTHS), WIDTH), offsets_of(LENGTHS))


def batch_of(lengths: list[int], units: list[list[int]] | None = None, targets: Ragged | None = None) -> Batch:
    return Batch(
        records=[Record(f"r{row}", "x") for row in range(len(lengths))],
        inputs={"input_ids": Ragged(torch.zeros(sum(lengths), dtype=torch.long), offsets_of(lengths))},
        prefix=1,
        suffix=1,
        units=None if units is None else Ragged.from_rows(units, torch.long),
        targets=targets,
    )


@pytest.mark.parametrize("mode", ["mean", "first", "max", "attention"])
def test_pooling_is_that_of_each_record(hidden, mode):
    pool = Pool(WIDTH, mode)
    pooled = pool(hidden, batch_of(LENGTHS))
    for row, states in enumerate(hidden):
        content = states[1:-1]
        expected = {
            "first": lambda states=states: states[0],
            "mean": lambda content=content: content.mean(0),
            "max": lambda content=content: content.max(0).values,
            "attention": lambda content=content: (pool.query(content).softmax(0) * content).sum(0),
        }[mode]()
        assert torch.allclose(pooled[row], expected, atol=1e-6)


def test_an_empty_record_pools_to_zero():
    hidden = Ragged(torch.ones(2, WIDTH), offsets_of([2]))
    assert not Pool(WIDTH, "mean")(hidden, batch_of([2])).any()


def test_unknown_pooling():
    with pytest.raises(SettingsError, match="unknown pooling 'sum'; known: mean, first, max, attention"):
        Pool(WIDTH, "sum")


@pytest.mark.parametrize("hidden_layer", [False, True])
def test_sequence_head(hidden, hidden_layer):
    head = SequenceHead(WIDTH, LABELS["classes"], hidden_layer=hidden_layer).eval()
    output = head(hidden, batch_of(LENGTHS))
    for row, states in enumerate(hidden):
        pooled = states[1:-1].mean(0)
        expected = head.linear(head.hidden_layer(pooled))
        assert torch.allclose(output.logits.values[row], expected, atol=1e-6)
    predictions = head.decode(output, batch_of(LENGTHS))
    for prediction, logits in zip(predictions, output.logits.values, strict=True):
        probabilities = logits.softmax(-1)
        assert prediction.value == "abc"[int(logits.argmax())]
        assert prediction.confidence == pytest.approx(float(probabilities.max()))
        assert prediction.probabilities == pytest.approx(probabilities.tolist())


def test_sets_are_the_names_above_one_half(hidden):
    head = SequenceHead(WIDTH, LABELS["multilabel"]).eval()
    logits = torch.tensor([[2.0, -1.0, 0.1], [-1.0, -1.0, -1.0], [3.0, 3.0, 3.0]])
    output = type(head(hidden, batch_of(LENGTHS)))(Ragged.one_per_row(logits))
    first, none, everything = head.decode(output, batch_of(LENGTHS))
    assert (first.value, none.value, everything.value) == (["a", "c"], [], ["a", "b", "c"])
    assert first.confidence == pytest.approx([float(torch.tensor(2.0).sigmoid()), float(torch.tensor(0.1).sigmoid())])


def test_token_head_reads_the_token_of_each_unit(hidden):
    units = [[1, 3], [1], [2, 4, 5]]
    head = TokenHead(WIDTH, LABELS["classes"]).eval()
    output = head(hidden, batch_of(LENGTHS, units))
    for row, positions in enumerate(units):
        assert torch.allclose(output.logits[row], head.linear(hidden[row][positions]), atol=1e-6)
    predictions = head.decode(output, batch_of(LENGTHS, units))
    assert [len(prediction.value) for prediction in predictions] == [2, 1, 3]
    assert [prediction.id for prediction in predictions] == ["r0", "r1", "r2"]


def test_token_head_needs_units(hidden):
    with pytest.raises(SettingsError, match="use head 'sequence'"):
        TokenHead(WIDTH, LABELS["classes"])(hidden, batch_of(LENGTHS))


@pytest.mark.parametrize("build", [SequenceHead, TokenHead])
def test_number_heads_start_at_the_mean_of_training(hidden, build):
    targets = torch.tensor([[10.0, 0.1], [30.0, float("nan")], [20.0, 0.3]])
    units = None if build is SequenceHead else [[1], [1], [1]]
    batch = batch_of(LENGTHS, units, Ragged.one_per_row(targets))
    head = build(WIDTH, LABELS["values"]).eval()
    head.fit(batch)
    with torch.no_grad():
        head.linear.weight.zero_()
        values = head(hidden, batch).logits.values
        assert values.tolist() == [pytest.approx([20.0, 0.2])] * 3
        head.linear.bias.fill_(1.0)
        moved = head(hidden, batch).logits.values[0]
    # Standard deviations without Bessel's correction: of 10, 30, 20 and of 0.1, 0.3.
    assert moved.tolist() == pytest.approx([20.0 + (200 / 3) ** 0.5, 0.2 + 0.1])
    assert {"scale.center", "scale.spread"} <= set(head.state_dict())


def test_one_number_is_a_number(hidden):
    head = SequenceHead(WIDTH, Labels(kind="values", names=("x",))).eval()
    batch = batch_of(LENGTHS)
    assert all(isinstance(found.value, float) for found in head.decode(head(hidden, batch), batch))
