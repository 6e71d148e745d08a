"""The head for expression values: pooled states to numbers on a transformed scale, and their own uncertainty."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from labtune.errors import SettingsError
from labtune.protocols import Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Prediction
from labtune_expression.bins import CENTERS, Bins, variance
from labtune_expression.transforms import TargetTransform, Transform, restored, transformed

MEMBERS = "members"


class ValueHead(nn.Module):
    """Predicts numbers for a record.

    Parameters
    ----------
    width
        C, the encoder's width.
    labels
        Of kind ``values``, one name an output.
    dropout
        On the pooled state.
    queries
        Learned queries that each pool the positions by attention.
    transform
        Scale on which the network learns; see :class:`labtune_expression.transforms.TargetTransform`.
    uncertainty
        Also predict a standard deviation for each number; learns by loss ``expression.gaussian``.
    bins
        Predict shares of so many levels, whose average is the number; learns by loss ``expression.bins``. 0: the number
        itself.
    members
        Networks that learn side by side, each from its own loss; the encoder's width is theirs together. The prediction
        is their average (deep ensemble, Lakshminarayanan et al. 2017).
    """

    def __init__(
        self,
        width: int,
        labels: Labels,
        *,
        dropout: float = 0.1,
        queries: int = 8,
        transform: Transform = "standardise",
        uncertainty: bool = False,
        bins: int = 0,
        members: int = 1,
    ) -> None:
        super().__init__()
        if members < 1 or width % members:
            raise SettingsError(f"head.members is {members}, which does not divide the encoder's width of {width}")
        if bins and uncertainty:
            raise SettingsError("head.bins give a standard deviation of their own: leave head.uncertainty out")
        self.labels = labels
        self.needs_loss = "expression.bins" if bins else "expression.gaussian" if uncertainty else None
        self.bins = Bins(len(labels.names), bins) if bins else None
        self.pooling = QueryPool(width, queries, members)
        self.dropout = nn.Dropout(dropout)
        columns = members * len(labels.names)
        self.numbers = nn.Conv1d(queries * width, columns * max(bins, 1), 1, groups=members)
        self.log_variances = nn.Conv1d(queries * width, columns, 1, groups=members) if uncertainty else None
        self.transform = TargetTransform(len(labels.names), transform)
        self.register_buffer(MEMBERS, torch.tensor(members), persistent=False)
        for layer in (self.numbers, self.log_variances):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def fit(self, batch: Batch) -> None:
        """Learn the transform, and the range of the bins, from the training targets."""
        if batch.targets is not None:
            targets = batch.targets.values.float().reshape(len(batch), -1)
            self.transform.fit(targets)
            if self.bins is not None:
                self.bins.fit(transformed(targets, self.transform.scale))

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden states ``(N, C)`` to logits ``(B, M L)``: the numbers of each of M members, in units of the targets.

        With ``uncertainty`` the logarithms of as many variances follow, on the transformed scale; with bins the log
        shares, ``(B, K M L)``. The extras describe the scale and the bins' centres ``(L, K)``.
        """
        pooled = self.dropout(self.pooling(hidden))[:, :, None]  # (B, Q C, 1)
        extras = {**self.transform.scale, MEMBERS: self.get_buffer(MEMBERS)}
        shape = (len(batch), int(extras[MEMBERS]), len(self.labels.names))
        scores, further = self.numbers(pooled).float(), []
        if self.bins is None:
            scores = scores.view(shape)  # (B, M, L)
        else:
            log_shares, scores = self.bins(scores.view(*shape, -1))  # (B, M, L, K)
            further.append(log_shares.movedim(-1, 1).flatten(1))
            extras[CENTERS] = self.bins.centers
        if self.log_variances is not None:
            further.append(self.log_variances(pooled).float()[:, :, 0])
        columns = torch.cat([restored(scores, extras).flatten(1), *further], dim=1)
        return Output(Ragged.one_per_row(columns), extras)

    def explained(self, output: Output) -> Tensor:
        """Give the numbers as they are predicted, ``(B, L)``."""
        values, _ = columns_of(output, len(self.labels.names))
        return restored(transformed(values, output.extras).mean(1), output.extras)

    def decode(self, output: Output, batch: Batch) -> list[Prediction]:
        """One number or a list; with ``uncertainty`` or bins the detail ``standard_deviation`` beside it."""
        values, log_variances = columns_of(output, len(self.labels.names))
        scores = transformed(values, output.extras)  # (B, M, L)
        center = scores.mean(1)
        numbers = restored(center, output.extras).tolist()
        variances = _variances(output, log_variances, len(self.labels.names))
        if variances is None:
            return [Prediction(record.id, _plain(row)) for record, row in zip(batch.records, numbers, strict=True)]
        spread = (variances.mean(1) + scores.var(1, correction=0)).sqrt()
        ends = (restored(center + side * spread, output.extras) for side in (1, -1))
        deviations = torch.sub(*ends).div(2).tolist()
        return [
            Prediction(record.id, _plain(row), details={"standard_deviation": _plain(deviation)})
            for record, row, deviation in zip(batch.records, numbers, deviations, strict=True)
        ]


class QueryPool(nn.Module):
    """Pools the states of a record by several learned queries: each gives its own weights to the positions.

    Parameters
    ----------
    width
        C, of all members together.
    queries
        Q, for each member.
    members
        M, whose channels do not mix.
    """

    def __init__(self, width: int, queries: int, members: int) -> None:
        super().__init__()
        if queries < 1:
            raise SettingsError(f"head.queries is {queries}; it starts at 1")
        self.members = members
        self.weights = nn.Conv1d(width, members * queries, 1, groups=members)

    def forward(self, hidden: Ragged) -> Tensor:
        """States ``(N, C)`` to ``(B, Q C)``, each member's part side by side."""
        block, mask = hidden.padded()  # (B, T, C)
        scores = self.weights(block.transpose(1, 2)).masked_fill(~mask[:, None], float("-inf"))  # (B, M Q, T)
        weights = scores.softmax(-1).unflatten(1, (self.members, -1))  # (B, M, Q, T)
        parts = block.unflatten(2, (self.members, -1)).transpose(1, 2)  # (B, M, T, C / M)
        return (weights @ parts).flatten(1)


def columns_of(output: Output, outputs: int) -> tuple[Tensor, Tensor | None]:
    """Numbers of each member ``(B, M, L)`` in units of the targets, and log variances alike or None.

    Raises
    ------
    SettingsError
        If the output is not one of :class:`ValueHead`.
    """
    numbers, further = _split(output, outputs)
    return numbers, None if CENTERS in output.extras or not further.shape[1] else further


def log_shares_of(output: Output, outputs: int) -> Tensor:
    """Log shares of each member's bins ``(B, M, L, K)``; raises SettingsError where there are none."""
    numbers, further = _split(output, outputs)
    if CENTERS not in output.extras:
        raise SettingsError("loss expression.bins needs shares of bins: set head.bins, to 18 for example")
    return further.unflatten(1, (-1, numbers.shape[1])).movedim(1, -1)


def _split(output: Output, outputs: int) -> tuple[Tensor, Tensor]:
    """Numbers ``(B, M, L)`` and what follows them, ``(B, …, L)``."""
    if MEMBERS not in output.extras:
        raise SettingsError("the losses of expression are for head 'expression.values'; choose loss mse or huber")
    columns = output.logits.values.unflatten(1, (-1, outputs))
    members = int(output.extras[MEMBERS])
    return columns[:, :members], columns[:, members:]


def _variances(output: Output, log_variances: Tensor | None, outputs: int) -> Tensor | None:
    """What each member says of its own error, ``(B, M, L)``; None where it says nothing."""
    if CENTERS in output.extras:
        return variance(log_shares_of(output, outputs), output.extras[CENTERS])
    return None if log_variances is None else log_variances.exp()


def _plain(numbers: list[float]) -> float | list[float]:
    return numbers[0] if len(numbers) == 1 else numbers
