"""What a kernel regression on descriptors tells of records, as a module that a head can hold."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labtune.protocols import Batch
from labtune.ragged import offsets_of
from labtune.specs import Labels, Record
from labtune_protein.kernels.descriptors import fit_descriptor
from labtune_protein.kernels.regression import KernelRegression
from labtune_protein.kernels.warp import Warp

log = logging.getLogger(__name__)

LARGEST = 6000  # training records of a regression: time grows with the cube, memory with the square
BLOCK = 1024  # records that are compared with the training records at once
KEPT = 20_000  # records whose answers are remembered, so that validation data are compared once


class KernelPrior(nn.Module):
    """Tells of records from the training records that they are like.

    While a model learns, a training record is told what the regression would say without it. So what learns beside the
    prior sees the errors that it will make on new records (stacked generalisation, Wolpert 1992).

    The training sequences and their targets are kept, and are part of the saved model.

    Parameters
    ----------
    labels
        Of kind ``classes``, ``multilabel`` or ``values``.
    describe
        Name of a descriptor.
    sharpness, noise
        Of the regression; chosen on the training data when either is 0.
    """

    letters: Tensor
    offsets: Tensor
    targets: Tensor
    weights: Tensor
    numbers: Tensor

    def __init__(self, labels: Labels, describe: str, *, sharpness: float = 0.0, noise: float = 0.0) -> None:
        super().__init__()
        self.labels = labels
        self.describe = describe
        self.given = (sharpness, noise)
        outputs = len(labels.names)
        self.register_buffer("letters", torch.zeros(0, dtype=torch.uint8))  # of all training sequences
        self.register_buffer("offsets", torch.zeros(1, dtype=torch.long))
        self.register_buffer("targets", torch.zeros(0, outputs))
        self.register_buffer("weights", torch.zeros(0, outputs))
        self.register_buffer("numbers", torch.tensor(self.given))
        self.known: tuple[Any, Any, Any] | None = None  # descriptor, training points, warp
        self.told: dict[str, np.ndarray] = {}
        self.held_out: dict[str, np.ndarray] = {}

    def fit(self, batch: Batch) -> None:
        """Solve for the training records."""
        batch = at_most(batch)
        sequences = [record.input for record in batch.records]
        self.letters = torch.frombuffer(bytearray("".join(sequences).encode()), dtype=torch.uint8)
        self.offsets = offsets_of([len(sequence) for sequence in sequences])
        self.targets = encoded(batch, self.labels)
        _, points, _ = self._prepare()
        centred = np.nan_to_num(self._transformed())
        regression = KernelRegression(*self.given)
        if not all(self.given):
            regression = KernelRegression.choose(points, centred)
        weights, told = regression.fit(points, centred)
        self.numbers = torch.tensor([regression.sharpness, regression.noise])
        self.weights = torch.from_numpy(weights).float()
        self.held_out = dict(zip(sequences, self._finished(told), strict=True))

    def forward(self, records: Sequence[Record]) -> Tensor:
        """Numbers on their own scale, or shares of the labels: ``(B, L)`` on the device of the weights."""
        rows = self._recall([record.input for record in records])
        return torch.from_numpy(np.stack(rows)).to(self.weights)

    def _recall(self, sequences: Sequence[str]) -> list[np.ndarray]:
        held_out = self.held_out if self.training else {}
        if len(self.told) > KEPT:
            self.told.clear()
        asked = [one for one in dict.fromkeys(sequences) if one not in held_out and one not in self.told]
        for start in range(0, len(asked), BLOCK):
            some = asked[start : start + BLOCK]
            self.told.update(zip(some, self._predict(some), strict=True))
        return [held_out[sequence] if sequence in held_out else self.told[sequence] for sequence in sequences]

    def _predict(self, sequences: Sequence[str]) -> np.ndarray:
        descriptor, points, _ = self._prepare()
        regression = KernelRegression(*self.numbers.tolist())
        return self._finished(regression.predict(descriptor(sequences), points, self.weights.double().cpu().numpy()))

    def _prepare(self) -> tuple[Any, Any, Any]:
        """Describe the training records, once."""
        if self.known is None:
            text = self.letters.cpu().numpy().tobytes().decode()
            bounds = self.offsets.tolist()
            sequences = [text[start:end] for start, end in pairwise(bounds)]
            descriptor = fit_descriptor(self.describe, sequences)
            warp = Warp(self._raw()) if self.labels.kind == "values" else None
            self.known = descriptor, descriptor(sequences), warp
        return self.known

    def _raw(self) -> np.ndarray:
        found: np.ndarray = self.targets.double().cpu().numpy()
        return found

    def _transformed(self) -> np.ndarray:
        _, _, warp = self._prepare()
        raw = self._raw()
        found: np.ndarray = raw - np.nanmean(raw, axis=0) if warp is None else warp(raw)
        return found

    def _finished(self, told: np.ndarray) -> np.ndarray:
        _, _, warp = self._prepare()
        found: np.ndarray = told + np.nanmean(self._raw(), axis=0) if warp is None else warp.back(told)
        return found.astype(np.float32, copy=False)

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        """Take buffers of whatever size: how many records there were is known only now."""
        for name in ("letters", "offsets", "targets", "weights"):
            if prefix + name in state:
                setattr(self, name, torch.empty_like(state[prefix + name]))
        self.known = None
        self.told.clear()
        super()._load_from_state_dict(state, prefix, *arguments)


def at_most(batch: Batch) -> Batch:
    """Take as many records as a kernel can hold, always the same."""
    if len(batch) <= LARGEST:
        return batch
    log.warning(
        "the kernel regression learns from %d of %d training records, drawn at random; what corrects it, from all",
        LARGEST,
        len(batch),
    )
    return batch.select(sorted(np.random.default_rng(0).permutation(len(batch))[:LARGEST].tolist()))


def encoded(batch: Batch, labels: Labels) -> Tensor:
    """Targets as numbers, or as zeros and ones: ``(R, L)``."""
    if batch.targets is None:
        raise ValueError("a kernel regression learns from targets, and these records are unlabelled")
    values, outputs = batch.targets.values, len(labels.names)
    if labels.kind == "classes":
        return nn.functional.one_hot(values.long(), outputs).float()
    return values.float().reshape(-1, outputs)
