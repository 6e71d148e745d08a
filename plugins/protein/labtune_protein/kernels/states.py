"""What a kernel regression tells of records from the hidden states that a frozen encoder gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labtune.builtin.heads import content
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_protein.kernels.prior import at_most, encoded
from labtune_protein.kernels.regression import KernelRegression

START, END = 40, 20  # residues at the two ends, where signals lie that say where a protein goes
BLOCK = 64  # records that are described at once


class StatesPrior(nn.Module):
    """Tells of records from the training records whose hidden states are like theirs.

    A record is described by its residues' states: their mean, deviation and maximum, and the means of both ends. Each
    of these five is standardised over the training records. While a model learns, a training record is told what the
    regression would say without it, as in :class:`labtune_protein.kernels.prior.KernelPrior`.

    The descriptions of the training records are kept, in 16 bits, and are part of the saved model.

    Parameters
    ----------
    width
        C, the encoder's width.
    labels
        Of kind ``classes``, ``multilabel`` or ``values``.
    """

    points: Tensor
    weights: Tensor
    center: Tensor
    scale: Tensor
    offset: Tensor
    sharpness: Tensor

    def __init__(self, width: int, labels: Labels) -> None:
        super().__init__()
        self.labels = labels
        features, outputs = 5 * width, len(labels.names)
        self.register_buffer("points", torch.zeros(0, features, dtype=torch.float16))
        self.register_buffer("weights", torch.zeros(0, outputs))
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("scale", torch.zeros(features))
        self.register_buffer("offset", torch.zeros(outputs))
        self.register_buffer("sharpness", torch.zeros(()))
        self.held_out: dict[str, Tensor] = {}

    def fit_mean(self, batch: Batch) -> None:
        """Learn what is told without states: the mean of the training records, or their shares of the labels."""
        self.offset = encoded(batch, self.labels).double().nanmean(0).to(self.offset)

    def fit(self, batch: Batch, encode: Callable[[Batch], Ragged]) -> None:
        """Describe the training records and solve for them.

        Parameters
        ----------
        batch
            Training records.
        encode
            Gives the hidden states ``(N, C)`` of some of them.
        """
        batch = at_most(batch)
        pieces = (batch.select(range(row, min(row + BLOCK, len(batch)))) for row in range(0, len(batch), BLOCK))
        described = torch.cat([describe(encode(piece), piece).cpu() for piece in pieces]).double()  # (R, 5C)
        center, spread = described.mean(0), described.std(0, correction=0)
        scale = torch.where(spread > 0, 1 / spread.clamp(min=1e-9), 0.0) * (5 / described.shape[1]) ** 0.5
        points = ((described - center) * scale).half()
        targets = encoded(batch, self.labels).double().cpu().numpy()
        offset = np.nanmean(targets, axis=0)
        centred = np.nan_to_num(targets - offset)
        unit = centred.std() or 1.0  # so that the noise is that of targets of spread one
        dense = points.double().numpy()
        regression = KernelRegression.choose(dense, centred / unit)
        weights, told = regression.fit(dense, centred)
        device = self.offset.device
        self.points = points.to(device)
        for name, found in {"weights": weights, "center": center, "scale": scale, "offset": offset}.items():
            setattr(self, name, torch.as_tensor(found, dtype=torch.float32, device=device))
        self.sharpness = torch.tensor(regression.sharpness, device=device)
        rows = torch.as_tensor(told + offset, dtype=torch.float32, device=device)
        self.held_out = dict(zip((record.input for record in batch.records), rows, strict=True))

    def forward(self, hidden: Ragged, batch: Batch) -> Tensor:
        """Numbers on their own scale, or shares of the labels: ``(B, L)``."""
        if not len(self.points):
            return self.offset.expand(len(batch), -1)
        with torch.autocast(hidden.values.device.type, enabled=False):
            told = self._tell(describe(hidden, batch))
        return self._without_themselves(told, batch.records) if self.training else told

    def _tell(self, described: Tensor) -> Tensor:
        asked, points = (described - self.center) * self.scale, self.points.float()
        squared = (asked**2).sum(1, keepdim=True) + (points**2).sum(1) - 2 * asked @ points.T  # (B, R)
        return torch.exp(-self.sharpness * squared.clamp(min=0)) @ self.weights + self.offset

    def _without_themselves(self, told: Tensor, records: Sequence[Record]) -> Tensor:
        rows = [self.held_out.get(record.input, row) for record, row in zip(records, told, strict=True)]
        return torch.stack(rows)

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        """Take as many training records as there were, which is known only now."""
        for name in ("points", "weights"):
            if prefix + name in state:
                setattr(self, name, torch.empty_like(state[prefix + name]))
        super()._load_from_state_dict(state, prefix, *arguments)


def describe(hidden: Ragged, batch: Batch) -> Tensor:
    """Mean, deviation and maximum of each record's states, and the means of its start and end: ``(B, 5C)``."""
    states = content(hidden, batch)
    states = states.with_values(states.values.float())
    mean = states.mean()
    square = states.with_values(states.values**2).mean()
    deviation = (square - mean**2).clamp(min=1e-12).sqrt()
    ends = [Ragged.from_rows(cut(states)).mean() for cut in (_starts, _ends)]
    return torch.cat([mean, deviation, states.max(), *ends], 1)


def _starts(states: Ragged) -> list[Tensor]:
    return [row[:START] for row in states]


def _ends(states: Ragged) -> list[Tensor]:
    return [row[-END:] for row in states]
