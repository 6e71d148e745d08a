"""Linear-chain models over the units of a record: Viterbi decoding, posterior probabilities and the CRF.

A chain gives a sequence of labels y the score ``start[y_1] + sum_t logits[t, y_t] + sum_t transitions[y_t-1, y_t] +
end[y_T]``, and probability proportional to its exponential (Lafferty, McCallum and Pereira 2001). A transition of -inf
is forbidden. Shapes: U units of B records, L labels, T steps of the longest record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from labtune.builtin.heads import TokenHead
from labtune.errors import SettingsError
from labtune.protocols import IGNORED, Batch, Output
from labtune.ragged import Ragged, concatenate
from labtune.specs import Labels, Prediction

ROWS = 256  # records worked on at once; sorted by length, so little of a block is padding
FLOOR = -1e4  # stands for -inf where gradients flow: its exponential is 0 in every precision, and nothing turns NaN


@dataclass(frozen=True, eq=False)
class Chain:
    """What the score of a sequence is made of beside the logits.

    Parameters
    ----------
    transitions
        ``(L, L)``, from the label of the row to the label of the column.
    start, end
        ``(L,)``.
    """

    transitions: Tensor
    start: Tensor
    end: Tensor

    @classmethod
    def of(cls, output: Output) -> Chain:
        """Take the chain from an output's extras, where :class:`CrfTokenHead` puts it."""
        try:
            return cls(*(output.extras[name] for name in ("transitions", "start", "end")))
        except KeyError:
            raise SettingsError("loss 'crf' needs a head with transitions, such as 'token_crf'") from None

    @property
    def extras(self) -> dict[str, Tensor]:
        """The chain as extras of an output."""
        return {"transitions": self.transitions, "start": self.start, "end": self.end}


def tempered_chain(output: Output, temperature: float) -> Output:
    """Divide logits and chain by a temperature, so that the best sequence stays the best."""
    extras = {name: scores / temperature for name, scores in Chain.of(output).extras.items()}
    return Output(output.logits.with_values(output.logits.values / temperature), {**output.extras, **extras})


@dataclass(frozen=True, eq=False)
class Posterior:
    """Probabilities of labels given all of a record.

    Parameters
    ----------
    marginals
        Ragged ``(U, L)``: the probability of each label at each unit.
    steps
        ``(U, L)``: log-weight of a label and of everything behind it, so that ``steps[t, j] + transitions[i, j]``, less
        ``future[t - 1, i]``, is the log-probability of j after i.
    future
        ``(U, L)``: log-weight of everything behind a unit that has a label.
    """

    marginals: Ragged
    steps: Tensor
    future: Tensor
    chain: Chain

    def conditional(self, unit: Tensor, before: Tensor, label: Tensor) -> Tensor:
        """Probability ``(K,)`` that flat units ``(K,)`` have a label, given the label of the unit before."""
        weight = self.steps[unit, label] + self.chain.transitions[before, label]
        return (weight - self.future[unit - 1, before]).exp()


def viterbi(logits: Ragged, chain: Chain) -> Ragged:
    """Find the best sequence of each record: label indices ``(U,)``; forbidden transitions are never taken."""
    return _by_length(logits, lambda part: _viterbi(part, chain))


def posterior(logits: Ragged, chain: Chain) -> Posterior:
    """Compute label probabilities by the forward-backward recursion (Rabiner 1989), in logarithms."""
    # Normalising each unit changes no probability and keeps the sums small, so that long records lose no digits.
    logits = logits.with_values(logits.values.log_softmax(-1))
    packed = _by_length(logits, lambda part: _forward_backward(part, chain))  # (U, 3, L)
    marginals, steps, future = packed.values.unbind(1)
    return Posterior(logits.with_values(marginals), steps, future, chain)


def log_partition(logits: Ragged, chain: Chain) -> Tensor:
    """Logarithm of the summed weight of all sequences of each record, ``(B,)``, with gradients; 0 for no units.

    Scores below ``FLOOR`` are raised to it, so a record whose sequences are all forbidden gets a large negative number.
    """
    floored = Chain(*(part.clamp(min=FLOOR) for part in (chain.transitions, chain.start, chain.end)))
    logits = logits.with_values(logits.values.clamp(min=FLOOR))
    return _by_length(logits, lambda part: _partition(part, floored)).values


def _by_length(logits: Ragged, work: Callable[[Ragged], Ragged]) -> Ragged:
    """Apply ``work`` to blocks of records of similar length, and put the results back in order."""
    order = logits.lengths.argsort(descending=True, stable=True)
    if not len(order):
        return work(logits)
    blocks = [order[first : first + ROWS] for first in range(0, len(order), ROWS)]
    return concatenate(work(logits.select(rows)) for rows in blocks).select(order.argsort())


def _viterbi(logits: Ragged, chain: Chain) -> Ragged:
    block, mask = logits.padded()  # (B, T, L), (B, T)
    if not block.shape[1]:
        return logits.with_values(logits.values.new_zeros(0, dtype=torch.long))
    best = chain.start + block[:, 0]  # (B, L)
    origins = []
    for step in range(1, block.shape[1]):
        scores, origin = (best[:, :, None] + chain.transitions).max(1)  # (B, L)
        best = torch.where(mask[:, step, None], scores + block[:, step], best)
        origins.append(origin)
    label = (best + chain.end).argmax(-1)  # (B,), at each record's last unit
    path = [label]
    for step in range(block.shape[1] - 1, 0, -1):
        earlier = origins[step - 1].gather(1, label[:, None])[:, 0]
        label = torch.where(mask[:, step], earlier, label)
        path.append(label)
    return logits.unpadded(torch.stack(path[::-1], 1))


def _forward_backward(logits: Ragged, chain: Chain) -> Ragged:
    """Marginals, steps and future of each unit, ``(U, 3, L)``."""
    block, mask = logits.padded()  # (B, T, L), (B, T)
    if not block.shape[1]:
        return logits.with_values(logits.values.new_zeros(0, 3, logits.values.shape[1]))
    past = _forward(block, mask, chain)
    future = [chain.end.expand_as(block[:, 0])]
    for step in range(block.shape[1] - 1, 0, -1):
        ahead = (block[:, step] + future[0])[:, None, :] + chain.transitions
        future.insert(0, torch.where(mask[:, step, None], ahead.logsumexp(-1), chain.end))
    behind = torch.stack(future, 1)
    marginals = (torch.stack(past, 1) + behind).softmax(-1)
    return logits.unpadded(torch.stack([marginals, block + behind, behind], 2))


def _partition(logits: Ragged, chain: Chain) -> Ragged:
    block, mask = logits.padded()
    if not block.shape[1]:
        return Ragged.one_per_row(logits.values.new_zeros(len(logits)))
    total = (_forward(block, mask, chain)[-1] + chain.end).logsumexp(-1)
    return Ragged.one_per_row(torch.where(mask[:, 0], total, 0.0))


def _forward(block: Tensor, mask: Tensor, chain: Chain) -> list[Tensor]:
    """Log-weight of all beginnings that end in each label, T tensors ``(B, L)``; padding repeats the last unit's."""
    past = [chain.start + block[:, 0]]
    for step in range(1, block.shape[1]):
        weight = (past[-1][:, :, None] + chain.transitions).logsumexp(1) + block[:, step]
        past.append(torch.where(mask[:, step, None], weight, past[-1]))
    return past


class CrfTokenHead(TokenHead):
    """A token head whose labels depend on their neighbours: a linear-chain conditional random field.

    Parameters
    ----------
    width, labels, dropout, outputs
        As for :class:`labtune.builtin.heads.TokenHead`; the labels are of kind ``classes``.
    """

    needs_loss = "crf"

    def __init__(self, width: int, labels: Labels, *, dropout: float = 0.1, outputs: int | None = None) -> None:
        super().__init__(width, labels, dropout=dropout, outputs=outputs)
        size = self.linear.out_features
        self.transitions = nn.Parameter(torch.zeros(size, size))
        self.start = nn.Parameter(torch.zeros(size))
        self.end = nn.Parameter(torch.zeros(size))

    @property
    def chain(self) -> Chain:
        """The learned chain."""
        return Chain(self.transitions, self.start, self.end)

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden states ``(N, C)`` to logits ``(U, L)``, with the chain in the extras."""
        return Output(self.project(hidden, batch), self.chain.extras)

    def tempered(self, output: Output, temperature: float) -> Output:
        """Divide everything that makes the score of a sequence by a temperature."""
        return tempered_chain(output, temperature)

    @torch.no_grad()
    def decode(self, output: Output, batch: Batch) -> list[Prediction]:
        """Give the best sequence of names, each with its marginal probability, and all marginals."""
        chain = Chain.of(output)
        best = viterbi(output.logits, chain)
        marginals = posterior(output.logits, chain).marginals
        return [
            self._prediction(record.id, labels, rows.cpu().numpy())
            for record, labels, rows in zip(batch.records, best, marginals, strict=True)
        ]

    def _prediction(self, record_id: str, labels: Tensor, marginals: np.ndarray) -> Prediction:
        indices = labels.tolist()
        confidence = marginals[np.arange(len(indices)), indices].tolist()
        return Prediction(record_id, [self.labels.names[index] for index in indices], confidence, marginals)


class CrfLoss:
    """Negative log-likelihood of the true sequence under the chain, averaged over real units.

    A missing target is summed over: the likelihood is that of all sequences that agree with the targets that are there
    (Tsuboi et al. 2008).
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar loss of logits ``(U, L)``; the output's extras hold ``transitions``, ``start`` and ``end``."""
        chain, logits = Chain.of(output), output.logits
        targets = _targets(batch)
        known = (targets != IGNORED)[:, None]
        other = torch.arange(logits.values.shape[1], device=targets.device) != targets[:, None]
        agreeing = logits.with_values(logits.values.masked_fill(known & other, FLOOR))
        likelihood = log_partition(agreeing, chain) - log_partition(logits, chain)
        return -likelihood.sum() / max(self.count(batch), 1)

    def count(self, batch: Batch) -> int:
        """Real targets."""
        return int((_targets(batch) != IGNORED).sum())


def _targets(batch: Batch) -> Tensor:
    if batch.targets is None:
        raise ValueError("a loss needs targets, and these records are unlabelled")
    return batch.targets.values
