"""The entity head: a tag for every word, and the best legal sequence of tags as entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labtune.builtin.chains import Chain, Posterior, posterior, tempered_chain, viterbi
from labtune.builtin.heads import TokenHead
from labtune.protocols import Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Prediction, Record, Span
from labtune_ner.tags import decode, legal_starts, legal_transitions, tag_names
from labtune_ner.words import words_of


class EntityHead(TokenHead):
    """Finds entities: a linear layer scores the tags of each word, and illegal sequences of tags have probability zero.

    The confidence of an entity is its exact probability: that of all tag sequences in which it starts, lasts and ends
    where it was found and has its type.

    Parameters
    ----------
    width
        C, the encoder's width.
    labels
        Of kind ``spans``; L = 1 + 2 x types.
    dropout
        On the hidden states.
    crf
        Learn scores of tag pairs too, by the loss ``crf``.
    """

    legal: Tensor
    legal_start: Tensor

    def __init__(self, width: int, labels: Labels, *, dropout: float = 0.1, crf: bool = False) -> None:
        size = len(tag_names(labels.names))
        super().__init__(width, labels, dropout=dropout, outputs=size)
        self.crf = crf
        self.needs_loss = "crf" if crf else None
        if crf:
            self.transitions = nn.Parameter(torch.zeros(size, size))
            self.start = nn.Parameter(torch.zeros(size))
            self.end = nn.Parameter(torch.zeros(size))
        self.register_buffer("legal", torch.from_numpy(legal_transitions(labels.names)), persistent=False)
        self.register_buffer("legal_start", torch.from_numpy(legal_starts(labels.names)), persistent=False)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The tags."""
        return tuple(tag_names(self.labels.names))

    @property
    def chain(self) -> Chain:
        """Scores of tag pairs: learned or zero, and -inf for illegal ones."""
        size = len(self.legal)
        transitions, start, end = (
            (self.transitions, self.start, self.end)
            if self.crf
            else (self.linear.weight.new_zeros(shape) for shape in ((size, size), (size,), (size,)))
        )
        forbidden = float("-inf")
        return Chain(
            transitions.float().masked_fill(~self.legal, forbidden),
            start.float().masked_fill(~self.legal_start, forbidden),
            end.float(),
        )

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden states ``(N, C)`` to logits ``(U, L)``; with a CRF its chain in the extras."""
        return Output(self.project(hidden, batch), self.chain.extras if self.crf else {})

    def tempered(self, output: Output, temperature: float) -> Output:
        """Divide the scores by a temperature, with a CRF those of tag pairs too."""
        if self.crf:
            return tempered_chain(output, temperature)
        return Output(output.logits.with_values(output.logits.values / temperature))

    @torch.no_grad()
    def decode(self, output: Output, batch: Batch) -> list[Prediction]:
        """Entities in words, their probabilities, and ``details`` with their place in the text, in characters."""
        chain = Chain.of(output) if output.extras else self.chain
        best = viterbi(output.logits, chain)
        beliefs = posterior(output.logits, chain)
        surety = _Surety.of(best.values, beliefs)
        marginals = beliefs.marginals.values.cpu().numpy()
        tags = best.values.tolist()
        bounds = zip(best.bounds[:-1], best.bounds[1:], strict=True)
        return [
            self._prediction(record, tags[first:last], surety.between(first, last), marginals[first:last])
            for record, (first, last) in zip(batch.records, bounds, strict=True)
        ]

    def _prediction(self, record: Record, tags: Sequence[int], surety: _Surety, marginals: np.ndarray) -> Prediction:
        spans = decode(tags, self.labels.names)
        confidence = [surety.of_span(span) for span in spans]
        words = words_of(record)
        places = [words.between(span.start, span.end) for span in spans]
        entities: list[dict[str, Any]] = [
            {"start": start, "end": end, "text": words.text[start:end], "type": span.label, "confidence": sure}
            for (start, end), span, sure in zip(places, spans, confidence, strict=True)
        ]
        return Prediction(record.id, spans, confidence, marginals, {"entities": entities})


class _Surety:
    """Probabilities along the best tag sequence, from which that of each entity follows by the Markov property.

    ``first (U,)``: of each tag; ``next (U,)``: of each tag, given the one before; ``goes_on (U,)``: that the entity of
    the tag before is continued, given that tag.
    """

    def __init__(self, first: np.ndarray, next_: np.ndarray, goes_on: np.ndarray) -> None:
        self.first, self.next, self.goes_on = first, next_, goes_on

    @classmethod
    def of(cls, tags: Tensor, beliefs: Posterior) -> _Surety:
        """Read them off the posterior of the best tags ``(U,)``."""
        units = torch.arange(len(tags), device=tags.device)
        before = tags.roll(1)  # nonsense at the first unit of a record, where no entity goes on
        inside = before + before % 2  # O, B-X, I-X, … are 0, 1, 2, …
        first = beliefs.marginals.values[units, tags]
        following = beliefs.conditional(units, before, tags)
        going_on = beliefs.conditional(units, before, inside)
        return cls(*(values.double().cpu().numpy() for values in (first, following, going_on)))

    def between(self, first: int, last: int) -> _Surety:
        """Units of one record."""
        return _Surety(self.first[first:last], self.next[first:last], self.goes_on[first:last])

    def of_span(self, span: Span) -> float:
        """Probability that exactly this span is an entity of its type."""
        chance = self.first[span.start] * self.next[span.start + 1 : span.end].prod()
        if span.end < len(self.goes_on):
            chance *= 1 - self.goes_on[span.end]
        return float(np.clip(chance, 0, 1))
