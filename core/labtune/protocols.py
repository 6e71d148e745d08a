"""What the parts of a run must do, and the two things that flow between them: batches and outputs.

Shapes: N tokens of a batch, B records, U units (what gets a prediction in a token task: a word, a base, …), C the
encoder's width, L label outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from labtune.ragged import Ragged, concatenate
from labtune.specs import Prediction, Record

IGNORED = -100  # a target that is not scored


@dataclass(frozen=True, eq=False)
class Batch:
    """Tokenised records. A whole data set is one batch; training takes parts of it with :meth:`select`.

    Parameters
    ----------
    records
        The B records.
    inputs
        What the encoder reads, ragged over tokens: ``{"input_ids": (N,)}``, or features ``(N, F)`` under other names.
    prefix, suffix
        How many special tokens open and close every record.
    units
        For a token task, the position within its record of the token that stands for each unit: ragged ``(U,)``.
    targets
        Encoded truth, or None: ``(U,)`` or ``(U, K)`` alongside ``units``; one for each pair of a record's units, the
        upper triangle row by row; ``(B,)`` or ``(B, L)``, one row a record.
        Missing truth is ``IGNORED`` for classes and NaN for values.
    reference
        One record, as long as every other one: its states are subtracted from theirs, so that heads see differences.
    """

    records: Sequence[Record]
    inputs: Mapping[str, Ragged]
    prefix: int = 0
    suffix: int = 0
    units: Ragged | None = None
    targets: Ragged | None = None
    reference: Batch | None = None

    @property
    def tokens(self) -> Ragged:
        """The first input: what lengths and budgets are counted on."""
        return next(iter(self.inputs.values()))

    @property
    def unit_index(self) -> Tensor:
        """Flat token position of each unit, ``(U,)``."""
        if self.units is None:
            raise ValueError("this task has no units: its tokenizer made one prediction a record")
        starts = self.tokens.offsets[:-1].to(self.units.values.device)
        return self.units.values + starts[self.units.segment_ids]

    def __len__(self) -> int:
        return len(self.records)

    def select(self, rows: Sequence[int]) -> Batch:
        """Return the given records, in the given order."""
        return Batch(
            records=[self.records[row] for row in rows],
            inputs={name: ragged.select(rows) for name, ragged in self.inputs.items()},
            prefix=self.prefix,
            suffix=self.suffix,
            units=None if self.units is None else self.units.select(rows),
            targets=None if self.targets is None else self.targets.select(rows),
            reference=self.reference,
        )

    def to(self, device: torch.device | str) -> Batch:
        """Move every tensor."""
        return Batch(
            records=self.records,
            inputs={name: ragged.to(device) for name, ragged in self.inputs.items()},
            prefix=self.prefix,
            suffix=self.suffix,
            units=None if self.units is None else self.units.to(device),
            targets=None if self.targets is None else self.targets.to(device),
            reference=None if self.reference is None else self.reference.to(device),
        )


def join(parts: Sequence[Batch]) -> Batch:
    """Put batches of the same tokenizer together, one after the other."""
    first = parts[0]
    units = [part.units for part in parts if part.units is not None]
    targets = [part.targets for part in parts if part.targets is not None]
    return Batch(
        records=[record for part in parts for record in part.records],
        inputs={name: concatenate(part.inputs[name] for part in parts) for name in first.inputs},
        prefix=first.prefix,
        suffix=first.suffix,
        units=concatenate(units) if units else None,
        targets=concatenate(targets) if targets else None,
        reference=first.reference,
    )


@dataclass(frozen=True, eq=False)
class Output:
    """What a head computes.

    Parameters
    ----------
    logits
        Ragged ``(U, L)`` over units, or one row a record ``(B, L)``, aligned with ``Batch.targets``.
    extras
        Whatever else the head's own loss or decoding needs, such as a transition matrix.
    """

    logits: Ragged
    extras: Mapping[str, Tensor] = field(default_factory=dict)


# A tokenizer, encoder, head or loss may also have ``fit(...)``: it is called once, with the training data only, before
# training (records for a tokenizer, the tokenised batch for the others). Encoder and head keep what they learn in
# buffers; a tokenizer returns it from ``state()`` as JSON types and takes it back through ``restore(state)``.
#
# A tokenizer that reads texts through the encoder's vocabulary may give them by ``texts(records)``: characters that the
# vocabulary lacks can then be added to it.
#
# A head whose scores are not all in the logits may have ``tempered(output, temperature)``, which returns an output with
# every score divided; calibration uses it. By default the logits are divided.
#
# A head that only one loss can train, such as a CRF, names it in ``needs_loss``; it then takes the place of the task's.
#
# Explanations ask for more. A tokenizer may name the letters of its inputs in ``alphabet``, which are then put in each
# other's place; give the text of each token, special ones left out, by ``pieces(record)``; and bring what a user wrote
# into its own spelling by ``normalise(text, where)``. A head whose logits are not what a prediction follows gives
# that by ``explained(output)``, ``(B, L)``.


class Tokenizer(Protocol):
    """Turns records into ragged inputs, units and encoded targets. Cuts nothing: long records are windowed later."""

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Tokenise; ``targets`` is None when any record has none."""
        ...


class Head(Protocol):
    """A ``torch.nn.Module`` on the encoder's hidden states.

    One that reads more than hidden states has a method ``connect(encoder)``, which is called when it is built; see
    :class:`labtune.encoder.base.Attention`. One that learns before training has ``fit(train)``.
    """

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden ``(N, C)``, boundaries as ``batch.tokens``."""
        ...

    def decode(self, output: Output, batch: Batch) -> list[Prediction]:
        """One prediction a record, in order; every confidence is a probability."""
        ...


class Loss(Protocol):
    """Averages over real targets; ``count`` says over how many, so that accumulated steps weigh them equally."""

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar; zero, with a zero gradient, where every target is missing."""
        ...

    def count(self, batch: Batch) -> int:
        """Number of real targets in the batch."""
        ...


@runtime_checkable
class Metric(Protocol):
    """Scores predictions against truth. Names of scores are the field's own, such as ``macro_f1``."""

    monitor: str
    """The score that selects checkpoints; larger is better, unless it starts with ``-``."""

    def __call__(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> dict[str, float]:
        """All scores; of an empty sequence, NaN."""
        ...


@runtime_checkable
class AdditiveMetric(Metric, Protocol):
    """A metric that is a function of sums over records, so that an interval costs no second scoring."""

    def parts(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> np.ndarray:
        """Per-record statistics ``(R, K)``."""
        ...

    def scores(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """Scores of summed statistics ``(..., K)``: arrays ``(...)``."""
        ...


@runtime_checkable
class WeightedMetric(Metric, Protocol):
    """A metric with scores that are no function of sums, but can weigh records, such as those of ranks."""

    def weighted(
        self, predictions: Sequence[Prediction], references: Sequence[Record], weights: np.ndarray
    ) -> dict[str, np.ndarray]:
        """These scores ``(W,)`` when record ``r`` counts ``weights[w, r]`` times, weights ``(W, R)``."""
        ...
