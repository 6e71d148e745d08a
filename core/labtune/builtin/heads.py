"""Heads: the small modules that turn an encoder's hidden states into predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from labtune.errors import SettingsError
from labtune.protocols import Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Prediction

Pooling = Literal["mean", "first", "max", "attention"]


class TokenHead(nn.Module):
    """Predicts for every unit of a record: a linear layer on the hidden state of the token that stands for it.

    Parameters
    ----------
    width
        C, the encoder's width.
    labels
        Of kind ``classes`` or ``values``; a subclass may decode others.
    dropout
        On the hidden states.
    outputs
        L, when it is not the number of label names.
    """

    def __init__(self, width: int, labels: Labels, *, dropout: float = 0.1, outputs: int | None = None) -> None:
        super().__init__()
        self.labels = labels
        self.dropout = nn.Dropout(dropout)
        self.linear = _output_layer(width, outputs or len(labels.names))
        self.scale = TargetScale(labels)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the L outputs, which need not be the labels."""
        return self.labels.names

    def fit(self, batch: Batch) -> None:
        """Learn the scale of number targets from the training data."""
        self.scale.fit(batch)

    def project(self, hidden: Ragged, batch: Batch) -> Ragged:
        """Scores of every unit: ragged ``(U, L)``."""
        if batch.units is None:
            raise SettingsError(
                "this head predicts for each unit, but the task's tokenizer names none; use head 'sequence'"
            )
        states = hidden.values.index_select(0, batch.unit_index)  # (U, C)
        return batch.units.with_values(self.linear(self.dropout(states)).float())

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden states ``(N, C)`` to logits ``(U, L)``."""
        logits = self.project(hidden, batch)
        return Output(logits.with_values(self.scale(logits.values)))

    def decode(self, output: Output, batch: Batch) -> list[Prediction]:
        """Lists alongside the units: the likeliest name and its probability, or the numbers."""
        decode = _decode_values if self.labels.kind == "values" else self._decode_classes
        return [decode(record.id, rows) for record, rows in zip(batch.records, output.logits, strict=True)]

    def _decode_classes(self, record_id: str, logits: Tensor) -> Prediction:
        probabilities = _numpy(logits.softmax(-1))  # (U, L)
        best = probabilities.argmax(-1)
        names = [self.labels.names[index] for index in best]
        confidence = probabilities[np.arange(len(best)), best].tolist()
        return Prediction(record_id, names, confidence, probabilities)


class SequenceHead(nn.Module):
    """Predicts once for a record: its hidden states are pooled, then a linear layer.

    Parameters
    ----------
    width
        C, the encoder's width.
    labels
        Of kind ``classes``, ``multilabel`` or ``values``.
    dropout
        On the pooled state.
    pooling
        ``mean`` over the content tokens, ``first`` token, ``max``, or learned ``attention`` weights (one query).
    hidden_layer
        Put a tanh layer of the encoder's width before the output, as BERT's classifiers have.
    """

    def __init__(
        self,
        width: int,
        labels: Labels,
        *,
        dropout: float = 0.1,
        pooling: Pooling = "mean",
        hidden_layer: bool = False,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.pooling = Pool(width, pooling)
        self.hidden_layer = nn.Sequential(nn.Linear(width, width), nn.Tanh()) if hidden_layer else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.linear = _output_layer(width, len(labels.names))
        self.scale = TargetScale(labels)

    def fit(self, batch: Batch) -> None:
        """Learn the scale of number targets from the training data."""
        self.scale.fit(batch)

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden states ``(N, C)`` to logits ``(B, L)``."""
        pooled = self.hidden_layer(self.pooling(hidden, batch))  # (B, C)
        logits = self.linear(self.dropout(pooled)).float()
        return Output(Ragged.one_per_row(self.scale(logits)), {"states": pooled})

    def decode(self, output: Output, batch: Batch) -> list[Prediction]:
        """One name, the names above one half, or the numbers, with their probabilities."""
        decode = {"classes": self._decode_class, "multilabel": self._decode_set}.get(self.labels.kind, _decode_value)
        found = [decode(record.id, row) for record, row in zip(batch.records, output.logits.values, strict=True)]
        states = output.extras.get("states")
        if states is None:
            return found
        halves = states.detach().half().cpu().numpy()
        return [replace(prediction, state=state) for prediction, state in zip(found, halves, strict=True)]

    def _decode_class(self, record_id: str, logits: Tensor) -> Prediction:
        probabilities = _numpy(logits.softmax(-1))
        best = int(probabilities.argmax())
        return Prediction(record_id, self.labels.names[best], float(probabilities[best]), probabilities)

    def _decode_set(self, record_id: str, logits: Tensor) -> Prediction:
        probabilities = _numpy(logits.sigmoid())
        chosen = np.flatnonzero(probabilities >= 0.5)
        names = [self.labels.names[index] for index in chosen]
        return Prediction(record_id, names, probabilities[chosen].tolist(), probabilities)


class Pool(nn.Module):
    """Pools the hidden states of each record into one: ragged ``(N, C)`` to ``(B, C)``.

    Special tokens count for ``first`` only, so that the average of a short record is not theirs.
    """

    def __init__(self, width: int, mode: Pooling) -> None:
        super().__init__()
        if mode not in ("mean", "first", "max", "attention"):
            raise SettingsError(f"unknown pooling {mode!r}; known: mean, first, max, attention")
        self.mode = mode
        self.query = nn.Linear(width, 1, bias=False) if mode == "attention" else None

    def forward(self, hidden: Ragged, batch: Batch) -> Tensor:
        """Pool the states of each record."""
        if self.mode == "first":
            return hidden.values[hidden.offsets[:-1].to(hidden.values.device)]
        own = content(hidden, batch)
        if self.mode == "max":
            return own.max()
        if self.query is None:
            return own.mean()
        weights = own.with_values(self.query(own.values)).softmax()
        return own.with_values(own.values * weights.values).sum()


class TargetScale(nn.Module):
    """Puts number outputs on the scale of the training targets, so that a fresh head starts at their mean.

    For other kinds of labels it changes nothing and holds nothing.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, labels: Labels) -> None:
        super().__init__()
        self.active = labels.kind == "values"
        if self.active:
            self.register_buffer("center", torch.zeros(len(labels.names)))
            self.register_buffer("spread", torch.ones(len(labels.names)))

    def fit(self, batch: Batch) -> None:
        """Take mean and standard deviation of the targets that are there, per output."""
        if not self.active or batch.targets is None:
            return
        targets = batch.targets.values.double().reshape(len(batch.targets.values), -1)
        present = ~targets.isnan()
        count = present.sum(0).clamp(min=1)
        center = targets.nan_to_num().sum(0) / count
        variance = ((targets - center).nan_to_num() ** 2).sum(0) / count
        self.center.copy_(center)
        self.spread.copy_(torch.where(variance > 0, variance.sqrt(), 1.0))

    def forward(self, scores: Tensor) -> Tensor:
        """Scale scores ``(…, L)``."""
        return scores * self.spread + self.center if self.active else scores


def _output_layer(width: int, outputs: int) -> nn.Linear:
    """Linear layer initialised as BERT's: normal weights of deviation 0.02, zero bias (Devlin et al. 2019)."""
    layer = nn.Linear(width, outputs)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


def content(hidden: Ragged, batch: Batch) -> Ragged:
    """Leave the special tokens at the two ends of every record out: ``(N, C)`` to ``(N', C)``."""
    if not batch.prefix and not batch.suffix:
        return hidden
    lengths = (hidden.lengths - batch.prefix - batch.suffix).clamp(min=0)
    starts = hidden.offsets[:-1] + batch.prefix
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    index = torch.arange(int(offsets[-1])) + torch.repeat_interleave(starts - offsets[:-1], lengths)
    return Ragged(hidden.values[index.to(hidden.values.device)], offsets)


def _numpy(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().float().cpu().numpy()
    return array


def _decode_value(record_id: str, numbers: Tensor) -> Prediction:
    values: Any = _numpy(numbers).tolist()
    return Prediction(record_id, values[0] if len(values) == 1 else values)


def _decode_values(record_id: str, numbers: Tensor) -> Prediction:
    values = _numpy(numbers)
    return Prediction(record_id, (values[:, 0] if values.shape[1] == 1 else values).tolist())
