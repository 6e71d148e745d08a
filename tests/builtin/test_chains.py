"""Chains against the sum over all sequences, written out."""

from itertools import pairwise, product

import pytest
import torch

from labtune.builtin.chains import Chain, CrfLoss, CrfTokenHead, log_partition, posterior, viterbi
from labtune.builtin.losses import CrossEntropy
from labtune.errors import SettingsError
from labtune.protocols import IGNORED, Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Record

SIZE = 3
LENGTHS = (4, 1, 0, 5, 2)
FORBIDDEN = float("-inf")


def random_chain(seed=0, forbidden=()):
    generator = torch.Generator().manual_seed(seed)
    transitions = torch.randn(SIZE, SIZE, generator=generator)
    for before, after in forbidden:
        transitions[before, after] = FORBIDDEN
    return Chain(transitions, torch.randn(SIZE, generator=generator), torch.randn(SIZE, generator=generator))


def random_logits(seed=1, lengths=LENGTHS, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    return Ragged.from_rows([torch.randn(length, SIZE, generator=generator) * scale for length in lengths])


def scores(rows, chain):
    """Every sequence and its score, as the module's formula says."""
    found = {}
    for labels in product(range(SIZE), repeat=len(rows)):
        score = float(chain.start[labels[0]] + chain.end[labels[-1]])
        score += sum(float(rows[step, label]) for step, label in enumerate(labels))
        score += sum(float(chain.transitions[pair]) for pair in pairwise(labels))
        found[labels] = score
    return found


def batch_of(targets):
    records = [Record(id=str(row), input="x") for row in range(len(targets))]
    positions = Ragged.from_rows([list(range(len(row))) for row in targets], dtype=torch.long)
    return Batch(
        records, {"input_ids": positions}, units=positions, targets=Ragged.from_rows(targets, dtype=torch.long)
    )


chains = pytest.mark.parametrize(
    "chain", [random_chain(), random_chain(2, [(0, 1), (2, 2)])], ids=["free", "constrained"]
)


@chains
def test_viterbi_finds_the_best_of_all_sequences(chain):
    for seed in range(5):
        logits = random_logits(seed)
        for rows, best in zip(logits, viterbi(logits, chain), strict=True):
            if len(rows):
                every = scores(rows, chain)
                assert tuple(best.tolist()) == max(every, key=every.get)


@chains
def test_partition_and_marginals_are_sums_over_all_sequences(chain):
    logits = random_logits()
    beliefs = posterior(logits, chain)
    totals = log_partition(logits, chain)
    for rows, marginals, total in zip(logits, beliefs.marginals, totals, strict=True):
        if not len(rows):
            assert total == 0
            continue
        every = scores(rows, chain)
        weights = torch.tensor(list(every.values())).double().softmax(0)
        expected = torch.zeros(len(rows), SIZE, dtype=torch.double)
        for labels, weight in zip(every, weights, strict=True):
            expected[range(len(rows)), labels] += weight
        torch.testing.assert_close(marginals.double(), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(total, torch.tensor(list(every.values())).logsumexp(0), atol=1e-5, rtol=0)


@chains
def test_conditional_probabilities_are_ratios_of_sums(chain):
    logits = random_logits(lengths=(4,))
    beliefs = posterior(logits, chain)
    every = scores(logits[0], chain)
    weight = {labels: torch.tensor(score).exp().item() for labels, score in every.items()}
    for before, after in product(range(SIZE), repeat=2):
        pairs = sum(w for labels, w in weight.items() if labels[1:3] == (before, after))
        firsts = sum(w for labels, w in weight.items() if labels[1] == before)
        found = beliefs.conditional(torch.tensor([2]), torch.tensor([before]), torch.tensor([after]))
        assert found.item() == pytest.approx(pairs / firsts, abs=1e-6)


def test_a_forbidden_transition_is_never_taken_however_large_the_logits():
    chain = Chain(
        torch.tensor([[0, FORBIDDEN, 0], [0, 0, 0], [0, 0, 0]]), torch.tensor([0, FORBIDDEN, 0.0]), torch.zeros(3)
    )
    logits = random_logits(lengths=(50, 7), scale=1e6)
    for path in viterbi(logits, chain):
        pairs = list(zip(path[:-1].tolist(), path[1:].tolist(), strict=True))
        assert (0, 1) not in pairs
        assert path[0] != 1


def test_blocks_of_records_come_back_in_order(monkeypatch):
    logits, chain = random_logits(lengths=(3, 9, 1, 4, 0, 6, 2)), random_chain()
    whole = viterbi(logits, chain), posterior(logits, chain).marginals, log_partition(logits, chain)
    monkeypatch.setattr("labtune.builtin.chains.ROWS", 2)
    parts = viterbi(logits, chain), posterior(logits, chain).marginals, log_partition(logits, chain)
    torch.testing.assert_close(whole[0].values, parts[0].values)
    torch.testing.assert_close(whole[1].values, parts[1].values)
    torch.testing.assert_close(whole[2], parts[2])


def test_long_records_lose_no_digits():
    logits = random_logits(lengths=(3000,), scale=50)
    single, double = (
        posterior(logits, random_chain()),
        posterior(logits.with_values(logits.values.double()), random_chain()),
    )
    torch.testing.assert_close(single.marginals.values.double(), double.marginals.values, atol=1e-4, rtol=0)


def test_no_records_and_no_units():
    empty = Ragged(torch.zeros(0, SIZE), torch.zeros(1, dtype=torch.long))
    assert len(viterbi(empty, random_chain())) == len(posterior(empty, random_chain()).marginals) == 0
    assert log_partition(Ragged(torch.zeros(0, SIZE), torch.zeros(3, dtype=torch.long)), random_chain()).tolist() == [
        0,
        0,
    ]


@chains
def test_loss_is_the_negative_log_likelihood_of_the_truth_per_unit(chain):
    logits = random_logits()
    targets = [[0, 0, 2, 1], [2], [], [1, 1, 1, 2, 0], [2, 0]]
    loss = CrfLoss(Labels(kind="classes"))(Output(logits, chain.extras), batch_of(targets))
    expected = 0.0
    for rows, truth in zip(logits, targets, strict=True):
        if truth:
            every = scores(rows, chain)
            expected += torch.tensor(list(every.values())).logsumexp(0).item() - every[tuple(truth)]
    assert loss.item() == pytest.approx(expected / 12, abs=1e-5)


def test_missing_targets_are_summed_over():
    logits, chain = random_logits(lengths=(4,)), random_chain()
    loss = CrfLoss(Labels(kind="classes"))
    batch = batch_of([[0, IGNORED, 2, IGNORED]])
    every = scores(logits[0], chain)
    agreeing = torch.tensor([score for labels, score in every.items() if labels[0] == 0 and labels[2] == 2])
    expected = torch.tensor(list(every.values())).logsumexp(0) - agreeing.logsumexp(0)
    assert loss.count(batch) == 2
    assert loss(Output(logits, chain.extras), batch).item() == pytest.approx(expected.item() / 2, abs=1e-5)


def test_loss_and_gradient_are_zero_where_every_target_is_missing():
    logits = random_logits(lengths=(3, 2))
    logits.values.requires_grad_()
    chain = random_chain(forbidden=[(0, 1)])
    loss = CrfLoss(Labels(kind="classes"))(Output(logits, chain.extras), batch_of([[IGNORED] * 3, [IGNORED] * 2]))
    loss.backward()
    assert loss.item() == 0
    assert not logits.values.grad.any()


def test_gradients_are_right_and_finite_beside_forbidden_transitions():
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    mask[0, 1] = mask[2, 0] = True
    start_mask = torch.tensor([False, True, False])
    batch = batch_of([[0, 2, 1], [2, IGNORED]])

    def loss(values, transitions, start, end):
        chain = Chain(transitions.masked_fill(mask, FORBIDDEN), start.masked_fill(start_mask, FORBIDDEN), end)
        return CrfLoss(Labels(kind="classes"))(Output(batch.targets.with_values(values), chain.extras), batch)

    shapes = ((5, SIZE), (SIZE, SIZE), (SIZE,), (SIZE,))
    inputs = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(loss, inputs)


def test_a_chain_of_zeros_is_independent_classification():
    logits = random_logits()
    zeros = Chain(torch.zeros(SIZE, SIZE), torch.zeros(SIZE), torch.zeros(SIZE))
    batch = batch_of([[0, 0, 2, 1], [2], [], [1, 1, 1, 2, 0], [2, 0]])
    labels = Labels(kind="classes", names=("a", "b", "c"))
    crf, independent = CrfLoss(labels)(Output(logits, zeros.extras), batch), CrossEntropy(labels)(Output(logits), batch)
    torch.testing.assert_close(crf, independent)
    torch.testing.assert_close(posterior(logits, zeros).marginals.values, logits.values.softmax(-1))


def test_a_head_without_a_chain_is_refused():
    with pytest.raises(SettingsError, match="token_crf"):
        CrfLoss(Labels(kind="classes"))(Output(random_logits(lengths=(1,))), batch_of([[0]]))


def test_head_learns_what_only_neighbours_tell():
    """The input is the same everywhere; the labels alternate, so only transitions can tell them apart."""
    torch.manual_seed(0)
    head = CrfTokenHead(4, Labels(kind="classes", names=("a", "b")), dropout=0.0)
    batch = batch_of([[0, 1, 0, 1, 0, 1], [0, 1, 0]])
    hidden = batch.tokens.with_values(torch.ones(9, 4))
    loss, optimizer = CrfLoss(head.labels), torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss(head(hidden, batch), batch).backward()
        optimizer.step()
    with torch.inference_mode():
        predictions = head.decode(head(hidden, batch), batch)
    assert [prediction.value for prediction in predictions] == [list("ababab"), list("aba")]
    for prediction in predictions:
        assert prediction.probabilities.sum(-1) == pytest.approx(1)
        assert prediction.confidence == pytest.approx(prediction.probabilities.max(-1).tolist())
