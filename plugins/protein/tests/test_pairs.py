"""Contact maps: the order of pairs, the head, precision by hand, the baseline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from labtune.catalog import load_catalog
from labtune.encoder.loading import load_encoder
from labtune.errors import SettingsError
from labtune.protocols import IGNORED, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Prediction, Record, Span
from labtune_protein.contacts import read_contacts
from labtune_protein.data import contact_examples, contact_sample
from labtune_protein.pairs.baselines import fit_frequencies, fit_hydropathy, fit_separation
from labtune_protein.pairs.head import FAMILIES, PairHead, corrected
from labtune_protein.pairs.loss import PairCrossEntropy
from labtune_protein.pairs.metrics import ContactPrecision
from labtune_protein.pairs.ranking import decode_pairs
from labtune_protein.pairs.tokenizing import PairTokenizer
from labtune_protein.pairs.views import map_view

LABELS = Labels(kind="spans", names=("contact",))


@pytest.fixture
def batch(vocabulary):
    return PairTokenizer(vocabulary, LABELS)(contact_examples()[:3])


def test_targets_are_the_upper_triangle_row_by_row(vocabulary):
    record = Record("a", "ACDEFGHIK", [Span(0, 7, "contact"), Span(1, 8, "contact")], columns={"resolved": "110111111"})
    targets = PairTokenizer(vocabulary, LABELS)([record]).targets
    found = {
        pair: int(value)
        for pair, value in zip(zip(*np.triu_indices(9, 1), strict=True), targets.values, strict=True)
        if value != IGNORED
    }
    assert found == {(0, 6): 1, (0, 7): 0, (0, 8): 1, (1, 7): 1, (1, 8): 0}


def test_a_record_does_not_depend_on_its_neighbours(batch):
    torch.manual_seed(0)
    head = PairHead(16, LABELS).eval()
    hidden = batch.tokens.with_values(torch.randn(len(batch.tokens.values), 16))
    together = head(hidden, batch).logits
    for row in range(len(batch)):
        alone = head(hidden.select([row]), batch.select([row])).logits
        assert torch.allclose(together[row], alone.values, atol=1e-5)


def test_average_product_correction_by_its_formula():
    maps = torch.rand(1, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    both = (maps + maps.transpose(-1, -2)).numpy()
    expected = both - both.sum(-1, keepdims=True) * both.sum(-2, keepdims=True) / both.sum((-1, -2), keepdims=True)
    assert np.allclose(corrected(maps).numpy(), expected, atol=1e-6)


def test_precision_by_hand():
    size = 60
    record = Record("a", "A" * size, [Span(0, 30, "contact"), Span(1, 31, "contact"), Span(0, 8, "contact")])
    probabilities = np.zeros(size * (size - 1) // 2)
    place = {pair: index for index, pair in enumerate(zip(*np.triu_indices(size, 1), strict=True))}
    for rank, pair in enumerate([(0, 30), (2, 40), (1, 31)]):
        probabilities[place[pair]] = 0.9 - rank / 10
    prediction = decode_pairs("a", size, probabilities, "contact")
    scores = ContactPrecision(LABELS)([prediction], [record])
    assert scores["p_at_l_long"] == pytest.approx(2 / 60)
    assert scores["p_at_l5_long"] == pytest.approx(2 / 12)
    assert scores["p_at_l_medium"] == 0
    assert [tuple(span[:2]) for span in prediction.value] == [(0, 30), (1, 31), (2, 40)]


def test_unresolved_pairs_are_passed_over():
    size = 40
    record = Record("a", "A" * size, [Span(1, 35, "contact")], columns={"resolved": "0" + "1" * (size - 1)})
    pairs = [[0, 30, 0.9], [1, 35, 0.8]] + [[2, 30 + k, 0.1] for k in range(8)]
    prediction = Prediction("a", [], details={"pairs": {"long": pairs}})
    assert ContactPrecision(LABELS)([prediction], [record])["p_at_l5_long"] == pytest.approx(1 / 8)


def test_short_chains_count_only_where_they_have_pairs():
    record = Record("a", "A" * 20, [])
    prediction = decode_pairs("a", 20, np.zeros(190), "contact")
    scores = ContactPrecision(LABELS)([prediction], [record])
    assert np.isnan(scores["p_at_l_long"])
    assert scores["p_at_l_short"] == 0


def test_the_loss_counts_judged_pairs_only(batch):
    logits = torch.zeros(len(batch.targets.values), 2, requires_grad=True)
    loss = PairCrossEntropy(LABELS)
    value = loss(Output(Ragged(logits, batch.targets.offsets)), batch)
    assert value.item() == pytest.approx(np.log(2), rel=1e-5)
    assert loss.count(batch) == int((batch.targets.values != IGNORED).sum())
    value.backward()
    assert float(logits.grad[batch.targets.values == IGNORED].abs().sum()) == 0


def test_frequencies_beat_chance():
    records = {part: list(read_contacts(path, labelled=True)) for part, path in contact_sample().items()}
    baseline = fit_frequencies(records["train"], LABELS)
    scores = ContactPrecision(LABELS)(baseline(records["test"]), records["test"])
    chance = np.mean([
        sum(6 <= j - i < 12 for i, j, _ in record.target) / sum(max(0, len(record.input) - k) for k in range(6, 12))
        for record in records["test"]
    ])  # fmt: skip
    assert scores["p_at_l5_short"] > 1.5 * chance


def test_maps_are_drawn_safely():
    records = [Record('<b>"a"', "A" * 40, [Span(0, 30, "contact")])]
    predictions = [decode_pairs(records[0].id, 40, np.linspace(0, 1, 780), "contact")]
    (figure,) = map_view(predictions, records, LABELS)
    assert figure.svg.startswith("<svg")
    assert "<b>" not in figure.svg + figure.alt


def test_without_learning_near_pairs_or_greasy_pairs_come_first():
    record = Record("a", "I" + "G" * 28 + "I")
    ((first, second, _), *_) = fit_hydropathy([], LABELS)([record])[0].details["pairs"]["long"]
    assert {first, second} == {0, 29}
    pairs = fit_separation([], LABELS)([record])[0].details["pairs"]["long"]
    assert [later - earlier for earlier, later, _ in pairs[:3]] == [24, 24, 24]


def test_gradients_are_finite_in_bfloat16(vocabulary):
    """A depthwise convolution in bfloat16 gave gradients that were not, in about every second pass."""
    batch = PairTokenizer(vocabulary, LABELS)(contact_examples())
    torch.manual_seed(0)
    head, loss = PairHead(8, LABELS), PairCrossEntropy(LABELS)
    hidden = batch.tokens.with_values(torch.randn(len(batch.tokens.values), 8))
    for _ in range(3):
        head.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            output = head(hidden, batch)
        loss(output, batch).backward()
        assert all(parameter.grad.isfinite().all() for parameter in head.parameters() if parameter.grad is not None)


def test_a_pre_trained_head_begins_with_letters(batch):
    head, fresh = PairHead(8, LABELS).eval(), PairHead(8, LABELS, pretrained=False).eval()
    hidden = batch.tokens.with_values(torch.randn(len(batch.tokens.values), 8))
    found, other = head(hidden, batch).logits.values, head(hidden.with_values(-hidden.values), batch).logits.values
    assert (found - other).abs().max() < 0.05 < found.std()
    assert not torch.allclose(found, fresh(hidden, batch).logits.values)
    own, bins = head.state_dict(), PairHead(8, Labels(kind="spans", names=("contact", "near"))).state_dict()
    for name, value in load_file(FAMILIES).items():
        assert torch.equal(value, own[name].bfloat16())
        assert name.startswith("output.") != torch.equal(own[name], bins[name])


def test_attention_begins_without_influence(batch):
    encoder = load_encoder("protein.mini", load_catalog()).eval()
    alone, both = PairHead(encoder.width, LABELS, layers=0).eval(), PairHead(encoder.width, LABELS).eval()
    alone.load_state_dict(both.state_dict())
    with torch.inference_mode():
        expected = alone(encoder(batch.inputs), batch).logits.values
        both.connect(encoder)
        torch.testing.assert_close(both(encoder(batch.inputs), batch).logits.values, expected)


def test_another_shape_starts_from_chance_and_only_when_told():
    with pytest.raises(SettingsError, match=r"16 maps, 32 channels.*; for others add --set head.pretrained=false"):
        PairHead(8, LABELS, dilations=(1, 2))
    assert len(PairHead(8, LABELS, dilations=(1, 2), pretrained=False).blocks) == 2
