"""The head against the sum over all legal tag sequences, written out."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from labtune.builtin.chains import CrfLoss
from labtune.builtin.losses import CrossEntropy
from labtune.protocols import Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Record, Span
from labtune_ner.head import EntityHead
from labtune_ner.tags import decode, encode, legal_starts, legal_transitions

TYPES = ("PER", "LOC")
LABELS = Labels(kind="spans", names=TYPES)
TAGS = 5


def batch_of(*inputs, targets=None):
    records = [Record(str(row), words) for row, words in enumerate(inputs)]
    positions = Ragged.from_rows([list(range(len(words))) for words in inputs], dtype=torch.long)
    truth = None if targets is None else Ragged.from_rows(targets, dtype=torch.long)
    return Batch(records, {"input_ids": positions}, units=positions, targets=truth)


def legal_sequences(length):
    starts, follows = legal_starts(TYPES), legal_transitions(TYPES)
    for tags in product(range(TAGS), repeat=length):
        if starts[tags[0]] and all(follows[pair] for pair in pairwise(tags)):
            yield tags


def randomised(crf):
    torch.manual_seed(3)
    head = EntityHead(8, LABELS, crf=crf)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head.eval()


def scores(head, rows):
    """Score of every legal sequence of one record."""
    found = {}
    for tags in legal_sequences(len(rows)):
        score = sum(rows[step, tag].item() for step, tag in enumerate(tags))
        if head.crf:
            score += head.start[tags[0]].item() + head.end[tags[-1]].item()
            score += sum(head.transitions[pair].item() for pair in pairwise(tags))
        found[tags] = score
    return found


@pytest.mark.parametrize("crf", [False, True])
def test_entities_and_their_probabilities_are_exact(crf):
    head = randomised(crf)
    batch = batch_of(list("abcde"), ["a"], list("abc"))
    for seed in range(8):
        torch.manual_seed(seed)
        logits = batch.units.with_values(torch.randn(9, TAGS) * 2)
        with torch.inference_mode():
            predictions = head.decode(Output(logits), batch)
        for rows, prediction in zip(logits, predictions, strict=True):
            every = scores(head, rows)
            weights = dict(zip(every, torch.tensor(list(every.values())).double().softmax(0).tolist(), strict=True))
            assert prediction.value == decode(max(every, key=every.get), TYPES)
            for span, confidence in zip(prediction.value, prediction.confidence, strict=True):
                exact = sum(weight for tags, weight in weights.items() if span in decode(tags, TYPES))
                assert confidence == pytest.approx(exact, abs=1e-5)
            marginals = np.zeros((len(rows), TAGS))
            for tags, weight in weights.items():
                marginals[range(len(rows)), tags] += weight
            np.testing.assert_allclose(prediction.probabilities, marginals, atol=1e-5)


def test_decoding_is_legal_where_the_likeliest_tags_are_not():
    logits = torch.full((3, TAGS), -5.0)
    logits[0, 0] = logits[1, 2] = 5.0  # O, I-PER
    logits[1, 1] = 4.0  # B-PER is the next best
    logits[2, 4], logits[2, 0] = 3.0, -4.0  # I-LOC, and O the next best
    (prediction,) = randomised(False).decode(Output(Ragged.from_rows([logits])), batch_of(list("abc")))
    assert prediction.value == [Span(1, 2, "PER")]
    assert all(0 <= confidence <= 1 for confidence in prediction.confidence)


def test_details_place_the_entities_in_the_text():
    text = "In Rome, Anna Lee."
    logits = torch.zeros(6, TAGS)
    logits[range(6), encode([Span(1, 2, "LOC"), Span(3, 5, "PER")], 6, TYPES)] = 20.0
    (prediction,) = randomised(False).decode(Output(Ragged.from_rows([logits])), batch_of(text))
    found = [
        (entity["text"], entity["type"], text[entity["start"] : entity["end"]])
        for entity in prediction.details["entities"]
    ]
    assert found == [("Rome", "LOC", "Rome"), ("Anna Lee", "PER", "Anna Lee")]
    assert [entity["confidence"] for entity in prediction.details["entities"]] == prediction.confidence


def test_a_record_without_words_has_no_entities():
    head = randomised(False)
    batch = batch_of([], ["a"])
    empty, _ = head.decode(head(batch.tokens.with_values(torch.randn(1, 8)), batch), batch)
    assert (empty.value, empty.confidence, empty.details) == ([], [], {"entities": []})


@pytest.mark.parametrize("crf", [False, True])
def test_learns_entities(crf):
    """The hidden state says which word it is; Anna and Rome are entities, and so is what follows Anna."""
    torch.manual_seed(0)
    sentences = [["x", "Anna", "y", "x"], ["Rome", "x"], ["y", "x", "Anna", "x"]]
    truth = [[Span(1, 3, "PER")], [Span(0, 1, "LOC")], [Span(2, 4, "PER")]]
    batch = batch_of(
        *sentences, targets=[encode(spans, len(s), TYPES) for s, spans in zip(sentences, truth, strict=True)]
    )
    head = EntityHead(8, LABELS, dropout=0.0, crf=crf)
    loss = CrfLoss(LABELS) if crf else CrossEntropy(LABELS)
    embedding = {word: torch.randn(8) for word in ("x", "y", "Anna", "Rome")}
    hidden = torch.stack([embedding[word] for words in sentences for word in words])
    after_anna = torch.tensor([0, 0, 1, 0, 0, 0, 0, 0, 0, 1.0])[:, None]
    hidden = batch.tokens.with_values(hidden if crf else hidden + after_anna * 5)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(80):
        optimizer.zero_grad()
        loss(head(hidden, batch), batch).backward()
        optimizer.step()
    assert all(parameter.isfinite().all() for parameter in head.parameters())
    assert [prediction.value for prediction in head.decode(head(hidden, batch), batch)] == truth


def test_saved_weights_hold_no_rules():
    """What is legal follows from the labels, so a file cannot contradict it."""
    assert set(EntityHead(8, LABELS).state_dict()) == {"linear.weight", "linear.bias"}
